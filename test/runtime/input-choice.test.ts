// Which input goes next, and how long an empty one is waited for: on a clock of the test's own.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LIMITS } from '../../src/base/limits.ts'
import { NO_HEADERS } from '../../src/base/record.ts'
import { InputChoice } from '../../src/runtime/input-choice.ts'
import { InputQueue } from '../../src/runtime/input-queue.ts'
import type { SourceEntry } from '../../src/runtime/program.ts'
import { runsOf } from '../support/tier.ts'

const entry = (carries: string): SourceEntry => ({ source: { carries, timestamp: null } }) as unknown as SourceEntry

class Inputs {
  nowMs = 0
  readonly queues: InputQueue[]
  readonly choice: InputChoice
  readonly order: string[] = []

  constructor(topics: readonly string[], maxIdleMs: number) {
    this.queues = topics.map((topic) => new InputQueue({ topic, partition: 0 }, [entry(topic === 'letters' ? topic : 'bytes')], 0))
    for (const queue of this.queues) queue.endOffset = 0
    this.choice = new InputChoice(this.queues, maxIdleMs, () => this.nowMs)
  }

  queue(topic: string): InputQueue {
    return this.queues.find((queue) => queue.topic === topic) as InputQueue
  }

  arrive(topic: string, ...timestamps: readonly number[]): void {
    const { fetched } = this.queue(topic)
    const records = timestamps.map((timestamp, i) => ({
      offset: fetched + i,
      timestamp,
      key: null,
      value: Buffer.from(`${topic}${timestamp}`),
      headers: NO_HEADERS,
    }))
    const position = fetched + records.length
    this.queue(topic).accept({ topic, partition: 0, records, bytes: 1, position, endOffset: position })
    this.run()
  }

  /** Takes all that may go. */
  run(): string[] {
    while (this.choice.ready()) {
      const queue = this.choice.next() as InputQueue
      this.order.push(String(queue.head()?.record.value))
      queue.shift()
    }
    return this.order
  }

  /** To that time, with a look wherever a wait ends. */
  until(ms: number): string[] {
    for (this.run(); this.choice.endsAtMs <= ms; this.run()) this.nowMs = this.choice.endsAtMs
    this.nowMs = ms
    return this.run()
  }
}

test('by time, as long as both have something; an input at its end is waited for once, for maxIdle', () => {
  const inputs = new Inputs(['a', 'b'], 100)
  inputs.arrive('a', 10, 30)
  expect(inputs.order).toEqual([])
  inputs.nowMs = 50
  inputs.arrive('b', 20)
  expect(inputs.order).toEqual(['a10', 'b20'])
  expect(inputs.until(149)).toEqual(['a10', 'b20'])
  expect(inputs.until(150)).toEqual(['a10', 'b20', 'a30'])
  expect(inputs.choice.waitedOut).toBe(1)
  inputs.arrive('a', 40) // b has had its wait
  expect(inputs.order.at(-1)).toBe('a40')
  inputs.arrive('b', 35)
  inputs.arrive('a', 50)
  expect(inputs.order.at(-1)).toBe('b35')
  expect(inputs.until(1_000).at(-1)).toBe('a50')
  expect(inputs.choice.waitedOut).toBe(2)
})

test('0: one at its end is not waited for; one that has more is, for a second', () => {
  const inputs = new Inputs(['a', 'b'], 0)
  inputs.arrive('a', 10)
  expect(inputs.order).toEqual(['a10'])
  inputs.queue('b').endOffset = 1
  inputs.arrive('a', 20)
  expect(inputs.until(LIMITS.inputWaitMs - 1)).toEqual(['a10'])
  expect(inputs.until(LIMITS.inputWaitMs)).toEqual(['a10', 'a20'])
  expect(inputs.choice.waitedOut).toBe(1)
})

test('-1: neither is. A single input costs no look at a clock, dead letters are waited for only where there are some', () => {
  const none = new Inputs(['a', 'b'], -1)
  none.queue('b').endOffset = 5
  none.arrive('a', 10)
  expect(none.order).toEqual(['a10'])
  const single = new InputChoice(new Inputs(['a'], 100).queues, 100, () => {
    throw new Error('looked')
  })
  expect(single.ready()).toBe(false)
  const letters = new Inputs(['a', 'letters'], 100)
  letters.arrive('a', 10)
  expect(letters.order).toEqual(['a10'])
  letters.queue('letters').endOffset = 1
  letters.arrive('a', 20)
  expect(letters.order).toEqual(['a10'])
  letters.arrive('letters', 0)
  expect(letters.order).toEqual(['a10', 'letters0', 'a20'])
})

test('an input that is held is not chosen, be it the only one', () => {
  for (const topics of [['a'], ['a', 'b']]) {
    const inputs = new Inputs(topics, -1)
    const a = inputs.queue('a')
    inputs.choice.held.add(a)
    inputs.arrive('a', 1)
    expect([inputs.choice.ready(), inputs.choice.next()]).toEqual([false, null])
    inputs.choice.held.clear()
    expect([inputs.choice.ready(), inputs.choice.next()]).toEqual([true, a])
    inputs.run()
    expect(inputs.choice.next()).toBeNull()
  }
})

test('property: as long as no input is silent for maxIdle, records go by their times, however far the one is behind the other', {
  timeout: 120_000,
}, () => {
  const arrival = fc.record({ step: fc.nat(20), gapMs: fc.nat(99) })
  const some = fc.array(arrival, { minLength: 1, maxLength: 12 })
  const inputs = fc.record({ a: some, b: some, c: fc.array(arrival, { maxLength: 12 }) })
  fc.assert(
    fc.property(inputs, (given) => {
      const topics = Object.entries(given).filter(([, list]) => list.length > 0)
      const it = new Inputs(
        topics.map(([topic]) => topic),
        100,
      )
      const all = topics.flatMap(([topic, list]) => {
        let [timestamp, atMs] = [0, 0]
        return list.map(({ step, gapMs }) => {
          timestamp += step
          atMs += gapMs
          return { topic, timestamp, atMs }
        })
      })
      for (const { topic, timestamp, atMs } of [...all].sort((x, y) => x.atMs - y.atMs)) {
        it.until(atMs)
        it.arrive(topic, timestamp)
      }
      const order = it.until(10_000).map((text) => Number(text.slice(1)))
      expect(order).toEqual(all.map(({ timestamp }) => timestamp).sort((x, y) => x - y))
    }),
    { numRuns: runsOf(1_000, 20_000) },
  )
})
