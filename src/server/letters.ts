// Dead letters over HTTP: `GET /dead-letters` shows those that are pending, `POST /dead-letters/replay` and `/drop` settle those that are named.
// What is done is what `millrace dead-letter` does (control/dead-letters.ts); who may was judged before (guard.ts).
//
// 1. Only letters that are named are settled, LIMITS.lettersAtOnceMax at most; one that is not pending any more is told as `absent`.
// 2. Requests of this process that settle are taken one after the other: of two at a time the later one would fence the earlier, which would seem to have failed.
//    Where LIMITS.actsWaitingMax wait more are refused.
// 3. With a list of stores that may be read, letters are shown without what they hold: key, value and message.
import { MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { isDeadLetterAsk, type DeadLetterAsk } from '../control/dead-letter-ask.ts'
import type { ControlHandler } from '../control/wire.ts'
import { type Answering, answered } from './asks.ts'
import { fieldsOf, limitOf } from './fields.ts'
import type { ACTS } from './guard.ts'
import { boundedLine, linesOf } from './lines.ts'
import { Refusal } from './refusal.ts'

export interface LetterOptions {
  /** Null: the log is not open yet. */
  readonly letters: () => ControlHandler['deadLetters'] | null
  /** Stores are on a list: what letters hold may be of others. */
  readonly bare: boolean
}

export function lettersOf({ letters, bare }: LetterOptions): Readonly<Record<'letters' | (typeof ACTS)[number], Answering>> {
  const lines = async function* (ask: DeadLetterAsk, signal: AbortSignal): AsyncGenerator<string> {
    const open = letters()
    if (open === null) throw new Refusal('NOT_READY')
    for await (const some of open(ask, signal)) yield* some
  }
  const settle = async (ask: DeadLetterAsk): Promise<Settled> => {
    let done = 0
    const refused: { readonly offset: string; readonly reason: string }[] = []
    const absent: string[] = []
    // What is under way is ended in order, also when whoever asked has left.
    for await (const line of lines(ask, nobody())) {
      const step = JSON.parse(line) as Step
      if ('done' in step) done += step.done
      else if ('absent' in step) absent.push(step.absent)
      else refused.push({ offset: step.refused, reason: step.reason })
    }
    return { done, refused, absent }
  }
  let last: Promise<unknown> = Promise.resolve()
  let acts = 0 // waiting, with the one under way
  const acting =
    (act: (typeof ACTS)[number]): Answering =>
    async ({ query, body }) => {
      fieldsOf(query, [])
      const ask = askOf(act, body)
      if (acts > LIMITS.actsWaitingMax) throw new Refusal('NOT_READY')
      acts++
      const mine = last.then(() => settle(ask))
      last = mine.then(
        () => acts--,
        () => acts--, // told to whoever asked
      )
      return answered(JSON.stringify(await mine))
    }

  return {
    async letters({ query }, gone) {
      const { limit } = fieldsOf(query, ['limit'])
      const shown = linesOf(limitOf(limit, LIMITS.lettersShownMax))
      try {
        for await (const line of lines({ act: 'list', limit: LIMITS.lettersShownMax + 1 }, gone ?? nobody()))
          if (!shown.add(boundedLine(line, bare))) break
      } catch (error) {
        // Of an application that has never run there is no topic of dead letters.
        if (!(error instanceof MillraceError) || error.disposition !== 'usage') throw error
      }
      return answered(shown.text('letters'))
    },
    replay: acting('replay'),
    drop: acting('drop'),
  }
}

const nobody = (): AbortSignal => new AbortController().signal

interface Settled {
  readonly done: number
  readonly refused: readonly { readonly offset: string; readonly reason: string }[]
  readonly absent: readonly string[]
}

type Step = { readonly done: number } | { readonly absent: string } | { readonly refused: string; readonly reason: string }

/** The body is `{"offsets": ["<partition>:<offset>", ...]}` and nothing else. */
function askOf(act: (typeof ACTS)[number], body: unknown): DeadLetterAsk {
  if (typeof body !== 'object' || body === null || Object.keys(body).join() !== 'offsets') throw new Refusal('BAD_REQUEST')
  const ask: unknown = { act, ...body }
  if (!isDeadLetterAsk(ask) || ask.offsets === undefined) throw new Refusal('BAD_REQUEST')
  if (ask.offsets.length === 0 || ask.offsets.length > LIMITS.lettersAtOnceMax) throw new Refusal('BAD_REQUEST')
  // As a list shows them: 0:7, not 0:07.
  return { ...ask, offsets: [...new Set(ask.offsets.map((place) => place.split(':').map(Number).join(':')))] }
}
