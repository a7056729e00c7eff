// Many small histories in one run: each has its own keys and its own steps, all are interleaved at random, and some steps are of the world
// and meet all of them (a commit, a crash, the clock). To set a run up costs more than a history does, so many more can be had in the same time.
//
// 1. When a history takes its steps does not hang on the others: where one is taken away, the order of the rest, among themselves and around
//    the world's steps, stays. So a failure shrinks to the few histories that matter.
// 2. As many histories are generated as were asked for, never fewer: only shrinking takes some away.
import fc, { type Arbitrary, type IAsyncProperty } from 'fast-check'

/** Of a history, by its number, or of the world. */
export type Turn<S, W> = { readonly of: number; readonly step: S } | { readonly of: null; readonly step: W }

interface Paced<S> {
  readonly beginsAt: number
  /** Before each step, over and over. */
  readonly pauses: readonly number[]
  readonly steps: readonly S[]
}

export interface Choices<S, W> {
  /** The steps of one history. */
  readonly history: Arbitrary<readonly S[]>
  /** A step of the world. */
  readonly world: Arbitrary<W>
  readonly count: number
}

export function many<S, W>({ history, world, count }: Choices<S, W>): Arbitrary<Turn<S, W>[]> {
  const pauses = fc.array(fc.nat(7), { minLength: 5, maxLength: 5 })
  const one = fc.record({ beginsAt: fc.nat(count === 1 ? 0 : 24), pauses, steps: history })
  const acts = fc.array(fc.tuple(fc.nat(12), world), { maxLength: 14, size: 'max' })
  return fc.tuple(new Filled<Paced<S>>(one, count), acts).map(([all, drawn]) => {
    const worldPaced = { beginsAt: 0, pauses: drawn.map(([pause]) => pause), steps: drawn.map(([, step]) => step) }
    const placed = [
      ...all.flatMap((each, of) => timed(each).map(([at, step]) => ({ at, turn: { of, step } }))),
      ...timed(worldPaced).map(([at, step]) => ({ at, turn: { of: null, step } })),
    ]
    return placed.sort((a, b) => a.at - b.at).map(({ turn }) => turn)
  })
}

function timed<T>({ beginsAt, pauses, steps }: Paced<T>): (readonly [at: number, step: T])[] {
  let at = beginsAt
  return steps.map((step, i) => {
    at += pauses[i % pauses.length] as number
    return [at, step]
  })
}

/** How many histories a run has, where it has many. */
const TOGETHER = 25

export interface Amount {
  readonly histories: number
  /** As many of them run alone: where little happens, it is seen best that way. */
  readonly alone: number
}

/** They need a sixth to a half of it on two quiet cores: this is for machines that are busy. */
const EACH_MS = 60_000

/** Throws what failed, in its smallest form. Returns how many histories have run: all, unless their time was up. */
export async function holds<T>(property: (count: number) => IAsyncProperty<T>, { histories, alone }: Amount): Promise<number> {
  const runs = [
    [1, alone],
    [TOGETHER, Math.ceil((histories - alone) / TOGETHER)],
  ] as const
  let ran = 0
  for (const [count, numRuns] of runs) {
    const each = property(count)
    const details = await withoutStacks(() => fc.check(each, { numRuns, interruptAfterTimeLimit: EACH_MS }))
    if (details.failed) {
      const again = details.counterexample === null ? null : await each.run(details.counterexample) // now with its stack
      const cause = again !== null && 'error' in again ? again.error : details.errorInstance
      throw new Error(await fc.asyncDefaultReportMessage(details), { cause })
    }
    ran += details.numRuns * count
  }
  return ran
}

/** Where much fails on purpose, what vitest makes of each stack takes half of the time. */
export async function withoutStacks<T>(run: () => Promise<T>): Promise<T> {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return await run()
  } finally {
    Error.stackTraceLimit = limit
  }
}

type ArgumentsOf<N extends 'generate' | 'shrink', T> = Parameters<Arbitrary<T[]>[N]>

/** Lists of this length, which shrink to shorter ones. */
class Filled<T> extends fc.Arbitrary<T[]> {
  readonly #full: Arbitrary<T[]>
  readonly #some: Arbitrary<T[]>

  constructor(item: Arbitrary<T>, length: number) {
    super()
    this.#full = fc.array(item, { minLength: length, maxLength: length, size: 'max' })
    this.#some = fc.array(item, { minLength: 1, maxLength: length, size: 'max' })
  }

  override generate(...how: ArgumentsOf<'generate', T>): ReturnType<Arbitrary<T[]>['generate']> {
    return this.#full.generate(...how)
  }

  override canShrinkWithoutContext(value: unknown): value is T[] {
    return this.#some.canShrinkWithoutContext(value)
  }

  override shrink(...what: ArgumentsOf<'shrink', T>): ReturnType<Arbitrary<T[]>['shrink']> {
    return this.#some.shrink(...what)
  }
}
