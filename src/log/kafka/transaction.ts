// The coordinator's side of a writer's epoch: who we are (producer id and epoch), what the transaction holds, its end.
//
// Invariants
// 1. Nothing is repeated under the same producer epoch but what the broker said it did not do (outcome.ts: 'again', 'refresh').
// 2. `era` is a new object whenever producer id or epoch change; sequences count from 0 in each era.
// 3. With KIP-890 (version 2) there are no Add requests, and every end gives the next epoch, now and then another id: both are taken.
//    Version 2 only where the cluster has finalized it, as the Java client does.
import {
  addOffsetsToTxnV4,
  addPartitionsToTxnV3,
  apiVersionsV4,
  type Connection,
  type ConnectionPool,
  createAPI,
  endTxnV4,
  initProducerIdV5,
  type Reader,
  txnOffsetCommitV4,
} from '@platformatic/kafka'
import { LIMITS } from '../../base/limits.ts'
import type { TopicPartition } from '../../base/record.ts'
import { partitionName } from '../../base/record.ts'
import type { CommittedOffset } from '../log.ts'
import type { RequestKind } from '../outcome.ts'
import type { KafkaClient } from './client.ts'
import { BrokerAnswer } from './errors.ts'
import { type WireMember, wireOffsets } from './offsets.ts'

interface EndAnswer {
  readonly producerId: bigint
  readonly producerEpoch: number
}

// Bodies as one version before; the package stops there.
const txnOffsetCommitV5 = createAPI<Parameters<typeof txnOffsetCommitV4.api.async> extends [Connection, ...infer A] ? A : never, unknown>(
  28,
  5,
  txnOffsetCommitV4.createRequest,
  txnOffsetCommitV4.parseResponse,
)
const endTxnV5 = createAPI<[string, bigint, number, boolean], EndAnswer>(
  26,
  5,
  endTxnV4.createRequest,
  (_correlation: number, _key: number, _version: number, r: Reader) => {
    r.readInt32() // throttle time
    const errorCode = r.readInt16()
    const answer = { producerId: r.readInt64(), producerEpoch: r.readInt16() }
    if (errorCode !== 0) throw new BrokerAnswer('EndTxn', errorCode)
    return answer
  },
)

export class Transaction {
  readonly id: string
  producerId = -1n
  epoch = -1
  era: object = {}
  version: 1 | 2 = 1
  /** Something of it may have reached a broker. */
  open = false
  readonly #client: KafkaClient
  #pool: ConnectionPool
  readonly #added = new Set<string>()

  constructor(client: KafkaClient, id: string) {
    this.#client = client
    this.id = id
    this.#pool = client.pool('transaction')
  }

  /** Fences older instances of this id and settles their transaction. (0,0), which the package sends, would fence ourselves. */
  async init(): Promise<void> {
    const answer = await this.#ask('init', `InitProducerId of ${this.id}`, async () => {
      const connection = await this.#coordinator()
      this.version = this.#client.options.transactionVersion ?? (await finalizedVersion(connection))
      return initProducerIdV5.api.async(connection, this.id, LIMITS.transactionTimeoutMs, -1n, -1)
    })
    this.#adopt(answer)
  }

  needs(partition: string): boolean {
    return this.version === 1 && !this.#added.has(partition)
  }

  /** Version 1: a partition must be in the transaction before it is written. */
  async addPartitions(partitions: readonly TopicPartition[]): Promise<void> {
    const topics = new Map<string, number[]>()
    for (const { topic, partition } of partitions) {
      const list = topics.get(topic)
      if (list === undefined) topics.set(topic, [partition])
      else list.push(partition)
    }
    this.open = true
    const transaction = {
      transactionalId: this.id,
      producerId: this.producerId,
      producerEpoch: this.epoch,
      verifyOnly: false,
      topics: [...topics].map(([name, list]) => ({ name, partitions: list })),
    }
    // version 4 and up is for brokers; with ACLs a client may not send it
    await this.#ask('addPartitions', `AddPartitionsToTxn of ${this.id}`, async () =>
      addPartitionsToTxnV3.api.async(await this.#coordinator(), [transaction]),
    )
    for (const { topic, partition } of partitions) this.#added.add(partitionName(topic, partition))
  }

  /** The group's coordinator refuses an old generation here. */
  async addOffsets(groupId: string, member: WireMember, offsets: readonly CommittedOffset[]): Promise<void> {
    this.open = true
    if (this.version === 1) {
      await this.#ask('addOffsets', `AddOffsetsToTxn of ${this.id}`, async () =>
        addOffsetsToTxnV4.api.async(await this.#coordinator(), this.id, this.producerId, this.epoch, groupId),
      )
    }
    const api = this.version === 1 ? txnOffsetCommitV4.api : txnOffsetCommitV5
    const forget = (): void => this.#client.forget('group', groupId)
    await this.#ask(
      'txnOffsets',
      `offsets of group ${groupId} for ${[...new Set(offsets.map(({ topic }) => topic))].join(', ')} in the epoch of ${this.id}`,
      async () => {
        const connection = await this.#pool.get(await this.#client.coordinator('group', groupId))
        return api.async(
          connection,
          this.id,
          groupId,
          this.producerId,
          this.epoch,
          member.generation,
          member.memberId,
          member.instanceId,
          wireOffsets(offsets),
        )
      },
      forget,
    )
  }

  async end(commit: boolean): Promise<void> {
    const api = this.version === 1 ? endTxnV4.api : endTxnV5
    const answer: object = await this.#ask('end', `EndTxn of ${this.id}`, async () =>
      api.async(await this.#coordinator(), this.id, this.producerId, this.epoch, commit),
    )
    this.#clear()
    if ('producerEpoch' in answer) this.#adopt(answer as EndAnswer)
  }

  /** Connections that may carry late requests of an epoch in doubt are not used again. */
  async renew(): Promise<void> {
    const old = this.#pool
    this.#pool = this.#client.pool('transaction')
    await this.#client.release(old)
  }

  close(): Promise<void> {
    return this.#client.release(this.#pool)
  }

  async #coordinator(): Promise<Connection> {
    return this.#pool.get(await this.#client.coordinator('transaction', this.id))
  }

  #ask<T>(
    kind: RequestKind,
    what: string,
    attempt: () => Promise<T>,
    refresh = (): void => this.#client.forget('transaction', this.id),
  ): Promise<T> {
    return this.#client.ask(kind, what, LIMITS.commitTimeoutMs, attempt, refresh)
  }

  #adopt(answer: EndAnswer): void {
    this.#clear()
    if (answer.producerId === this.producerId && answer.producerEpoch === this.epoch) return
    this.producerId = answer.producerId
    this.epoch = answer.producerEpoch
    this.era = {}
  }

  #clear(): void {
    this.#added.clear()
    this.open = false
  }
}

async function finalizedVersion(connection: Connection): Promise<1 | 2> {
  const answer = await apiVersionsV4.api.async(connection, 'millrace', '1')
  const level = answer.finalizedFeatures?.find((feature) => feature.name === 'transaction.version')?.maxVersionLevel ?? 0
  const reaches = (key: number, version: number): boolean => answer.apiKeys.some((api) => api.apiKey === key && api.maxVersion >= version)
  return level >= 2 && reaches(0, 12) && reaches(26, 5) && reaches(28, 5) ? 2 : 1
}
