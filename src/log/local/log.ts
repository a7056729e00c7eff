// One client of an in-process log: what the log port says, over the shared state. The adapters (memory.ts, embedded/) make the
// state and add what is theirs.
import { MillraceError } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import { checkName } from '../../base/names.ts'
import { partitionName, type TopicPartition } from '../../base/record.ts'
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
} from '../log.ts'
import { closeGroups, type LocalGroup, localGroup } from './groups.ts'
import { emptyPartition, openBefore, type Partition, stableEnd } from './partition.ts'
import { type LocalReader, localReader } from './reader.ts'
import { findPartition, news, type State, type Topic } from './state.ts'
import { type LocalWriter, localWriter } from './writer.ts'

export interface LocalLog extends Log {
  /** As if this client's process had died: what its writers had open is aborted, its members are gone, its readers closed. */
  crash(): void
}

export function localLog(kind: 'memory' | 'embedded', state: State, closeAll: boolean): LocalLog {
  return new Client(kind, state, closeAll)
}

class Client implements LocalLog {
  readonly kind: 'memory' | 'embedded'
  readonly #state: State
  readonly #closeAll: boolean
  readonly #writers = new Set<LocalWriter>()
  readonly #readers = new Set<LocalReader>()
  readonly #groups = new Set<LocalGroup>()
  #closed = false

  constructor(kind: 'memory' | 'embedded', state: State, closeAll: boolean) {
    this.kind = kind
    this.#state = state
    this.#closeAll = closeAll
  }

  async topics(names: readonly string[]): Promise<ReadonlyMap<string, TopicInfo>> {
    this.#checkOpen()
    const found = new Map<string, TopicInfo>()
    for (const name of names) {
      const topic = this.#state.topics.get(name)
      if (topic !== undefined) found.set(name, { name, partitions: topic.partitions.length })
    }
    return found
  }

  async topicNames(): Promise<readonly string[]> {
    this.#checkOpen()
    return [...this.#state.topics.keys()].sort()
  }

  createTopics(specs: readonly TopicSpec[]): Promise<void> {
    return this.#administer(async () => {
      const missing = new Map<string, TopicSpec>()
      for (const spec of specs) {
        checkName(spec.name, 'topic')
        if (!Number.isSafeInteger(spec.partitions) || spec.partitions < 1) {
          throw new MillraceError('STREAM_USAGE', `topic ${spec.name}: ${spec.partitions} is no number of partitions; use 1 or more`)
        }
        const there = this.#state.topics.get(spec.name)?.spec ?? missing.get(spec.name)
        if (there === undefined) missing.set(spec.name, spec)
        else if (there.partitions !== spec.partitions) {
          throw new MillraceError(
            'STREAM_TOPIC_MISMATCH',
            `topic ${spec.name} has ${there.partitions} partitions, but ${spec.partitions} are wanted; delete it or ask for ${there.partitions}`,
          )
        }
      }
      if (missing.size === 0) return
      const created = await (this.#state.durability?.createTopics([...missing.values()]) ?? [...missing.values()].map(emptyTopic))
      for (const topic of created) this.#state.topics.set(topic.spec.name, topic)
      news(this.#state)
    })
  }

  deleteTopics(names: readonly string[]): Promise<void> {
    return this.#administer(async () => {
      const topics = names.flatMap((name) => this.#state.topics.get(name) ?? [])
      if (topics.length === 0) return
      await this.#state.durability?.deleteTopics(topics)
      for (const topic of topics) {
        this.#state.topics.delete(topic.spec.name)
        topic.deleted = true
        for (const partition of topic.partitions) {
          partition.deleted = true
          partition.runs = []
          for (const group of this.#state.offsets.values()) group.delete(partition.name)
        }
      }
      news(this.#state)
    })
  }

  async offsets(partitions: readonly TopicPartition[], which: WhichOffset): Promise<readonly number[]> {
    this.#checkOpen()
    if (which === 'settled') await this.#decided(partitions.map(({ topic, partition }) => findPartition(this.#state, topic, partition)))
    return partitions.map(({ topic, partition }) => {
      const found = findPartition(this.#state, topic, partition)
      return which === 'earliest' ? 0 : stableEnd(found)
    })
  }

  /** Waits until what is open in these partitions now is committed or aborted. */
  async #decided(partitions: readonly Partition[]): Promise<void> {
    const { clock, timers } = this.#state.world
    const ends = partitions.map((partition) => partition.end)
    const deadline = clock.monotonic() + LIMITS.stableOffsetsTimeoutMs
    for (;;) {
      const open = partitions.find((partition, i) => openBefore(partition, ends[i] as number))
      if (open === undefined) return
      if (clock.monotonic() >= deadline)
        throw new MillraceError(
          'STREAM_UNSTABLE',
          `${open.name} stayed behind an open epoch for ${LIMITS.stableOffsetsTimeoutMs} ms; a writer is hung`,
        )
      await timers.sleep(5)
      this.#checkOpen()
    }
  }

  async committed(groupId: string, partitions: readonly TopicPartition[]): Promise<readonly (CommittedOffset | null)[]> {
    this.#checkOpen()
    const ending = this.#state.ending.get(groupId)
    if (ending !== undefined && ending.size > 0) await this.#settled(groupId, [...ending])
    const group = this.#state.offsets.get(groupId)
    return partitions.map(({ topic, partition }) => group?.get(partitionName(topic, partition)) ?? null)
  }

  /** Nothing is compacted. */
  async tombstonesKeptMs(): Promise<number> {
    return Number.POSITIVE_INFINITY
  }

  reader(options: ReaderOptions = {}): Reader {
    this.#checkOpen()
    const reader: LocalReader = localReader(this.#state, options, () => this.#readers.delete(reader))
    this.#readers.add(reader)
    return reader
  }

  writer(options: WriterOptions): Writer {
    this.#checkOpen()
    const writer: LocalWriter = localWriter(this.#state, options, () => this.#writers.delete(writer))
    this.#writers.add(writer)
    return writer
  }

  group(options: GroupOptions): Group {
    this.#checkOpen()
    const group: LocalGroup = localGroup(this.#state, options, () => this.#groups.delete(group))
    this.#groups.add(group)
    return group
  }

  crash(): void {
    for (const each of [...this.#writers, ...this.#readers, ...this.#groups]) each.crash()
    this.#closed = true
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.all([...this.#groups, ...this.#writers, ...this.#readers].map((each) => each.close()))
    if (!this.#closeAll) return
    this.#state.closed = true
    closeGroups(this.#state)
    await this.#state.admin
    await this.#state.durability?.close()
  }

  #checkOpen(): void {
    if (this.#closed || this.#state.closed) throw new MillraceError('STREAM_CLOSED', `the ${this.kind} log is closed`)
  }

  #administer(change: () => Promise<void>): Promise<void> {
    const done = this.#state.admin.then(() => {
      this.#checkOpen()
      return change()
    })
    this.#state.admin = done.catch(() => undefined)
    return done
  }

  async #settled(groupId: string, ending: readonly Promise<unknown>[]): Promise<void> {
    let cancel = (): void => {}
    const late = new Promise<never>((_, reject) => {
      cancel = this.#state.world.timers.after(LIMITS.stableOffsetsTimeoutMs, () =>
        reject(
          new MillraceError(
            'STREAM_UNSTABLE',
            `a commit of group ${groupId} did not end within ${LIMITS.stableOffsetsTimeoutMs} ms; is the disk stuck?`,
          ),
        ),
      )
    })
    try {
      await Promise.race([Promise.all(ending), late])
    } finally {
      cancel()
    }
  }
}

function emptyTopic(spec: TopicSpec): Topic {
  const partitions = Array.from({ length: spec.partitions }, (_, i) => emptyPartition(spec.name, i, partitionName(spec.name, i)))
  return { spec, partitions, deleted: false }
}
