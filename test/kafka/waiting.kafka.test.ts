// Operators that wait for something outside of their task, on a real Kafka.
import { afterAll, beforeAll, describe } from 'vitest'
import { blockContract } from '../contract/block.contract.ts'
import { callsContract } from '../contract/calls.contract.ts'
import { holdContract } from '../contract/hold.contract.ts'
import { idleContract } from '../contract/idle.contract.ts'
import { type RunningKafka, startKafka } from './broker.ts'
import { KAFKA, open, world } from './running.ts'

describe.skipIf(!KAFKA)('waiting on a real Kafka', () => {
  let kafka: RunningKafka
  beforeAll(async () => {
    kafka = await startKafka()
  }, 120_000)
  afterAll(() => kafka?.stop(), 60_000)

  const onKafka = async () => {
    const log = await open(kafka.brokers)
    return { log, close: () => log.close() }
  }
  callsContract('kafka', world, onKafka, 90_000)
  holdContract('kafka', world, onKafka, 90_000)
  idleContract('kafka', world, onKafka)
  blockContract('kafka', world, onKafka)
})
