// Many events through a chain of topologies whose members change all the time. `npm run soak` does it with more.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningKafka, startKafka } from './broker.ts'
import { differences, runBulk } from './faults-bulk.ts'
import { SHORT_BROKER } from './fleet.ts'
import { KAFKA } from './running.ts'

const EVENTS = 50_000
const say = (text: string): void => console.info(text)

describe.runIf(KAFKA)('many events', () => {
  let kafka: RunningKafka
  beforeAll(async () => {
    kafka = await startKafka({ config: SHORT_BROKER })
  }, 180_000)
  afterAll(() => kafka?.stop(), 60_000)

  test('each once at each of three levels, over members that come, are stopped and are killed', { timeout: 400_000 }, async () => {
    const { wrong, passed } = await runBulk(
      { brokers: kafka.brokers, prefix: 'bulk-', events: EVENTS, changes: 2, commitIntervals: ['100ms', '1s', '100ms'] },
      say,
    )
    expect(wrong.slice(0, 10)).toEqual([])
    expect(passed).toEqual([EVENTS, EVENTS, EVENTS, EVENTS])
  })
})

test('what is lost, doubled or numbered wrongly is seen', () => {
  const record = (id: number, n: number, key = 'k') => ({
    partition: 0,
    offset: 0,
    timestamp: 0,
    key: Buffer.from(key),
    value: Buffer.from(JSON.stringify({ id, n })),
  })
  const input = [record(0, 0), record(1, 0)]
  expect(differences(input, [record(0, 1), record(1, 2)], 1)).toEqual([])
  expect(differences(input, [record(0, 1)], 1)).toEqual(['level 1: event 1 is lost'])
  expect(differences(input, [record(0, 1), record(1, 2), record(1, 3)], 2)).toEqual(['level 2: event 1 is there twice'])
  expect(differences(input, [record(0, 2), record(1, 3)], 3)).toHaveLength(1)
})
