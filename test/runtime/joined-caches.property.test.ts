// Tables that are joined behind record caches, or with themselves: whatever is committed when, what is out at the end is the join of the
// final rows, and a group above the join adds and takes away the same values.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ByteSize, json, string, type Table, topology } from '../../src/index.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'

const text = { key: string(), value: string() }
const count = { key: string(), value: json<number>() }
type Kind = 'join' | 'leftJoin' | 'outerJoin'
const show = (left: string | null | undefined, right: string | null | undefined): string => `${left ?? '-'}${right ?? '-'}`

interface Shape {
  readonly kind: Kind
  readonly left: ByteSize | undefined
  readonly right: ByteSize | undefined
  readonly filtered: boolean
  readonly foreign: boolean
}

function joined(left: Table<string, string>, right: Table<string, string>, { kind, foreign }: Shape): Table<string, string> {
  if (foreign)
    return kind === 'join'
      ? left.join(right, (value) => value, show, { value: string() })
      : left.leftJoin(right, (value) => value, show, { value: string() })
  if (kind === 'join') return left.join(right, show, { value: string() })
  return kind === 'leftJoin' ? left.leftJoin(right, show, { value: string() }) : left.outerJoin(right, show, { value: string() })
}

const flowOf = (shape: Shape) =>
  topology('joined', (t) => {
    const cached = (cache: ByteSize | undefined) => (cache === undefined ? {} : { cache })
    const left = t.table('left', { ...text, ...cached(shape.left) })
    const right = t.table('right', { ...text, ...cached(shape.right) })
    const rows = joined(shape.filtered ? left.filter((value) => value !== 'a') : left, right, shape)
    rows.toStream().to('out', text)
    rows
      .groupBy((value) => [value, value], text)
      .count({ store: 'counts' })
      .toStream()
      .to('counts', count)
  })

type Change = { readonly do: 'left' | 'right'; readonly key: string; readonly value: string | null }
type Step = { readonly do: 'commit' } | { readonly do: 'crash' } | Change

const key = fc.constantFrom('a', 'b')
const value = fc.option(fc.constantFrom('a', 'b', 'c'))
const stepOf: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('left' as const), key, value }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('right' as const), key, value }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('commit' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const) }) },
)
const size = fc.constantFrom<ByteSize | undefined>(undefined, 400, '1MiB')

function expected(steps: readonly Step[], { kind, filtered, foreign }: Shape): Map<string, string> {
  const rows = { left: new Map<string, string>(), right: new Map<string, string>() }
  for (const step of steps)
    if (step.do === 'left' || step.do === 'right') {
      if (step.value === null) rows[step.do].delete(step.key)
      else rows[step.do].set(step.key, step.value)
    }
  const out = new Map<string, string>()
  for (const name of ['a', 'b']) {
    const found = rows.left.get(name)
    const left = filtered && found === 'a' ? undefined : found
    const right = foreign ? (left === undefined ? undefined : rows.right.get(left)) : rows.right.get(name)
    if (left === undefined ? kind === 'outerJoin' && right !== undefined : kind !== 'join' || right !== undefined)
      out.set(name, show(left, right))
  }
  return out
}

/** No group at zero: one that is empty and one that never was are the same. */
function sizes(rows: Iterable<string>): Record<string, number> {
  const sizes: Record<string, number> = {}
  for (const row of rows) sizes[row] = (sizes[row] ?? 0) + 1
  return sizes
}

async function play(flow: ReturnType<typeof topology>, steps: readonly Step[], partitions = 1) {
  const driver = new TopologyTestDriver(flow, { partitions })
  let timestamp = 0
  for (const step of steps)
    if (step.do === 'commit') await driver.commit()
    else if (step.do === 'crash') await driver.crash()
    else await driver.input(step.do).pipe({ key: step.key, value: step.value, timestamp: timestamp++ })
  await driver.commit()
  const out = driver.output<string, string>('out').readTable()
  const counts = [...driver.output<string, number>('counts').readTable()].filter(([, n]) => n !== 0)
  await driver.close()
  return { out, counts: Object.fromEntries(counts) }
}

const left = (value: string | null): Step => ({ do: 'left', key: 'a', value })
const right = (value: string | null): Step => ({ do: 'right', key: 'a', value })
const commit: Step = { do: 'commit' }
const inner = { kind: 'join', filtered: false, foreign: false } as const

describe('joins behind record caches', () => {
  it('property: the join of the final rows, and its groups', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(stepOf, { maxLength: 25, size: 'max' }),
        fc.record({
          kind: fc.constantFrom<Kind>('join', 'leftJoin', 'outerJoin'),
          left: size,
          right: size,
          filtered: fc.boolean(),
          foreign: fc.boolean(),
        }),
        fc.integer({ min: 1, max: 2 }),
        async (steps, drawn, partitions) => {
          const shape: Shape = { ...drawn, kind: drawn.foreign && drawn.kind === 'outerJoin' ? 'leftJoin' : drawn.kind }
          const { out, counts } = await play(flowOf(shape), steps, partitions)
          const rows = expected(steps, shape)
          expect(new Map([...out].sort())).toEqual(new Map([...rows].sort()))
          expect(counts).toEqual(sizes(rows.values()))
        },
      ),
      {
        numRuns: 150,
        examples: [
          // Both rows go within one epoch; one comes and goes while the other is there; both change.
          [[left('a'), right('a'), commit, left(null), right(null)], { ...inner, left: '1MiB', right: '1MiB' }, 1],
          [[left('b'), right('a'), left(null)], { ...inner, left: '1MiB', right: undefined }, 1],
          [[left('b'), right('b'), commit, left('c'), right('c')], { ...inner, left: '1MiB', right: '1MiB' }, 1],
        ],
      },
    )
  })
})

describe('a table that is joined with what is made of itself', () => {
  const flow = topology('itself', (t) => {
    const rows = t.table('left', { ...text, store: 'rows' })
    const pairs = rows.leftJoin(
      rows.mapValues((value) => value, { value: string() }),
      show,
      { value: string() },
    )
    pairs
      .filter((pair) => pair === 'aa')
      .toStream()
      .to('out', text)
    pairs
      .groupBy((pair) => [pair, pair], text)
      .count({ store: 'counts' })
      .toStream()
      .to('counts', count)
  })

  it('takes away from a group what it added to it, and from a filter what it let pass', async () => {
    expect(await play(flow, [left('a')])).toEqual({ out: new Map([['a', 'aa']]), counts: { aa: 1 } })
    expect(await play(flow, [left('a'), left('b')])).toEqual({ out: new Map(), counts: { bb: 1 } })
    expect(await play(flow, [left('a'), { do: 'crash' }, left('b'), commit, left(null)])).toEqual({ out: new Map(), counts: {} })
  })
})
