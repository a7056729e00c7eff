// Aggregates, tables and their joins against plain Maps: random histories, out of order, with null keys and tombstones, on 1 to 3 partitions,
// with commits and crashes at random places.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { string, type Table, type Topology, topology } from '../../src/index.ts'
import type { JoinType } from '../../src/topology/node.ts'
import { runsOf } from '../support/tier.ts'
import { expectedBy, type Input, inputsOf, type Output, play, type Step, steps } from './crashing.ts'

const text = { key: string(), value: string() }
const pair = (l: string | null | undefined, r: string | null | undefined): string => `${l ?? '-'}/${r ?? '-'}`
const KEYS = ['a', 'b', 'c', 'd', null] as const
const RUNS = { numRuns: runsOf(60, 400) }
const TIMEOUT = { timeout: 300_000 }

const cases = (...topics: string[]) =>
  fc.record({ partitions: fc.integer({ min: 1, max: 3 }), all: steps({ topics, keys: KEYS, timeMax: 10, steps: 50 }) })

async function check(
  made: Topology,
  partitions: number,
  all: readonly Step[],
  oracle: (inputs: readonly Input[]) => Output[],
): Promise<void> {
  expect(await play(made, partitions, all)).toEqual(expectedBy(partitions, all, oracle))
}

interface Row {
  readonly value: string
  readonly timestamp: number
}

/** A table of a topic: answers the row before. */
function tables(): (topic: string) => Map<string, Row> {
  const all = new Map<string, Map<string, Row>>()
  return (topic) => {
    const table = all.get(topic) ?? new Map<string, Row>()
    all.set(topic, table)
    return table
  }
}

function write(table: Map<string, Row>, key: string, value: string | null, timestamp: number): void {
  if (value === null) table.delete(key)
  else table.set(key, { value, timestamp })
}

test('a table, what is filtered and mapped from it, each kept in a store', TIMEOUT, async () => {
  const isLow = (value: string): boolean => Number(value.slice(1)) % 3 === 0
  const made = topology('joins', (t) => {
    const rows = t.table('in', { ...text, store: 'rows' })
    rows
      .filter(isLow, { store: 'low' })
      .mapValues((value) => `${value}!`, { store: 'mapped', value: string() })
      .toStream()
      .to('out', text)
  })
  await fc.assert(
    fc.asyncProperty(cases('in'), async ({ partitions, all }) => {
      await check(made, partitions, all, (inputs) => {
        const rows = new Map<string, Row>()
        return inputs.flatMap(({ key, value, timestamp }): Output[] => {
          if (key === null) return []
          const before = rows.get(key)?.value
          write(rows, key, value, timestamp)
          const [was, is] = [before !== undefined && isLow(before), value !== null && isLow(value)]
          return was || is ? [[key, is ? `${value}!` : null, timestamp]] : []
        })
      })
    }),
    RUNS,
  )
})

describe('aggregates of a stream', () => {
  const forms = {
    aggregate: (state: string | null, value: string): string | null => (Number(value.slice(1)) % 7 === 0 ? null : `${state ?? ''}${value}`),
    reduce: (state: string | null, value: string): string | null => (state === null ? value : `${value}${state}`.slice(0, 9)),
  }
  for (const form of ['aggregate', 'reduce'] as const) {
    test(`${form}: the state and the greatest timestamp`, TIMEOUT, async () => {
      const made = topology('joins', (t) => {
        const grouped = t.stream('in', text).groupByKey()
        const options = { store: 'state', value: string() }
        const table: Table<string, string> =
          form === 'reduce'
            ? grouped.reduce((state, value) => forms.reduce(state, value), { store: 'state' })
            : grouped.aggregate(
                () => '',
                (state, value) => forms.aggregate(state, value),
                options,
              )
        table.toStream().to('out', text)
      })
      await fc.assert(
        fc.asyncProperty(cases('in'), async ({ partitions, all }) => {
          await check(made, partitions, all, (inputs) => {
            const rows = new Map<string, Row>()
            return inputs.flatMap(({ key, value, timestamp }): Output[] => {
              if (key === null || value === null) return []
              const before = rows.get(key)
              const state = forms[form](before?.value ?? null, value)
              const at = Math.max(before?.timestamp ?? -1, timestamp)
              write(rows, key, state, at)
              return [[key, state, at]]
            })
          })
        }),
        RUNS,
      )
    })
  }
})

describe('joins of tables by key', () => {
  const joining = (type: JoinType, kept: boolean): Topology =>
    topology('joins', (t) => {
      const [left, right] = [t.table('left', text), t.table('right', text)]
      const options = { value: string(), ...(kept ? { store: 'joined' } : {}) }
      const joined =
        type === 'inner'
          ? left.join(right, pair, options)
          : type === 'left'
            ? left.leftJoin(right, pair, options)
            : left.outerJoin(right, pair, options)
      joined.toStream().to('out', text)
    })

  /** The rules of Kafka Streams, one by one. */
  const oracle = (type: JoinType, inputs: readonly Input[]): Output[] => {
    const of = tables()
    return inputs.flatMap(({ topic, key, value, timestamp }): Output[] => {
      if (key === null) return []
      const isLeft = topic === 'left'
      const [mine, others] = isLeft ? [of('left'), of('right')] : [of('right'), of('left')]
      const old = mine.get(key)
      write(mine, key, value, timestamp)
      const other = others.get(key)
      const at = Math.max(timestamp, other?.timestamp ?? -1)
      const joined = isLeft ? pair(value, other?.value) : pair(other?.value, value)
      if (type === 'inner') return other === undefined ? [] : [[key, value === null ? null : joined, at]]
      if (type === 'left' && !isLeft) return other === undefined ? [] : [[key, joined, at]]
      if (other === undefined && value === null && old === undefined) return []
      const isRow = type === 'left' ? value !== null : value !== null || other !== undefined
      return [[key, isRow ? joined : null, at]]
    })
  }

  for (const type of ['inner', 'left', 'outer'] as const) {
    test(type, TIMEOUT, async () => {
      await fc.assert(
        fc.asyncProperty(cases('left', 'right'), fc.boolean(), async ({ partitions, all }, kept) => {
          await check(joining(type, kept), partitions, all, (inputs) => oracle(type, inputs))
        }),
        RUNS,
      )
    })
  }
})

test.each(['inner', 'left'] as const)('%s join of a stream with a table: its present row, at the stream’s time', TIMEOUT, async (type) => {
  const made = topology('joins', (t) => {
    const [stream, table] = [t.stream('in', text), t.table('table', text)]
    const joined = type === 'inner' ? stream.join(table, pair, { value: string() }) : stream.leftJoin(table, pair, { value: string() })
    joined.to('out', text)
  })
  await fc.assert(
    fc.asyncProperty(cases('in', 'table'), async ({ partitions, all }) => {
      await check(made, partitions, all, (inputs) => {
        const rows = new Map<string, Row>()
        return inputs.flatMap(({ topic, key, value, timestamp }): Output[] => {
          if (topic === 'table') {
            if (key !== null) write(rows, key, value, timestamp)
            return []
          }
          const row = key === null ? undefined : rows.get(key)
          if (value === null || (type === 'inner' && row === undefined)) return []
          return [[key, pair(value, row?.value), timestamp]]
        })
      })
    }),
    RUNS,
  )
})

/** The last row of each key over all partitions; deleted ones are not there. */
function lastOf(outs: readonly (readonly Output[])[]): Map<string | null, string> {
  const rows = new Map<string | null, string>()
  for (const [key, value] of outs.flat()) value === null ? rows.delete(key) : rows.set(key, value)
  return rows
}

function finalTable(all: readonly Step[], topic: string): Map<string, string> {
  const rows = new Map<string, string>()
  for (const { topic: of, key, value } of inputsOf(all)) {
    if (of !== topic || key === null) continue
    if (value === null) rows.delete(key)
    else rows.set(key, value)
  }
  return rows
}

const group = (value: string): string => `g${Number(value.slice(1)) % 4}`

test('aggregates of a table: those of its final rows', TIMEOUT, async () => {
  const made = topology('joins', (t) => {
    t.table('in', text)
      .groupBy((value) => [group(value), value], text)
      .aggregate(
        () => '',
        (state, value) => [...state.split(' ').filter(Boolean), value].sort().join(' '),
        (state, value) => {
          const values = state.split(' ')
          if (!values.includes(value)) throw new Error(`${value} was never added`)
          return values.filter((each) => each !== value).join(' ')
        },
        { store: 'groups', value: string() },
      )
      .toStream()
      .to('out', text)
  })
  await fc.assert(
    fc.asyncProperty(cases('in'), async ({ partitions, all }) => {
      const expected = new Map<string, string>()
      for (const value of [...finalTable(all, 'in').values()].sort())
        expected.set(group(value), `${expected.get(group(value)) ?? ''} ${value}`.trim())
      const found = lastOf(await play(made, partitions, all))
      for (const [key, value] of found) if (value === '') found.delete(key) // a group that has become empty
      expect(found).toEqual(expected)
    }),
    RUNS,
  )
})

test.each(['inner', 'left'] as const)('%s join by foreign key: that of the final tables', TIMEOUT, async (type) => {
  const foreign = (value: string): string | null => ['a', 'b', 'c', null][Number(value.slice(1)) % 4] as string | null
  const made = topology('joins', (t) => {
    const [left, right] = [t.table('left', text), t.table('right', text)]
    const options = { store: 'joined', value: string() }
    const joined = type === 'inner' ? left.join(right, foreign, pair, options) : left.leftJoin(right, foreign, pair, options)
    joined.toStream().to('out', text)
  })
  await fc.assert(
    fc.asyncProperty(cases('left', 'right'), async ({ partitions, all }) => {
      const right = finalTable(all, 'right')
      const expected = new Map<string, string>()
      for (const [key, value] of finalTable(all, 'left')) {
        const other = right.get(foreign(value) ?? '')
        if (type === 'left' || other !== undefined) expected.set(key, pair(value, other))
      }
      expect(lastOf(await play(made, partitions, all))).toEqual(expected)
    }),
    RUNS,
  )
})
