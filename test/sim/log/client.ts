// A client of the simulated brokers: the log port, with what src/log/kafka does on the wire done on wires of the simulator. What an answer
// means is decided by the real table (src/log/outcome.ts) through the real judge (src/log/kafka/errors.ts).
import { MillraceError } from '../../../src/base/errors.ts'
import type { World } from '../../../src/base/ports.ts'
import { partitionName, type TopicPartition } from '../../../src/base/record.ts'
import { failure, judge } from '../../../src/log/kafka/errors.ts'
import type {
  CommittedOffset,
  Group,
  GroupOptions,
  Log,
  Reader,
  ReaderOptions,
  TopicInfo,
  TopicSpec,
  WhichOffset,
  Writer,
  WriterOptions,
} from '../../../src/log/log.ts'
import type { RequestKind } from '../../../src/log/outcome.ts'
import type { Cluster } from './cluster.ts'
import { SimMember } from './member.ts'
import { Answer, type Caller, newWire, type Reply, request, type Wire } from './network.ts'
import { type SimPartition, stableEnd } from './partition.ts'
import { SimReader } from './reader.ts'
import { SimWriter } from './writer.ts'

export interface ClientOptions {
  readonly name: string
  readonly world: World
  readonly cluster: Cluster
  /** How long what passes is waited for. */
  readonly patienceMs: number
  readonly stableOffsetsTimeoutMs: number
  /** Records of one fetched chunk, at most. */
  readonly chunkRecordsMax: number
  /** Records of one batch, at most. */
  readonly batchRecordsMax: number
  /** An open epoch with so many unsent records begins to send. */
  readonly earlyRecords: number
}

export class SimClient implements Log, Caller {
  readonly kind = 'simulated'
  readonly options: ClientOptions
  readonly parts = new Set<{ close(): Promise<void> }>()
  closed = false
  readonly #wires = new Map<string, Wire>()

  constructor(options: ClientOptions) {
    this.options = options
  }

  get name(): string {
    return this.options.name
  }

  get world(): World {
    return this.options.world
  }

  get cluster(): Cluster {
    return this.options.cluster
  }

  /** The connection for a purpose; a broken one is replaced. */
  wire(purpose: string): Wire {
    let wire = this.#wires.get(purpose)
    if (wire === undefined || wire.broken) {
      wire = newWire()
      this.#wires.set(purpose, wire)
    }
    return wire
  }

  call<T>(kind: RequestKind, what: string, wire: Wire, handle: (reply: Reply<T>) => void, timeoutMs?: number): Promise<T> {
    return request(this.cluster.network, this, wire, kind, what, handle, timeoutMs)
  }

  /** A request whose answer is there at once: a value, or the name of a refusal. */
  once<T>(kind: RequestKind, what: string, wire: Wire, handle: () => T | string): Promise<T> {
    return this.call<T>(kind, what, wire, (reply) => {
      const answer = handle()
      if (typeof answer === 'string') reply.refuse(answer)
      else reply.ok(answer)
    })
  }

  /** Repeats what the table calls 'again' and 'refresh', until the time is up. */
  async ask<T>(kind: RequestKind, what: string, attempt: () => Promise<T>, patienceMs = this.options.patienceMs): Promise<T> {
    const { clock, timers } = this.world
    const deadline = clock.monotonic() + patienceMs
    for (let tries = 0; ; tries++) {
      try {
        return await attempt()
      } catch (error) {
        if (this.closed) throw new MillraceError('STREAM_CLOSED', `${what}: the log was closed`, { cause: error })
        if (error instanceof MillraceError) throw error
        const { outcome } = judge(kind, error)
        if ((outcome !== 'again' && outcome !== 'refresh') || clock.monotonic() >= deadline) throw failure(kind, what, error)
        await timers.sleep(outcome === 'again' ? Math.min(2 << tries, 100) || 100 : Math.min(20 * (tries + 1), 250))
      }
    }
  }

  async topics(names: readonly string[]): Promise<ReadonlyMap<string, TopicInfo>> {
    const topics = await this.#read('metadata', 'topics', () => this.cluster.topics)
    const found = new Map<string, TopicInfo>()
    for (const name of names) {
      const partitions = topics.get(name)?.length
      if (partitions !== undefined) found.set(name, { name, partitions })
    }
    return found
  }

  async topicNames(): Promise<readonly string[]> {
    return [...(await this.#read('metadata', 'topic names', () => this.cluster.topics)).keys()].sort()
  }

  async createTopics(specs: readonly TopicSpec[]): Promise<void> {
    if (specs.length === 0) return
    const refused = await this.#read('admin', 'create topics', () => {
      try {
        this.cluster.createTopics(specs)
        return { error: null }
      } catch (error) {
        return { error }
      }
    })
    if (refused.error !== null) throw refused.error
  }

  async deleteTopics(names: readonly string[]): Promise<void> {
    await this.#read('admin', 'delete topics', () => {
      this.cluster.deleteTopics(names)
      return {}
    })
  }

  async offsets(partitions: readonly TopicPartition[], which: WhichOffset): Promise<readonly number[]> {
    if (partitions.length === 0) return []
    if (which !== 'settled') return this.#listOffsets(partitions, which)
    const { clock, timers } = this.world
    const deadline = clock.monotonic() + this.options.stableOffsetsTimeoutMs
    const written = await this.#listOffsets(partitions, 'written')
    for (let tries = 0; ; tries++) {
      const stable = await this.#listOffsets(partitions, 'latest')
      if (stable.every((end, i) => end >= (written[i] as number))) return stable
      if (clock.monotonic() >= deadline) throw new MillraceError('STREAM_UNSTABLE', 'a partition stayed behind an open transaction')
      await timers.sleep(Math.min(5 * (tries + 1), 200))
    }
  }

  #listOffsets(partitions: readonly TopicPartition[], which: 'earliest' | 'latest' | 'written'): Promise<readonly number[]> {
    return this.#read('listOffsets', `${which} of ${partitions.map((of) => partitionName(of.topic, of.partition)).join(' ')}`, () => {
      const found = partitions.map((of) => this.cluster.partition(of))
      if (found.some((partition) => partition === undefined)) return 'UNKNOWN_TOPIC_OR_PARTITION'
      if (found.some((partition) => partition?.leader === -1)) return 'NOT_LEADER_OR_FOLLOWER'
      const all = found as SimPartition[]
      if (which === 'written') return all.map((partition) => partition.entries.length)
      return all.map((partition) => (which === 'earliest' ? 0 : stableEnd(partition)))
    })
  }

  async committed(groupId: string, partitions: readonly TopicPartition[]): Promise<readonly (CommittedOffset | null)[]> {
    if (partitions.length === 0) return []
    const names = partitions.map((of) => partitionName(of.topic, of.partition))
    const what = `offsets of group ${groupId}`
    const { stableOffsetsTimeoutMs } = this.options
    const { clock } = this.world
    const deadline = clock.monotonic() + stableOffsetsTimeoutMs
    try {
      return await this.#read('offsetFetch', what, () => this.#fetchOffsets(groupId, names), stableOffsetsTimeoutMs)
    } catch (error) {
      if (this.closed || clock.monotonic() < deadline) throw error
      throw new MillraceError('STREAM_UNSTABLE', `${what} stayed behind an open transaction`, { cause: error })
    }
  }

  #fetchOffsets(groupId: string, names: readonly string[]): (CommittedOffset | null)[] | string {
    if (this.cluster.groupsAway) return 'COORDINATOR_LOAD_IN_PROGRESS'
    return this.cluster.group(groupId).fetchOffsets(names, true)
  }

  #read<T>(kind: RequestKind, what: string, handle: () => T | string, patienceMs?: number): Promise<T> {
    if (this.closed) return Promise.reject(new MillraceError('STREAM_CLOSED', `${what}: the log is closed`))
    return this.ask(kind, what, () => this.once(kind, what, this.wire('common'), handle), patienceMs)
  }

  /** Nothing is compacted. */
  async tombstonesKeptMs(): Promise<number> {
    return Number.POSITIVE_INFINITY
  }

  reader(options: ReaderOptions = {}): Reader {
    return new SimReader(this, options)
  }

  writer(options: WriterOptions): Writer {
    return new SimWriter(this, options)
  }

  group(options: GroupOptions): Group {
    return new SimMember(this, options)
  }

  async close(): Promise<void> {
    await Promise.all([...this.parts].map((part) => part.close()))
    this.closed = true
  }
}

export { Answer }
