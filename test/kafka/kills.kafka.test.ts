// SIGKILL and SIGSTOP of real processes that share the work on a real Kafka. `npm run soak` does the same for longer.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningKafka, startKafka } from './broker.ts'
import { runKills } from './faults-kill.ts'
import { runZombies } from './faults-zombie.ts'
import { SHORT, SHORT_BROKER } from './fleet.ts'
import { KAFKA } from './running.ts'

const say = (text: string): void => console.info(text)
/** What is there to be seen of a recovery is a commit, so its interval comes on top. */
const boundMs = (intervalMs: number): number => SHORT.sessionTimeoutMs + 5_000 + intervalMs

describe.runIf(KAFKA)('processes die', () => {
  let kafka: RunningKafka
  beforeAll(async () => {
    kafka = await startKafka({ config: SHORT_BROKER })
  }, 180_000)
  afterAll(() => kafka?.stop(), 60_000)

  test('killed 20 times, 2 instances that commit every 100 ms and 3 that commit every 5 s', { timeout: 400_000 }, async () => {
    const { brokers } = kafka
    const [often, seldom] = await Promise.all([
      runKills({ brokers, prefix: 'often-', commitInterval: '100ms', instances: 2, kills: 10 }, say),
      runKills({ brokers, prefix: 'seldom-', commitInterval: '5s', instances: 3, kills: 10 }, say),
    ])
    for (const { wrong, events } of [often, seldom]) {
      expect(wrong.slice(0, 10)).toEqual([])
      expect(events).toBeGreaterThan(1_000)
    }
    expect(often.recoveredMs.filter((ms) => ms > boundMs(100))).toEqual([])
    expect(seldom.recoveredMs.filter((ms) => ms > boundMs(5_000))).toEqual([])
  })

  test('stopped in an open epoch and in each step of a commit, woken when others have their tasks', { timeout: 400_000 }, async () => {
    const load = { brokers: kafka.brokers, eventsPerSecond: 250 }
    const outcomes = await Promise.all([
      // As much as a broker gets before the barrier.
      runZombies({ ...load, prefix: 'open-', commitInterval: '5s', padBytes: 1_200, places: ['open', 'open'] }, say),
      runZombies({ ...load, prefix: 'sealed-', commitInterval: '100ms', places: ['sealed', 'offsets'] }, say),
      runZombies({ ...load, prefix: 'ended-', commitInterval: '100ms', places: ['ended', 'sealed'] }, say),
    ])
    for (const { wrong, events } of outcomes) {
      expect(wrong.slice(0, 10)).toEqual([])
      expect(events).toBeGreaterThan(1_000)
    }
    expect(outcomes.flatMap(({ rejoinedMs }) => rejoinedMs)).toHaveLength(6)
  })
})
