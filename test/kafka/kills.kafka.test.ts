// SIGKILL and SIGSTOP of real processes that share the work on a real Kafka. `npm run soak` does the same for longer.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningKafka, startKafka } from './broker.ts'
import { boundMs, runKills } from './faults-kill.ts'
import { runStops } from './faults-stop.ts'
import { runZombies } from './faults-zombie.ts'
import { SHORT, SHORT_BROKER } from './fleet.ts'
import { KAFKA } from './running.ts'

/** 10 s, and what a busy machine takes to start and end a process. */
const STOP_MS = 14_000
/** A process that ends at once, on a busy machine. */
const ENDS_MS = 6_000
const say = (text: string): void => console.info(text)
/** More than any recovery may take. */
const LATEST_MS = 60_000
/** In the proportions of the defaults: a dead member's transaction ends about when its session does. */
const SHORTER = { ...SHORT, transactionTimeoutMs: 5_000 }

/** One of a fleet's recoveries may be late, on a machine that does other things too: it loses and doubles nothing. runKills tells why. */
function expectSoon(recoveredMs: readonly number[], commitInterval: string): void {
  expect(recoveredMs.filter((ms) => ms > LATEST_MS)).toEqual([])
  const late = recoveredMs.filter((ms) => ms > boundMs(commitInterval))
  expect(late, `more than one took longer than ${boundMs(commitInterval)} ms`).toEqual(late.slice(0, 1))
}

describe.runIf(KAFKA)('processes die', () => {
  let kafka: RunningKafka
  beforeAll(async () => {
    kafka = await startKafka({ config: SHORT_BROKER })
  }, 180_000)
  afterAll(() => kafka?.stop(), 60_000)

  test('killed 20 and 12 times, 2 instances that commit every 100 ms and 3 that commit every 5 s; queries see whole epochs', {
    timeout: 600_000,
  }, async () => {
    const { brokers } = kafka
    const [often, seldom] = await Promise.all([
      runKills({ brokers, prefix: 'often-', commitInterval: '100ms', instances: 2, kills: 20, watched: true, limits: SHORTER }, say),
      runKills({ brokers, prefix: 'seldom-', commitInterval: '5s', instances: 3, kills: 12, watched: true }, say),
    ])
    for (const { wrong, events, glimpses } of [often, seldom]) {
      expect(wrong.slice(0, 10)).toEqual([])
      expect(events).toBeGreaterThan(1_000)
      say(`the stores were read meanwhile: ${JSON.stringify(glimpses)}`)
      expect(glimpses?.rows).toBeGreaterThan(50)
      expect(glimpses?.control).toBeGreaterThan(50)
      expect(glimpses?.samples).toBeGreaterThan(50)
      expect(glimpses?.refused, 'while a task is elsewhere or being restored').toBeGreaterThan(5)
    }
    // Of one epoch and whole, by the one that has all tasks while the other is away.
    expect(often.glimpses?.ranges).toBeGreaterThan(5)
    expectSoon(often.recoveredMs, '100ms')
    expectSoon(seldom.recoveredMs, '5s')
  })

  test('stopped in an open epoch and in each step of a commit, woken when others have their tasks', { timeout: 400_000 }, async () => {
    const load = { brokers: kafka.brokers, eventsPerSecond: 250 }
    const outcomes = await Promise.all([
      // As much as a broker gets before the barrier.
      runZombies({ ...load, prefix: 'open-', commitInterval: '5s', padBytes: 1_200, places: ['open', 'open', 'open', 'open'] }, say),
      runZombies({ ...load, prefix: 'sealed-', commitInterval: '100ms', places: ['sealed', 'offsets', 'ended'] }, say),
      runZombies({ ...load, prefix: 'ended-', commitInterval: '100ms', places: ['ended', 'sealed', 'offsets'] }, say),
    ])
    for (const { wrong, events } of outcomes) {
      expect(wrong.slice(0, 10)).toEqual([])
      expect(events).toBeGreaterThan(1_000)
    }
    expect(outcomes.flatMap(({ rejoinedMs }) => rejoinedMs)).toHaveLength(10)
  })

  test('stopped: by one signal and by two, in a restore, without a broker', { timeout: 400_000 }, async () => {
    const { wrong, stops } = await runStops({ brokers: kafka.brokers, prefix: 'stop-', commitInterval: '100ms' }, kafka, say)
    expect(wrong.slice(0, 10)).toEqual([])
    const how = (word: string) => stops.filter((stop) => stop.how.startsWith(word))
    expect(stops.filter(({ ms }) => ms > STOP_MS)).toEqual([])
    for (const { code, restored } of how('SIGTERM under load')) expect({ code, restored }).toEqual({ code: 0, restored: 0 })
    for (const { code } of how('SIGTERM in a restore')) expect(code).toBe(0)
    for (const { code, ms } of how('a second SIGTERM')) expect({ code, atOnce: ms < 1_000 + ENDS_MS }).toEqual({ code: 1, atOnce: true })
    expect(stops).toHaveLength(5)
  })
})

describe.runIf(KAFKA)('processes die on a cluster that has transactions of version 1 only', () => {
  let kafka: RunningKafka
  beforeAll(async () => {
    kafka = await startKafka({ config: SHORT_BROKER, features: { 'transaction.version': 1 } })
  }, 180_000)
  afterAll(() => kafka?.stop(), 60_000)

  test('killed and stopped in the middle of epochs', { timeout: 400_000 }, async () => {
    const { brokers } = kafka
    const [often, zombies] = await Promise.all([
      runKills({ brokers, prefix: 'often-', commitInterval: '100ms', instances: 2, kills: 6, limits: SHORTER }, say),
      runZombies(
        { brokers, prefix: 'sealed-', eventsPerSecond: 250, commitInterval: '100ms', places: ['sealed', 'offsets', 'ended'] },
        say,
      ),
    ])
    for (const { wrong, events } of [often, zombies]) {
      expect(wrong.slice(0, 10)).toEqual([])
      expect(events).toBeGreaterThan(1_000)
    }
    expectSoon(often.recoveredMs, '100ms')
  })
})
