// The cluster as this process knows it: where its brokers are, which topics there are, who leads and who coordinates, and the
// connection pools. Never decides what an answer means (outcome.ts) and never retries inside an epoch on its own.
//
// Invariants
// 1. One pool is at most one connection a broker, and a broker answers one request at a time per connection: long polls, group
//    traffic, produce and the transaction get a pool each. This file's own pool is for short questions only.
// 2. What is cached is a guess: whoever is told otherwise by a broker calls `refresh` or `forget`.
// 3. A topic that has been described stays known until a broker says that it is gone.

import { isIP } from 'node:net'
import { apiVersionsV4, type Connection, ConnectionPool, findCoordinatorV6, metadataV12 } from '@platformatic/kafka'
import { explain, MillraceError } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import type { World } from '../../base/ports.ts'
import { outcome, type RequestKind } from '../outcome.ts'
import { BrokerAnswer, codeName, failure, judge, responseOf } from './errors.ts'
import type { KafkaLogOptions } from './index.ts'
import { unreached } from './unreached.ts'

export interface Node {
  readonly host: string
  readonly port: number
}

export interface TopicMeta {
  readonly name: string
  readonly id: string
  /** By partition: the leader's node id, or -1. */
  readonly leaders: readonly number[]
}

interface MetadataAnswer {
  readonly brokers: readonly { readonly nodeId: number; readonly host: string; readonly port: number }[]
  readonly topics: readonly {
    readonly errorCode: number
    readonly name: string | null
    readonly topicId: string
    readonly isInternal: boolean
    readonly partitions: readonly { readonly partitionIndex: number; readonly leaderId: number }[]
  }[]
}

export type CoordinatorOf = 'group' | 'transaction'

/** The versions of the requests we speak, by api key; Kafka 3.9 is the first to have them all. */
const NEEDED: readonly (readonly [key: number, version: number, name: string])[] = [
  [0, 11, 'Produce'],
  [1, 17, 'Fetch'],
  [2, 9, 'ListOffsets'],
  [3, 12, 'Metadata'],
  [8, 9, 'OffsetCommit'],
  [9, 9, 'OffsetFetch'],
  [10, 6, 'FindCoordinator'],
  [11, 9, 'JoinGroup'],
  [12, 4, 'Heartbeat'],
  [13, 5, 'LeaveGroup'],
  [14, 5, 'SyncGroup'],
  [19, 7, 'CreateTopics'],
  [20, 6, 'DeleteTopics'],
  [22, 5, 'InitProducerId'],
  [24, 3, 'AddPartitionsToTxn'],
  [25, 4, 'AddOffsetsToTxn'],
  [26, 4, 'EndTxn'],
  [28, 4, 'TxnOffsetCommit'],
  [32, 4, 'DescribeConfigs'],
]

/** After so many tries of one question the log hears of it: about a second. */
const PATIENT_TRIES = 12

export class KafkaClient {
  readonly world: World
  readonly options: KafkaLogOptions
  closed = false
  /** Readers, writers and groups that are open: closed with the log. */
  readonly parts = new Set<{ close(): Promise<void> }>()
  readonly #bootstrap: readonly Node[]
  readonly #nodes = new Map<number, Node>()
  readonly #topics = new Map<string, TopicMeta>()
  readonly #coordinators = new Map<string, Node>()
  readonly #pools = new Set<ConnectionPool>()
  readonly #common: ConnectionPool

  constructor(options: KafkaLogOptions) {
    this.world = options.world
    this.options = options
    this.#bootstrap = options.brokers.map(address)
    this.#common = this.pool('common')
  }

  /** Tries all addresses until one answers. */
  async connect(): Promise<void> {
    const { clock, timers } = this.world
    const timeoutMs = this.options.connectTimeoutMs ?? LIMITS.connectTimeoutMs
    const deadline = clock.monotonic() + timeoutMs
    let last: unknown
    let cancel = (): void => {}
    const late = new Promise<void>((resolve) => {
      cancel = timers.after(timeoutMs, resolve)
    })
    const attempt = async (node: Node): Promise<void> => {
      try {
        await this.#check(await this.#common.get(node))
      } catch (error) {
        last = error
        throw error
      }
    }
    for (;;) {
      const answered = await Promise.race([
        Promise.any(this.#bootstrap.map(attempt)).then(
          () => 'yes',
          () => 'no',
        ),
        late.then(() => 'late'),
      ])
      if (answered === 'yes') break
      const stops = last !== undefined && (unreached(last, this.options).hopeless || judge('metadata', last).outcome === 'stop')
      if (last instanceof MillraceError || stops || answered === 'late' || clock.monotonic() + 200 > deadline) {
        cancel()
        await this.close()
        throw this.#unreached(last ?? new Error(`no answer within ${timeoutMs} ms`))
      }
      await timers.sleep(200)
    }
    cancel()
    try {
      await this.refresh([])
    } catch (error) {
      await this.close() // one that wants a login answers the first question, and no other
      throw this.#unreached(error)
    }
  }

  #unreached(error: unknown): MillraceError {
    if (error instanceof MillraceError) return error
    const message = `no Kafka broker answers at ${this.options.brokers.join(', ')} (${explain(error)}); ${unreached(error, this.options).cure}`
    return new MillraceError('STREAM_BROKER_UNREACHABLE', message, { cause: error })
  }

  async #check(connection: Connection): Promise<void> {
    const answer = await apiVersionsV4.api.async(connection, 'millrace', '1')
    const offered = new Map(answer.apiKeys.map((api) => [api.apiKey, api]))
    for (const [key, version, name] of NEEDED) {
      const api = offered.get(key)
      if (api !== undefined && api.minVersion <= version && version <= api.maxVersion) continue
      const has = api === undefined ? 'has none' : `has ${api.minVersion} to ${api.maxVersion}`
      throw new MillraceError(
        'STREAM_BROKER',
        `the broker at ${this.options.brokers.join(', ')} ${has} of ${name}, version ${version} is needed; use Kafka 3.9 or newer`,
        { disposition: 'stop' },
      )
    }
  }

  pool(purpose: string, maxInflights = 5): ConnectionPool {
    const { clientId, tls, sasl } = this.options
    const pool = new ConnectionPool(`${clientId}-${purpose}`, {
      connectTimeout: this.options.connectTimeoutMs ?? LIMITS.connectTimeoutMs,
      requestTimeout: LIMITS.requestTimeoutMs,
      maxInflights,
      ...(tls === undefined ? {} : { tls, tlsServerName: tls.servername ?? this.#bootstrap.some(({ host }) => isIP(host) === 0) }),
      ...(sasl === undefined ? {} : { sasl }),
    })
    // the pool itself listens for the first error of a connection only, and an 'error' nobody hears ends the process
    pool.on('connecting', ({ connection }) => connection.on('error', () => {}))
    this.#pools.add(pool)
    return pool
  }

  async release(pool: ConnectionPool): Promise<void> {
    this.#pools.delete(pool)
    await pool.close().catch(() => {}) // nothing is lost with a connection that will not close
  }

  topic(name: string): TopicMeta | undefined {
    return this.#topics.get(name)
  }

  /** Undefined while nobody leads, or the leader is not known. */
  leader(topic: string, partition: number): Node | undefined {
    return this.#nodes.get(this.#topics.get(topic)?.leaders[partition] ?? -1)
  }

  /** Asks for these topics (null: all) and remembers what it learns. Those that exist are in the answer. Throws what a broker says of one that
   *  it neither describes nor calls missing. */
  async refresh(names: readonly string[] | null): Promise<ReadonlyMap<string, TopicMeta & { readonly internal: boolean }>> {
    const answer = await this.#metadata(names)
    for (const { nodeId, host, port } of answer.brokers) {
      const known = this.#nodes.get(nodeId)
      if (known?.host !== host || known.port !== port) this.#nodes.set(nodeId, { host, port })
    }
    const found = new Map<string, TopicMeta & { readonly internal: boolean }>()
    let refused: BrokerAnswer | null = null
    for (const topic of answer.topics) {
      const name = topic.name
      if (name === null) continue
      if (topic.errorCode !== 0 && outcome('metadata', codeName(topic.errorCode)).outcome === 'missing') {
        this.#topics.delete(name)
        continue
      }
      if (topic.errorCode !== 0 && topic.partitions.length === 0) {
        refused ??= new BrokerAnswer(`Metadata of topic ${name}`, topic.errorCode)
        continue // the others are learnt all the same
      }
      const leaders: number[] = new Array(topic.partitions.length).fill(-1)
      for (const partition of topic.partitions) leaders[partition.partitionIndex] = partition.leaderId
      const meta = { name, id: topic.topicId, leaders, internal: topic.isInternal }
      this.#topics.set(name, meta)
      found.set(name, meta)
    }
    if (refused === null) return found
    throw judge('metadata', refused).outcome === 'stop' ? failure('metadata', refused.message, refused) : refused
  }

  async #metadata(names: readonly string[] | null): Promise<MetadataAnswer> {
    try {
      return await this.any(async (connection): Promise<MetadataAnswer> => {
        const { brokers, topics } = await metadataV12.api.async(connection, names as string[], false, false)
        return { brokers, topics: topics.map((topic) => ({ ...topic, name: topic.name ?? null })) }
      })
    } catch (error) {
      const partial = responseOf<MetadataAnswer>(error) // a topic that is missing is an error to the package
      if (partial === undefined) throw error
      return partial
    }
  }

  /** Asks any broker that can be reached; throws what the last one said. */
  async any<T>(ask: (connection: Connection) => Promise<T>): Promise<T> {
    let last: unknown
    for (const node of this.#everywhere()) {
      let connection: Connection
      try {
        connection = await this.#common.get(node)
      } catch (error) {
        last = error
        continue
      }
      try {
        return await ask(connection)
      } catch (error) {
        if (judge('metadata', error).outcome !== 'refresh') throw error
        last = error
      }
    }
    throw last
  }

  #everywhere(): Node[] {
    const all = new Map<string, Node>()
    for (const node of [...this.#nodes.values(), ...this.#bootstrap]) all.set(`${node.host}:${node.port}`, node)
    return [...all.values()]
  }

  /** A connection of the common pool: for questions that are answered at once. */
  common(node: Node): Promise<Connection> {
    return this.#common.get(node)
  }

  async coordinator(of: CoordinatorOf, key: string): Promise<Node> {
    const name = `${of}/${key}`
    const known = this.#coordinators.get(name)
    if (known !== undefined) return known
    const answer = await this.ask('find', `coordinator of ${of} ${key}`, LIMITS.commitTimeoutMs, () =>
      this.any((connection) => findCoordinatorV6.api.async(connection, of === 'group' ? 0 : 1, [key])),
    )
    const found = answer.coordinators[0]
    if (found === undefined) throw new MillraceError('STREAM_BROKER', `no coordinator was named for ${of} ${key}`)
    const node = { host: found.host, port: found.port }
    this.#coordinators.set(name, node)
    return node
  }

  forget(of: CoordinatorOf, key: string): void {
    this.#coordinators.delete(`${of}/${key}`)
  }

  /** Repeats what the table calls 'again' and 'refresh', until the time is up; every other answer is thrown as ours. */
  async ask<T>(kind: RequestKind, what: string, timeoutMs: number, attempt: () => Promise<T>, refresh?: () => unknown): Promise<T> {
    const { clock, timers } = this.world
    const deadline = clock.monotonic() + timeoutMs
    for (let tries = 0; ; tries++) {
      try {
        return await attempt()
      } catch (error) {
        if (this.closed) throw new MillraceError('STREAM_CLOSED', `${what}: the log was closed`, { cause: error })
        if (error instanceof MillraceError) throw error
        const { outcome: found } = judge(kind, error)
        if ((found !== 'again' && found !== 'refresh') || clock.monotonic() >= deadline) throw failure(kind, what, error)
        if (tries === PATIENT_TRIES) this.world.logger.warn({ request: what, cause: explain(error) }, 'still no success; asking again')
        if (found === 'refresh') await refresh?.()
        // 'again' mostly waits for markers to be written: 0.6 ms in the middle, 4 ms at the end
        await timers.sleep(found === 'again' ? Math.min(2 ** Math.min(tries + 1, 7), 100) : Math.min(20 * (tries + 1), 250))
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.parts].map((part) => part.close()))
    this.closed = true
    await Promise.all([...this.#pools].map((pool) => this.release(pool)))
  }
}

export function addressOf(node: Node): string {
  return `${node.host}:${node.port}`
}

function address(text: string): Node {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text.trim())
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || !(port > 0 && port < 65_536))
    throw new MillraceError('STREAM_USAGE', `broker ${JSON.stringify(text)}: write host:port`)
  return { host, port }
}
