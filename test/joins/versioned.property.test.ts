// Versioned tables in joins against the definition: what held when, found by looking through all records.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { topology } from '../../src/dsl/topology.ts'
import { string } from '../../src/serde/text.ts'
import type { Topology } from '../../src/topology/node.ts'
import { expectedBy, type Input, type Output, play, steps } from './crashing.ts'
import { runsOf } from '../support/tier.ts'

const text = { key: string(), value: string() }
const pair = (l: string | null | undefined, r: string | null | undefined): string => `${l ?? '-'}/${r ?? '-'}`
const options = { value: string() }

/** A versioned table as a list of what it took. */
function history(retention: number) {
  const taken: Input[] = []
  let observed = -1
  const versionsOf = (key: string | null) => taken.filter((each) => each.key === key)
  const latest = (key: string | null) =>
    versionsOf(key).reduce<Input | null>((a, b) => (a === null || b.timestamp >= a.timestamp ? b : a), null)
  return {
    latest,
    /** Whether it is the key's latest; null: too late. */
    put(input: Input): boolean | null {
      if (input.timestamp < observed - retention) return null
      observed = Math.max(observed, input.timestamp)
      const before = latest(input.key)
      taken.push(input)
      return before === null || input.timestamp >= before.timestamp
    },
    at(key: string | null, asOf: number): string | null {
      const present = latest(key)
      if (present !== null && present.timestamp <= asOf) return present.value
      if (asOf < observed - retention) return null
      return (
        versionsOf(key)
          .filter((each) => each.timestamp <= asOf)
          .reduce<Input | null>((a, b) => (a === null || b.timestamp >= a.timestamp ? b : a), null)?.value ?? null
      )
    },
  }
}

const durations = fc.record({
  retention: fc.integer({ min: 0, max: 30 }),
  grace: fc.option(fc.integer({ min: 0, max: 30 }), { nil: null }),
})
const partitionCounts = fc.integer({ min: 1, max: 3 })
const input = steps({ topics: ['left', 'right'], keys: ['a', 'b', 'ab', null], timeMax: 8, steps: 60 })

describe.each(['inner', 'left'] as const)('%s join of a stream with a versioned table', (type) => {
  function joining(retention: number, grace: number | null): Topology {
    return topology('joins', (t) => {
      const right = t.table('right', { ...text, store: 'rows', versioned: retention })
      const joinOptions = grace === null ? options : { ...options, grace }
      const left = t.stream('left', text)
      const joined = type === 'inner' ? left.join(right, pair, joinOptions) : left.leftJoin(right, pair, joinOptions)
      joined.to('out', text)
    })
  }

  function oracle(retention: number, grace: number | null) {
    return (inputs: readonly Input[]): Output[] => {
      const out: Output[] = []
      const table = history(retention)
      let waiting: Input[] = []
      let streamTime = -1
      const meet = ({ key, value, timestamp }: Input) => {
        const row = key === null ? null : table.at(key, timestamp)
        if (row !== null || type === 'left') out.push([key, pair(value, row), timestamp])
      }
      for (const each of inputs) {
        if (each.topic === 'right') {
          if (each.key !== null) table.put(each)
          continue
        }
        if (each.value === null || (each.key === null && type === 'inner')) continue
        if (grace === null || each.key === null) {
          meet(each)
          continue
        }
        streamTime = Math.max(streamTime, each.timestamp)
        if (each.timestamp < streamTime - grace) {
          meet(each)
          continue
        }
        waiting.push(each)
        const due = waiting.filter(({ timestamp }) => timestamp <= streamTime - grace)
        waiting = waiting.filter((one) => !due.includes(one))
        due.toSorted((a, b) => a.timestamp - b.timestamp || (`${a.key}` < `${b.key}` ? -1 : a.key === b.key ? 0 : 1)).forEach(meet)
      }
      return out
    }
  }

  test(
    'meets the row that held at the record’s time, whatever the order and wherever it crashes',
    async () => {
      await fc.assert(
        fc.asyncProperty(durations, partitionCounts, input, async (drawn, partitions, all) => {
          const grace = drawn.grace === null ? null : Math.min(drawn.grace, drawn.retention)
          expect(await play(joining(drawn.retention, grace), partitions, all)).toEqual(
            expectedBy(partitions, all, oracle(drawn.retention, grace)),
          )
        }),
        { numRuns: runsOf(150, 2_000) },
      )
    },
    runsOf(60_000, 600_000),
  )
})

test(
  'a table join hears the latest versions only, whatever the order and wherever it crashes',
  async () => {
    const retention = 20
    const joining = topology('joins', (t) => {
      const left = t.table('left', { ...text, store: 'left-rows', versioned: retention })
      const right = t.table('right', { ...text, versioned: retention }).mapValues((value) => `${value}!`, options)
      left.outerJoin(right, pair, options).toStream().to('out', text)
    })
    const oracle = (inputs: readonly Input[]): Output[] => {
      const out: Output[] = []
      const tables = { left: history(retention), right: history(retention) }
      for (const each of inputs) {
        const side = each.topic as 'left' | 'right'
        const other = side === 'left' ? 'right' : 'left'
        if (each.key === null) continue
        const old = tables[side].latest(each.key)?.value ?? null
        if (tables[side].put(each) !== true) continue
        const met = tables[other].latest(each.key)
        const row = met?.value ?? null
        if (row === null && each.value === null && old === null) continue
        const [l, r] = side === 'left' ? [each.value, row] : [row, each.value]
        const at = met === null || met.value === null ? each.timestamp : Math.max(each.timestamp, met.timestamp)
        out.push([each.key, l === null && r === null ? null : pair(l, r === null ? null : `${r}!`), at])
      }
      return out
    }
    await fc.assert(
      fc.asyncProperty(partitionCounts, input, async (partitions, all) => {
        expect(await play(joining, partitions, all)).toEqual(expectedBy(partitions, all, oracle))
      }),
      { numRuns: runsOf(150, 2_000) },
    )
  },
  runsOf(60_000, 600_000),
)
