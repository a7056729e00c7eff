// Every system of topologies/ on one real Kafka, as `npm run scenario <name> -- --brokers` runs it: all of its parts at once, each killed
// with SIGKILL while it works. Of the orders, payment and warehouse stay dead until the others have done what they can, and loyalty comes last.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runScenario } from '../support/scenario.ts'
import { type RunningKafka, startKafka } from './broker.ts'
import { KAFKA, open } from './running.ts'

const PARTS = {
  catalog: /^SIGKILL to catalog, saves, spread, bundles,/,
  wallet: /^SIGKILL to wallet, profiles,/,
  orders:
    /^SIGKILL to inventory, payment, warehouse, notification, analytics, audit, the relay of the outbox \(behind \d+ rows\), .*\ninventory, analytics: done, while payment, warehouse lay dead\nloyalty came, was killed, and came again\noutbox: \d+ records\n/,
  engagements: /^SIGKILL to engagements,/,
  pipeline: /^SIGKILL to pipeline,/,
}

describe.runIf(KAFKA)('npm run scenario', () => {
  let kafka: RunningKafka
  beforeAll(async () => {
    kafka = await startKafka()
  }, 180_000)
  afterAll(() => kafka?.stop(), 60_000)

  test.each(Object.entries(PARTS))('%s, on Kafka: right, and nothing left behind', { timeout: 300_000 }, async (name, parts) => {
    const { out, errors, code, left } = await runScenario(name, '--histories', '0', '--brokers', kafka.brokers)
    expect({ errors, code, left }, out).toEqual({ errors: '', code: 0, left: [] })
    expect(out).toMatch(parts)
    if (name !== 'engagements') expect(Number(/looked at (\d+) times while they worked/.exec(out)?.[1]), out).toBeGreaterThan(5)
    expect(out).toMatch(new RegExp(`\\non Kafka, every part killed once: 0 wrong\\n${name}: right\\n$`))
    const log = await open(kafka.brokers)
    try {
      expect((await log.topicNames()).filter((topic) => !topic.startsWith('__'))).toEqual([])
    } finally {
      await log.close()
    }
  })

  test('topics that are there already are left alone', { timeout: 60_000 }, async () => {
    const log = await open(kafka.brokers)
    try {
      await log.createTopics([{ name: 'order-steps', partitions: 1, kind: 'plain' }])
      const { errors, code } = await runScenario('pipeline', '--histories', '0', '--brokers', kafka.brokers)
      expect({ errors, code }).toEqual({
        errors: 'scenario: there is a topic order-steps already: a scenario makes its own, and deletes them\n',
        code: 1,
      })
      expect((await log.topicNames()).filter((topic) => !topic.startsWith('__'))).toEqual(['order-steps'])
    } finally {
      await log.close()
    }
  })
})
