// The reader port on Kafka: fetches ahead in the background, hands out slices of what has arrived.
//
// Invariants
// 1. One fetch in flight a broker, of the partitions that want data; while that one waits for records to come, partitions that
//    were consumed, assigned or resumed meanwhile go over a second connection, with a short wait, and need not stand behind it.
// 2. What is fetched ahead is bounded, by partition and in all. A partition that has enough, or is paused, is left out.
// 3. `handed` is the caller's position, `position` the fetcher's. An answer to a question that was overtaken by seek or assign is
//    dropped (`version`).
// 4. Passing faults are retried here; what does not pass stays on the partition until seek or assign, and `poll` throws it.
import type { ConnectionPool } from '@platformatic/kafka'
import { type RecordColumns, recordColumns } from '../../base/columns.ts'
import { explain, MillraceError } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import { partitionName, type TopicPartition } from '../../base/record.ts'
import { type Chunk, type ColumnChunk, OffsetOutOfRange, type Reader, type ReaderOptions, type ReadFrom } from '../log.ts'
import { outcome } from '../outcome.ts'
import { listOffsets } from './admin.ts'
import { addressOf, type KafkaClient, type Node } from './client.ts'
import { CorruptBatch, RecordCursor } from './decode.ts'
import { codeName, failure, judge } from './errors.ts'
import { endOfBatches, type FetchedRow, sendFetch } from './fetch.ts'

/** A partition with more than this fetched ahead does not ask for more. */
const AHEAD_BYTES = 1024 * 1024
const AHEAD_BYTES_ALL = 4 * LIMITS.fetchBytesMax
/** The second connection's fetches end soon, so that their partitions join the long poll again. */
const SHORT_WAIT_MS = 25
const RETRY_MS = 100
/** How long a topic may seem to be missing: a new one is not known everywhere at once. */
const MISSING_MS = 3_000
const CORRUPT_MAX = 5

interface Arrived {
  readonly cursor: RecordCursor
  readonly bytes: number
  readonly endOffset: number
}

interface Slot extends TopicPartition {
  readonly name: string
  version: number
  handed: number
  position: number
  topicId: string
  paused: boolean
  fetching: boolean
  ahead: number
  arrived: Arrived[]
  error: MillraceError | null
  retryAt: number
  missingSince: number
  corrupt: number
  /** Made when it is first asked for. */
  columns: RecordColumns | null
}

/** What a chunk has beside where it stands. */
type Take<T> = (cursor: RecordCursor, slot: Slot) => T
type Place = Omit<Chunk, 'records'>

const takeRecords: Take<Pick<Chunk, 'records'>> = (cursor) => ({ records: cursor.take(LIMITS.taskBatchRecords) })

const takeColumns: Take<Pick<ColumnChunk, 'columns'>> = (cursor, slot) => {
  slot.columns ??= recordColumns(LIMITS.restoreColumnsRecords)
  cursor.takeColumns(slot.columns)
  return { columns: slot.columns }
}

export class KafkaReader implements Reader {
  readonly #client: KafkaClient
  readonly #committedOnly: boolean
  /** The long poll's connections, and those of partitions that must not wait behind it. */
  readonly #pools: readonly [ConnectionPool, ConnectionPool]
  readonly #busy: readonly [Set<string>, Set<string>] = [new Set(), new Set()]
  #slots = new Map<string, Slot>()
  #waiter: (() => void) | null = null
  #woken = false
  #closed = false
  #refreshing: Promise<unknown> | null = null
  #retry: (() => void) | null = null
  #troubled = false

  constructor(client: KafkaClient, options: ReaderOptions) {
    this.#client = client
    this.#committedOnly = options.isolation !== 'uncommitted'
    this.#pools = [client.pool('fetch'), client.pool('fetch-now')]
    client.parts.add(this)
  }

  assign(partitions: readonly ReadFrom[]): void {
    const before = this.#slots
    this.#slots = new Map()
    for (const from of partitions) {
      const name = partitionName(from.topic, from.partition)
      const known = before.get(name)
      before.delete(name)
      const slot = known ?? newSlot(from, name)
      if (known !== undefined && (known.handed !== from.offset || known.error !== null)) place(known, from.offset)
      this.#slots.set(name, slot)
    }
    for (const gone of before.values()) gone.version++
    this.#pump()
  }

  seek(from: ReadFrom): void {
    const name = partitionName(from.topic, from.partition)
    const slot = this.#slots.get(name)
    if (slot === undefined) this.#slots.set(name, newSlot(from, name))
    else place(slot, from.offset)
    this.#pump()
  }

  pause({ topic, partition }: TopicPartition): void {
    const slot = this.#slots.get(partitionName(topic, partition))
    if (slot !== undefined) slot.paused = true
  }

  resume({ topic, partition }: TopicPartition): void {
    const slot = this.#slots.get(partitionName(topic, partition))
    if (slot === undefined || !slot.paused) return
    slot.paused = false
    if (slot.arrived.length > 0) this.#arrived()
    this.#pump()
  }

  poll(waitMs: number): Promise<readonly Chunk[]> {
    return this.#poll(waitMs, takeRecords)
  }

  pollColumns(waitMs: number): Promise<readonly ColumnChunk[]> {
    return this.#poll(waitMs, takeColumns)
  }

  async #poll<T>(waitMs: number, take: Take<T>): Promise<(Place & T)[]> {
    const { clock, timers } = this.#client.world
    const deadline = clock.monotonic() + waitMs
    for (;;) {
      if (this.#closed) throw new MillraceError('STREAM_CLOSED', 'the reader is closed')
      const chunks = this.#collect(take)
      this.#pump()
      const leftMs = deadline - clock.monotonic()
      if (chunks.length > 0 || leftMs <= 0 || this.#woken) {
        this.#woken = false
        return chunks
      }
      await new Promise<void>((resolve) => {
        const cancel = timers.after(Math.ceil(leftMs), () => this.#arrived())
        this.#waiter = () => {
          cancel()
          resolve()
        }
      })
    }
  }

  wake(): void {
    this.#woken = true
    this.#arrived()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#client.parts.delete(this)
    this.#retry?.()
    this.#arrived()
    await Promise.all(this.#pools.map((pool) => this.#client.release(pool)))
  }

  #arrived(): void {
    const waiter = this.#waiter
    this.#waiter = null
    waiter?.()
  }

  #collect<T>(take: Take<T>): (Place & T)[] {
    const chunks: (Place & T)[] = []
    for (const slot of this.#slots.values()) {
      if (slot.error !== null) throw slot.error
      if (slot.paused) continue
      while (slot.arrived.length > 0) {
        const chunk = this.#slice(slot, slot.arrived[0] as Arrived, take)
        if (chunk === null) continue
        chunks.push(chunk)
        break
      }
    }
    return chunks
  }

  /** Null when the slice says nothing new. */
  #slice<T>(slot: Slot, from: Arrived, take: Take<T>): (Place & T) | null {
    const { cursor } = from
    let taken: T
    const before = cursor.bytes
    try {
      taken = take(cursor, slot)
    } catch (error) {
      this.#corrupt(slot, error)
      return null
    }
    if (cursor.done) {
      slot.arrived.shift()
      slot.ahead -= from.bytes
      slot.corrupt = 0
    }
    if (cursor.position === slot.handed) return null
    slot.handed = cursor.position
    return {
      topic: slot.topic,
      partition: slot.partition,
      ...taken,
      bytes: cursor.bytes - before,
      position: slot.handed,
      endOffset: Math.max(from.endOffset, slot.handed),
    }
  }

  #corrupt(slot: Slot, error: unknown): void {
    const times = slot.corrupt + 1
    place(slot, slot.handed)
    slot.corrupt = times
    slot.retryAt = this.#client.world.clock.monotonic() + RETRY_MS
    if (error instanceof CorruptBatch && times < CORRUPT_MAX) return
    slot.error = new MillraceError('STREAM_BROKER', `${slot.name} cannot be read at offset ${slot.handed}`, {
      cause: error,
      disposition: 'stop',
    })
  }

  #pump(): void {
    if (this.#closed) return
    const now = this.#client.world.clock.monotonic()
    let ahead = 0
    for (const slot of this.#slots.values()) if (!slot.paused) ahead += slot.ahead // what is paused must not starve the others
    if (ahead >= AHEAD_BYTES_ALL) return
    const byNode = new Map<string, { node: Node; wants: Slot[] }>()
    let retryMs = Number.POSITIVE_INFINITY
    const unknown = new Set<string>()
    for (const slot of this.#slots.values()) {
      if (slot.error !== null || slot.paused || slot.fetching || slot.ahead >= AHEAD_BYTES) continue
      if (slot.retryAt > now) {
        retryMs = Math.min(retryMs, slot.retryAt - now)
        continue
      }
      const node = this.#client.leader(slot.topic, slot.partition)
      if (node === undefined) {
        unknown.add(slot.topic)
        continue
      }
      const key = addressOf(node)
      const of = byNode.get(key)
      if (of === undefined) byNode.set(key, { node, wants: [slot] })
      else of.wants.push(slot)
    }
    for (const [key, { node, wants }] of byNode) {
      if (!this.#busy[0].has(key)) void this.#fetch(0, key, node, wants, LIMITS.fetchWaitMs)
      else if (!this.#busy[1].has(key)) void this.#fetch(1, key, node, wants, SHORT_WAIT_MS)
    }
    if (unknown.size > 0) this.#learn([...unknown])
    if (retryMs < Number.POSITIVE_INFINITY) this.#pumpLater(retryMs)
  }

  #pumpLater(afterMs: number): void {
    if (this.#retry !== null || this.#closed) return
    this.#retry = this.#client.world.timers.after(Math.ceil(afterMs), () => {
      this.#retry = null
      this.#pump()
    })
  }

  async #fetch(lane: 0 | 1, key: string, node: Node, slots: readonly Slot[], waitMs: number): Promise<void> {
    const asked = new Map<string, { slot: Slot; version: number }>()
    for (const slot of slots) {
      slot.fetching = true
      if (slot.topicId === '') slot.topicId = this.#client.topic(slot.topic)?.id ?? ''
      asked.set(`${slot.topicId}/${slot.partition}`, { slot, version: slot.version })
    }
    this.#busy[lane].add(key)
    const wants = slots.map((slot) => ({ topicId: slot.topicId, partition: slot.partition, offset: slot.position }))
    const bounds = {
      waitMs,
      bytesMax: LIMITS.fetchBytesMax,
      partitionBytesMax: LIMITS.fetchPartitionBytesMax,
      committedOnly: this.#committedOnly,
    }
    try {
      const rows = await sendFetch(await this.#pools[lane].get(node), wants, bounds)
      this.#troubled = false
      for (const row of rows) {
        const of = asked.get(`${row.topicId}/${row.partition}`)
        if (of === undefined || of.slot.version !== of.version) continue
        if (row.errorCode === 0) this.#take(of.slot, row)
        else this.#refused(of.slot, row.errorCode)
      }
    } catch (error) {
      this.#failed(asked, error)
    }
    this.#busy[lane].delete(key)
    for (const { slot, version } of asked.values()) {
      if (slot.version === version) slot.fetching = false
      if (this.#slots.get(slot.name) !== slot) continue
      this.#slots.delete(slot.name) // to the end of the row: who was served last asks last
      this.#slots.set(slot.name, slot)
    }
    this.#pump()
  }

  #take(slot: Slot, row: FetchedRow): void {
    slot.missingSince = -1
    const next = endOfBatches(row.buffer, row.start, row.end, slot.position)
    if (next === slot.position) return
    const cursor = new RecordCursor(row.buffer, row.start, row.end, slot.position, this.#committedOnly ? (row.aborted ?? []) : null)
    const bytes = row.end - row.start
    slot.position = next
    slot.ahead += bytes
    slot.arrived.push({ cursor, bytes, endOffset: this.#committedOnly ? row.lastStableOffset : row.highWatermark })
    this.#arrived()
  }

  #refused(slot: Slot, errorCode: number): void {
    const now = this.#client.world.clock.monotonic()
    const name = codeName(errorCode)
    const found = outcome('fetch', name)
    slot.retryAt = now + RETRY_MS
    if (found.outcome === 'range') this.#outOfRange(slot)
    else if (found.outcome === 'missing') {
      if (slot.missingSince < 0) slot.missingSince = now
      this.#learn([slot.topic])
    } else if (found.outcome === 'refresh') this.#learn([slot.topic])
    else if (found.outcome !== 'again')
      this.#stop(slot, new MillraceError('STREAM_BROKER', `Fetch of ${slot.name}: ${name} (${found.reason})`, { disposition: 'stop' }))
  }

  #outOfRange(slot: Slot): void {
    const { version, position } = slot
    slot.retryAt = Number.POSITIVE_INFINITY
    Promise.all([listOffsets(this.#client, [slot], 'earliest'), listOffsets(this.#client, [slot], 'latest')]).then(
      ([[first], [end]]) => {
        if (slot.version !== version) return
        this.#stop(
          slot,
          new OffsetOutOfRange(
            { topic: slot.topic, partition: slot.partition, offset: position },
            `${slot.name} has no offset ${position}: it holds ${first} to ${end}; records were deleted before they were read, or the topic was made ` +
              "anew. To go on without them, set the group's offsets for it (kafka-consumer-groups.sh --reset-offsets)",
          ),
        )
      },
      () => {
        if (slot.version !== version) return
        slot.retryAt = 0
        this.#pump()
      },
    )
  }

  #failed(asked: ReadonlyMap<string, { readonly slot: Slot; readonly version: number }>, error: unknown): void {
    if (this.#closed) return
    if (!this.#troubled)
      this.#client.world.logger.warn(
        { topics: [...new Set([...asked.values()].map(({ slot }) => slot.topic))], cause: explain(error) },
        'a fetch failed; asking again',
      )
    this.#troubled = true
    const retryAt = this.#client.world.clock.monotonic() + RETRY_MS
    const { outcome: found } = judge('fetch', error)
    for (const { slot, version } of asked.values()) {
      if (slot.version !== version) continue
      slot.retryAt = retryAt
      if (found === 'stop') this.#stop(slot, failure('fetch', `Fetch of ${slot.name}`, error))
    }
    if (found !== 'stop') this.#learn([...new Set([...asked.values()].map(({ slot }) => slot.topic))])
  }

  #stop(slot: Slot, error: MillraceError): void {
    slot.error = error
    this.#arrived()
  }

  /** Asks where these topics are led now, and whether they are still the same. */
  #learn(topics: readonly string[]): void {
    if (this.#refreshing !== null || this.#closed) return
    const done = (): void => {
      this.#refreshing = null
      this.#pumpLater(RETRY_MS)
    }
    this.#refreshing = this.#client
      .refresh(topics)
      .then(() => {
        for (const topic of topics) this.#compare(topic)
      })
      .then(done, done)
  }

  #compare(topic: string): void {
    const now = this.#client.world.clock.monotonic()
    const meta = this.#client.topic(topic)
    for (const slot of this.#slots.values()) {
      if (slot.topic !== topic || slot.error !== null) continue
      if (meta !== undefined && slot.partition < meta.leaders.length) {
        if (slot.topicId === '' || slot.topicId === meta.id) {
          if (slot.missingSince >= 0 && now - slot.missingSince > 10 * MISSING_MS) slot.missingSince = -1 // the brokers disagree: go on asking
          continue
        }
        this.#stop(slot, new MillraceError('STREAM_TOPIC_MISSING', `topic ${topic} was deleted and made anew while it was read`))
        continue
      }
      if (slot.missingSince < 0) slot.missingSince = now
      else if (now - slot.missingSince >= MISSING_MS) {
        this.#stop(
          slot,
          new MillraceError(
            'STREAM_TOPIC_MISSING',
            meta === undefined ? `topic ${topic} does not exist` : `topic ${topic} has no partition ${slot.partition}`,
          ),
        )
      }
    }
  }
}

function newSlot(from: ReadFrom, name: string): Slot {
  return {
    topic: from.topic,
    partition: from.partition,
    name,
    version: 0,
    handed: from.offset,
    position: from.offset,
    topicId: '',
    paused: false,
    fetching: false,
    ahead: 0,
    arrived: [],
    error: null,
    retryAt: 0,
    missingSince: -1,
    corrupt: 0,
    columns: null,
  }
}

function place(slot: Slot, offset: number): void {
  slot.version++
  slot.handed = slot.position = offset
  slot.topicId = ''
  slot.fetching = false
  slot.ahead = 0
  slot.arrived = []
  slot.error = null
  slot.retryAt = 0
  slot.missingSince = -1
  slot.corrupt = 0
}
