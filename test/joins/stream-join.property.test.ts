// Joins of streams against the definition: all records in plain lists, nothing expired, each rule a filter.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { topology } from '../../src/dsl/topology.ts'
import { within } from '../../src/dsl/within.ts'
import { string } from '../../src/serde/text.ts'
import type { JoinType, Topology } from '../../src/topology/node.ts'
import { expectedBy, type Input, type Output, play, steps } from './crashing.ts'
import { runsOf } from '../support/tier.ts'

const text = { key: string(), value: string() }
const pair = (l: string | null | undefined, r: string | null | undefined): string => `${l ?? '-'}/${r ?? '-'}`

interface Window {
  readonly before: number
  readonly after: number
  readonly grace: number
}

function joining(type: JoinType, { before, after, grace }: Window): Topology {
  return topology('joins', (t) => {
    const left = t.stream('left', text)
    const right = t.stream('right', text)
    const window = within(0, { before, after, grace })
    const options = { store: 'joined', value: string() }
    const joined =
      type === 'inner'
        ? left.join(right, pair, window, options)
        : type === 'left'
          ? left.leftJoin(right, pair, window, options)
          : left.outerJoin(right, pair, window, options)
    joined.to('out', text)
  })
}

function oracle(type: JoinType, { before, after, grace }: Window): (inputs: readonly Input[]) => Output[] {
  return (inputs) => {
    const out: Output[] = []
    const seen: Input[] = []
    let waiting: Input[] = []
    const kept = { left: type !== 'inner', right: type === 'outer' }
    const sideOf = (input: Input) => input.topic as 'left' | 'right'
    const ahead = (input: Input) => (sideOf(input) === 'left' ? after : before)
    const behind = (input: Input) => (sideOf(input) === 'left' ? before : after)
    const times = { left: -1, right: -1 }
    const shown = (mine: Input, other: Input | null) =>
      sideOf(mine) === 'left' ? pair(mine.value, other?.value) : pair(other?.value, mine.value)
    const alone = (input: Input) => out.push([input.key, shown(input, null), input.timestamp])
    const order = (a: Input, b: Input) =>
      a.timestamp - b.timestamp ||
      Number(sideOf(a) === 'left') - Number(sideOf(b) === 'left') ||
      (`${a.key}` < `${b.key}` ? -1 : a.key === b.key ? 0 : 1)
    for (const input of inputs) {
      const { key, value, timestamp } = input
      times[sideOf(input)] = Math.max(times[sideOf(input)], timestamp)
      const streamTime = Math.max(times.left, times.right)
      if (value === null) continue
      if (key === null) {
        if (kept[sideOf(input)]) alone(input)
        continue
      }
      if (timestamp === streamTime) {
        const over = waiting.filter((each) => each.timestamp + ahead(each) + grace < streamTime)
        waiting = waiting.filter((each) => !over.includes(each))
        over.toSorted(order).forEach(alone)
      }
      const keptFrom = (side: 'left' | 'right') => times[side] - before - after - grace
      const matches = seen
        .filter((other) => other.topic !== input.topic && other.key === key && other.timestamp >= keptFrom(sideOf(other)))
        .filter((other) => other.timestamp >= timestamp - behind(input) && other.timestamp <= timestamp + ahead(input))
        .toSorted((a, b) => a.timestamp - b.timestamp)
      for (const other of matches) out.push([key, shown(input, other), Math.max(timestamp, other.timestamp)])
      waiting = waiting.filter((each) => !matches.includes(each))
      if (matches.length === 0 && kept[sideOf(input)]) {
        if (timestamp + ahead(input) < streamTime) alone(input)
        else waiting.push(input)
      }
      if (timestamp >= keptFrom(sideOf(input))) seen.push(input)
    }
    return out
  }
}

const windows = fc.record({
  before: fc.integer({ min: 0, max: 12 }),
  after: fc.integer({ min: 0, max: 12 }),
  grace: fc.integer({ min: 0, max: 8 }),
})

describe.each(['inner', 'left', 'outer'] as const)('%s join of streams', (type) => {
  test(
    'is the join of the definition, whatever the order and wherever it crashes',
    async () => {
      const input = steps({ topics: ['left', 'right'], keys: ['a', 'b', 'ab', null], timeMax: 8, steps: 60 })
      await fc.assert(
        fc.asyncProperty(windows, fc.integer({ min: 1, max: 3 }), input, async (window, partitions, all) => {
          expect(await play(joining(type, window), partitions, all)).toEqual(expectedBy(partitions, all, oracle(type, window)))
        }),
        { numRuns: runsOf(150, 3_000) },
      )
    },
    runsOf(60_000, 600_000),
  )
})
