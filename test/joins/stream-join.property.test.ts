// Joins of streams against the definition: all records in plain lists, nothing expired, each rule a filter.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { topology } from '../../src/dsl/topology.ts'
import { within } from '../../src/dsl/within.ts'
import { string } from '../../src/serde/text.ts'
import type { JoinType, Topology } from '../../src/topology/node.ts'
import { expectedBy, type Input, type Output, play, steps } from './crashing.ts'
import { PLAIN, run } from '../support/every-step.ts'
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
        { numRuns: runsOf(150, 3_000), interruptAfterTimeLimit: 20_000 },
      )
    },
    runsOf(60_000, 600_000),
  )
})

describe('join of a stream with itself', () => {
  const itself = ({ before, after, grace }: Window): Topology =>
    topology('joins', (t) => {
      const left = t.stream('left', text)
      left.join(left, pair, within(0, { before, after, grace }), { store: 'joined', value: string() }).to('out', text)
    })

  /** Each new record first with those before it, then those before it, and itself, with the new one. */
  const pairs = ({ before, after, grace }: Window) => {
    return (inputs: readonly Input[]): Output[] => {
      const out: Output[] = []
      const seen: Input[] = []
      let time = -1
      for (const input of inputs) {
        const { key, value, timestamp } = input
        time = Math.max(time, timestamp)
        if (value === null || key === null) continue
        const near = (from: number, to: number) =>
          seen
            .filter((other) => other.key === key && other.timestamp >= time - before - after - grace)
            .filter((other) => other.timestamp >= timestamp - from && other.timestamp <= timestamp + to)
            .toSorted((a, b) => a.timestamp - b.timestamp)
        for (const old of near(before, after)) out.push([key, pair(value, old.value), Math.max(timestamp, old.timestamp)])
        if (timestamp >= time - before - after - grace) seen.push(input)
        for (const old of near(after, before)) out.push([key, pair(old.value, value), Math.max(timestamp, old.timestamp)])
      }
      return out
    }
  }

  test(
    'is that of the definition, on one store that holds each record once',
    async () => {
      const input = steps({ topics: ['left'], keys: ['a', 'b', 'ab', null], timeMax: 8, steps: 40 })
      await fc.assert(
        fc.asyncProperty(windows, fc.integer({ min: 1, max: 3 }), input, async (window, partitions, all) => {
          expect(await play(itself(window), partitions, all)).toEqual(expectedBy(partitions, all, pairs(window)))
        }),
        { numRuns: runsOf(80, 1_000) },
      )
      const { stores } = await run(
        itself({ before: 5, after: 5, grace: 0 }),
        1,
        [{ topic: 'left', key: 'a', value: 'once', timestamp: 3 }],
        PLAIN,
      )
      expect(stores['0_0/joined']?.filter((row) => row.includes('once'))).toHaveLength(1)
    },
    runsOf(60_000, 600_000),
  )
})
