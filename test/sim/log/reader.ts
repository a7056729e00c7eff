// The reader port: fetches ahead, one request a broker, and hands out what has arrived. As src/log/kafka/reader.ts without its bytes.
import { MillraceError } from '../../../src/base/errors.ts'
import { type LogRecord, partitionName, type TopicPartition } from '../../../src/base/record.ts'
import { failure, judge } from '../../../src/log/kafka/errors.ts'
import type { Chunk, Reader, ReaderOptions, ReadFrom } from '../../../src/log/log.ts'
import type { SimClient } from './client.ts'
import { NO_LEADER } from './cluster.ts'
import { Answer, type Reply } from './network.ts'
import { type Entry, type SimPartition, stableEnd } from './partition.ts'

const FETCH_WAIT_MS = 40
const RETRY_MS = 20
const MISSING_MS = 200

interface Slot extends TopicPartition {
  readonly name: string
  version: number
  handed: number
  position: number
  paused: boolean
  fetching: boolean
  arrived: Chunk[]
  error: MillraceError | null
  missingSince: number
}

interface Want {
  readonly slot: Slot
  readonly version: number
  readonly from: number
}

type Row = { readonly want: Want; readonly refusal: string } | { readonly want: Want; readonly chunk: Chunk }

export class SimReader implements Reader {
  readonly #client: SimClient
  readonly #committed: boolean
  #slots = new Map<string, Slot>()
  readonly #busy = new Set<number>()
  #retrying = false
  #waiter: (() => void) | null = null
  #woken = false
  #closed = false

  constructor(client: SimClient, options: ReaderOptions) {
    this.#client = client
    this.#committed = options.isolation !== 'uncommitted'
    client.parts.add(this)
  }

  assign(partitions: readonly ReadFrom[]): void {
    const before = this.#slots
    this.#slots = new Map()
    for (const from of partitions) {
      const name = partitionName(from.topic, from.partition)
      const known = before.get(name)
      before.delete(name)
      if (known !== undefined && (known.handed !== from.offset || known.error !== null)) place(known, from.offset)
      this.#slots.set(name, known ?? newSlot(from, name))
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
    if (slot.arrived.length > 0) this.#news()
    this.#pump()
  }

  async poll(waitMs: number): Promise<readonly Chunk[]> {
    const { clock, timers } = this.#client.world
    const deadline = clock.monotonic() + waitMs
    for (;;) {
      if (this.#closed) throw new MillraceError('STREAM_CLOSED', 'the reader is closed')
      const chunks = this.#collect()
      this.#pump()
      const leftMs = deadline - clock.monotonic()
      if (chunks.length > 0 || leftMs <= 0 || this.#woken) {
        this.#woken = false
        return chunks
      }
      await new Promise<void>((resolve) => {
        const cancel = timers.after(leftMs, () => this.#news())
        this.#waiter = () => {
          cancel()
          resolve()
        }
      })
    }
  }

  wake(): void {
    this.#woken = true
    this.#news()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#client.parts.delete(this)
    this.#news()
  }

  #news(): void {
    const waiter = this.#waiter
    this.#waiter = null
    waiter?.()
  }

  #collect(): Chunk[] {
    const chunks: Chunk[] = []
    for (const slot of this.#slots.values()) {
      if (slot.error !== null) throw slot.error
      if (slot.paused) continue
      const chunk = slot.arrived.shift()
      if (chunk === undefined) continue
      slot.handed = chunk.position
      chunks.push(chunk)
    }
    return chunks
  }

  #pump(): void {
    if (this.#closed) return
    const byBroker = new Map<number, Slot[]>()
    for (const slot of this.#slots.values()) {
      if (slot.error !== null || slot.paused || slot.fetching || slot.arrived.length > 1) continue
      const leader = this.#client.cluster.partition(slot)?.leader ?? 0
      if (leader === NO_LEADER) this.#later()
      else if (byBroker.has(leader)) byBroker.get(leader)?.push(slot)
      else byBroker.set(leader, [slot])
    }
    for (const [broker, slots] of byBroker) if (!this.#busy.has(broker)) void this.#fetch(broker, slots)
  }

  #later(): void {
    if (this.#retrying) return
    this.#retrying = true
    this.#client.world.timers.after(RETRY_MS, () => {
      this.#retrying = false
      this.#pump()
    })
  }

  async #fetch(broker: number, slots: readonly Slot[]): Promise<void> {
    this.#busy.add(broker)
    const wants = slots.map((slot): Want => {
      slot.fetching = true
      return { slot, version: slot.version, from: slot.position }
    })
    let failed = false
    try {
      const wire = this.#client.wire(`fetch ${broker}`)
      const rows = await this.#client.call<Row[]>('fetch', 'fetch', wire, (reply) => this.#serve(broker, wants, reply))
      for (const row of rows) {
        if (row.want.slot.version !== row.want.version) continue
        if ('chunk' in row) this.#take(row.want.slot, row.chunk)
        else failed = this.#refused(row.want.slot, row.refusal) || failed
      }
    } catch (error) {
      failed = true
      if (judge('fetch', error).outcome === 'stop')
        for (const { slot, version } of wants) if (slot.version === version) this.#stop(slot, failure('fetch', 'fetch', error))
    }
    for (const { slot, version } of wants) if (slot.version === version) slot.fetching = false
    if (failed) await this.#client.world.timers.sleep(RETRY_MS)
    this.#busy.delete(broker)
    this.#pump()
  }

  #take(slot: Slot, chunk: Chunk): void {
    slot.missingSince = -1
    slot.position = chunk.position
    slot.arrived.push(chunk)
    this.#news()
  }

  /** True: worth another try. */
  #refused(slot: Slot, name: string): boolean {
    const now = this.#client.world.clock.monotonic()
    const { outcome } = judge('fetch', new Answer(`fetch of ${slot.name}`, name))
    if (outcome === 'range') {
      const end = this.#client.cluster.partition(slot)?.entries.length
      const message = `${slot.name} has no offset ${slot.position}: it holds 0 to ${end}`
      this.#stop(slot, new MillraceError('STREAM_OFFSET_OUT_OF_RANGE', message))
      return false
    }
    if (outcome !== 'missing') return true
    if (slot.missingSince < 0) slot.missingSince = now
    else if (now - slot.missingSince > MISSING_MS) {
      this.#stop(slot, new MillraceError('STREAM_TOPIC_MISSING', `topic ${slot.topic} has no partition ${slot.partition}`))
      return false
    }
    return true
  }

  #stop(slot: Slot, error: MillraceError): void {
    slot.error = error
    this.#news()
  }

  // --- at the broker -------------------------------------------------------------------------------------------------

  #serve(broker: number, wants: readonly Want[], reply: Reply<Row[]>): void {
    const { cluster } = this.#client
    let cancel = (): void => {}
    let answered = false
    const partitions = wants.map(({ slot }) => cluster.partition(slot))
    const look = (): void => {
      if (answered) return
      const rows = wants.flatMap((want, i) => this.#rowOf(broker, want, partitions[i]) ?? [])
      if (rows.length > 0) answer(rows)
    }
    const answer = (rows: Row[]): void => {
      answered = true
      cancel()
      for (const partition of partitions) partition?.waiters.delete(look)
      reply.ok(rows)
    }
    look()
    if (answered) return
    for (const partition of partitions) partition?.waiters.add(look)
    cancel = cluster.options.world.timers.after(FETCH_WAIT_MS, () => {
      if (!answered) answer([])
    })
  }

  #rowOf(broker: number, want: Want, partition: SimPartition | undefined): Row | null {
    if (partition === undefined || partition.deleted) return { want, refusal: 'UNKNOWN_TOPIC_OR_PARTITION' }
    if (partition.leader !== broker) return { want, refusal: 'NOT_LEADER_OR_FOLLOWER' }
    const { from } = want
    if (from > partition.entries.length) return { want, refusal: 'OFFSET_OUT_OF_RANGE' }
    const end = this.#committed ? stableEnd(partition) : partition.entries.length
    if (from >= end) return null
    const records: LogRecord[] = []
    let bytes = 0
    let position = from
    for (; position < end && records.length < this.#client.options.chunkRecordsMax; position++) {
      const { record, mark } = partition.entries[position] as Entry
      if (record === null || (this.#committed && mark !== null && mark.state !== 'committed')) continue
      records.push(record)
      bytes += (record.key?.length ?? 0) + (record.value?.length ?? 0) + 20
    }
    return { want, chunk: { topic: partition.topic, partition: partition.partition, records, bytes, position, endOffset: end } }
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
    paused: false,
    fetching: false,
    arrived: [],
    error: null,
    missingSince: -1,
  }
}

function place(slot: Slot, offset: number): void {
  slot.version++
  slot.handed = slot.position = offset
  slot.fetching = false
  slot.arrived = []
  slot.error = null
  slot.missingSince = -1
}
