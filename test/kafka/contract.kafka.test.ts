// The log contract on a real Kafka, once with transactions of version 2 (KIP-890, what Kafka 4 finalizes) and once of version 1.
import { describe } from 'vitest'
import type { Log } from '../../src/log/log.ts'
import { logContract, type OpenedLog } from '../contract/log.contract.ts'
import { startKafka } from './broker.ts'
import { KAFKA, open } from './running.ts'

async function opened(transactionVersion?: 1 | 2): Promise<OpenedLog> {
  const kafka = await startKafka()
  const logs: Log[] = []
  const another = async (): Promise<Log> => {
    const log = await open(kafka.brokers, transactionVersion === undefined ? {} : { transactionVersion })
    logs.push(log)
    return log
  }
  return {
    log: await another(),
    another,
    async close() {
      await Promise.all(logs.map((log) => log.close()))
      await kafka.stop()
    },
  }
}

const options = { settleMs: 700, propertyRuns: 10 }
describe.runIf(KAFKA)('kafka', () => {
  logContract('kafka, as the cluster has finalized', () => opened(), options)
  logContract('kafka, transactions of version 1', () => opened(1), options)
})
