// Tasks that move on a real Kafka: by brokers that die, by instances that come and go, by restarts. `npm run soak` does it for longer.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningKafka, startKafka } from './broker.ts'
import { runBounces, runComings, runDownAtStart, runRolling, runTwoDown } from './faults-move.ts'
import { SHORT, SHORT_BROKER } from './fleet.ts'
import { KAFKA } from './running.ts'

/** 2 s on a quiet machine, and then some: the test run has the machine for itself seldom enough. */
const WORKS_AGAIN_MS = 15_000
/** 10 s are its own, and a busy machine takes some to end a process. */
const STOPPED_MS = 15_000
/** From the return of the brokers to all processed. */
const BROKERS_BACK_MS = 60_000
const say = (text: string): void => console.info(text)

describe.runIf(KAFKA)('tasks move', () => {
  let kafka: RunningKafka
  beforeAll(async () => {
    kafka = await startKafka({ nodes: 3, config: SHORT_BROKER })
  }, 180_000)
  afterAll(() => kafka?.stop(), 60_000)

  test('every second an instance comes and the oldest is stopped', { timeout: 600_000 }, async () => {
    const { wrong, events, stopped } = await runComings(
      { brokers: kafka.brokers, prefix: 'come-', commitInterval: '100ms', watched: true },
      60,
      say,
    )
    expect(wrong.slice(0, 10)).toEqual([])
    expect(events).toBeGreaterThan(1_000)
    expect(stopped.length).toBeGreaterThan(50)
    // Whether each ended in time is judged below, where an instance is stopped in a quiet group.
    for (const how of stopped.filter((each) => each !== '0')) say(how)
  })

  test('each of three instances is stopped under load and started again: no task moves, none restores', { timeout: 600_000 }, async () => {
    const limits = { ...SHORT, sessionTimeoutMs: 30_000 } // a start on a busy machine takes longer than the short one
    const options = { brokers: kafka.brokers, prefix: 'roll-', commitInterval: '100ms', eventsPerSecond: 1_000, limits }
    const outcome = await runRolling(options, 1, say)
    expect(outcome.wrong.slice(0, 10)).toEqual([])
    expect(outcome.codes).toEqual([0, 0, 0])
    expect(outcome.stopMs.filter((ms) => ms > STOPPED_MS)).toEqual([])
    expect(outcome.recoveredMs.filter((ms) => ms > WORKS_AGAIN_MS)).toEqual([])
    expect(outcome.moved, 'instances that had other tasks afterwards').toBe(0)
    expect(outcome.restored, 'records restored by the next starts').toEqual([0, 0, 0])
  })

  test('brokers are killed and come back, five times', { timeout: 600_000 }, async () => {
    const { wrong, events } = await runBounces(
      { brokers: kafka.brokers, prefix: 'bounce-', commitInterval: '100ms', watched: true },
      kafka,
      5,
      say,
    )
    expect(wrong.slice(0, 10)).toEqual([])
    expect(events).toBeGreaterThan(1_000)
  })

  test('two of three brokers are down for a while', { timeout: 600_000 }, async () => {
    const { wrong, events, recoveredMs } = await runTwoDown({ brokers: kafka.brokers, prefix: 'two-', commitInterval: '100ms' }, kafka, say)
    expect(wrong.slice(0, 10)).toEqual([])
    expect(events).toBeGreaterThan(1_000)
    expect(recoveredMs.filter((ms) => ms > BROKERS_BACK_MS)).toEqual([])
  })

  test('a broker is down when the instances start', { timeout: 600_000 }, async () => {
    const { wrong, recoveredMs } = await runDownAtStart({ brokers: kafka.brokers, prefix: 'start-', commitInterval: '100ms' }, kafka, say)
    expect(wrong.slice(0, 10)).toEqual([])
    expect(recoveredMs.filter((ms) => ms > BROKERS_BACK_MS)).toEqual([])
  })
})
