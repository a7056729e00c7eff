// The log on Kafka: the door of this room, and the only room that imports the client package.
//
// Invariants
// 1. Nothing of the package's high level is used: its transactions, streams and read_committed filter lose or double records.
// 2. Each reader, writer and group has connections of its own, so that none waits behind another.
import { MillraceError } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import type { World } from '../../base/ports.ts'
import { remembered } from '../../base/remembered.ts'
import type { Log } from '../log.ts'
import { createTopics, deleteTopics, listOffsets, tombstonesKeptMs, topicNames, topics } from './admin.ts'
import { KafkaClient } from './client.ts'
import type { Compression } from './encode.ts'
import { dismiss, KafkaGroup } from './group.ts'
import { committed } from './offsets.ts'
import { purger } from './purge.ts'
import { KafkaReader } from './reader.ts'
import { KafkaWriter } from './writer.ts'

/** As in node:tls; only what people set. */
export interface TlsOptions {
  readonly ca?: string | Buffer
  readonly cert?: string | Buffer
  readonly key?: string | Buffer
  readonly passphrase?: string
  readonly servername?: string
  readonly rejectUnauthorized?: boolean
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3'
}

export interface SaslOptions {
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER'
  readonly username?: string
  readonly password?: string
  readonly token?: string | (() => string | Promise<string>)
}

export interface KafkaLogOptions {
  /** `host:port` each; one that answers is enough. */
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly world: World
  readonly tls?: TlsOptions
  readonly sasl?: SaslOptions
  readonly connectTimeoutMs?: number
  readonly sessionTimeoutMs?: number
  readonly heartbeatMs?: number
  readonly stableOffsetsTimeoutMs?: number
  readonly compression?: Compression
  /** 1 or 2 (KIP-890); left out, what the cluster has finalized decides. For tests. */
  readonly transactionVersion?: 1 | 2
}

export async function openKafkaLog(options: KafkaLogOptions): Promise<Log> {
  if (options.brokers.length === 0) throw new MillraceError('STREAM_USAGE', 'no broker is named; write host:port, several with commas')
  const client = new KafkaClient(options)
  await client.connect()
  return {
    kind: 'kafka',
    topics: (names) => topics(client, names),
    topicNames: () => topicNames(client),
    createTopics: (specs) => createTopics(client, specs),
    deleteTopics: (names) => deleteTopics(client, names),
    offsets: (partitions, which) => listOffsets(client, partitions, which),
    committed: (groupId, partitions) => committed(client, groupId, partitions),
    dismiss: (groupId, instanceIds) => dismiss(client, groupId, instanceIds),
    // A restore that goes on for long wants to know with each portion.
    tombstonesKeptMs: remembered(options.world.clock, LIMITS.caughtUpFreshMs, (topic) => tombstonesKeptMs(client, topic)),
    purge: purger(client),
    reader: (reading) => new KafkaReader(client, reading ?? {}),
    writer: (writing) => new KafkaWriter(client, writing),
    group: (joining) => new KafkaGroup(client, joining),
    close: () => client.close(),
  }
}
