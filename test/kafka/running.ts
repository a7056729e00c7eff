// Whether this run has a real Kafka, said aloud when it has not.
import { systemWorld } from '../../src/base/system.ts'
import { type KafkaLogOptions, openKafkaLog } from '../../src/log/kafka/index.ts'
import type { Log } from '../../src/log/log.ts'

export const KAFKA = process.env.MILLRACE_KAFKA === '1'
if (!KAFKA && process.env.VITEST !== undefined)
  console.warn(
    'SKIPPED: tests against a real Kafka. Set MILLRACE_KAFKA=1 to run them (Java 17 and Maven are needed; the jars are fetched once)',
  )

export const world = systemWorld()

/** Heartbeats often, so that a rebalance takes tenths of a second. */
export function open(brokers: string, options: Partial<KafkaLogOptions> = {}): Promise<Log> {
  return openKafkaLog({ brokers: brokers.split(','), clientId: 'test', world, heartbeatMs: 200, ...options })
}
