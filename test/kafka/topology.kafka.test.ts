import { afterAll, beforeAll, describe } from 'vitest'
import type { Log } from '../../src/log/log.ts'
import { topologyContract } from '../contract/topology.contract.ts'
import { type RunningKafka, startKafka } from './broker.ts'
import { KAFKA, open, world } from './running.ts'

describe.skipIf(!KAFKA)('a topology on a real Kafka', () => {
  let kafka: RunningKafka
  beforeAll(async () => {
    kafka = await startKafka()
  }, 120_000)
  afterAll(() => kafka?.stop(), 60_000)

  topologyContract(
    'kafka',
    world,
    async () => {
      const log: Log = await open(kafka.brokers)
      return { log, close: () => log.close() }
    },
    { timeoutMs: 90_000 },
  )
})
