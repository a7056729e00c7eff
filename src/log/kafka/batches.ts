// What a writer has taken and no broker has acknowledged: flat batches by partition, those of the sealed epoch apart from those
// of the open one.
//
// Invariants
// 1. A partition's batches leave in the order their records came.
// 2. While an epoch is sealed only its batches leave (a produce right behind an EndTxn joins the ending transaction: measured).
// 3. A batch stays under LIMITS.batchBytesMax, or what its topic was found to take, unless one record alone is larger.
import { MillraceError } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import { type Headers, partitionName } from '../../base/record.ts'
import { BatchBuilder, recordSize } from './encode.ts'

const FREE_BYTES_MAX = 16 * 1024 * 1024
/** Beyond this the arithmetic of timestamp deltas is not exact; it is the year 73,000. */
const TIMESTAMP_MAX = 2 ** 51

export interface Part {
  readonly topic: string
  readonly partition: number
  readonly name: string
  readonly bytesMax: number
  open: BatchBuilder[]
  sealed: BatchBuilder[]
  /** The next sequence number, and the producer epoch that it counts in. */
  sequence: number
  sequenceOf: object | null
  /** The producer epoch in which a broker has taken a batch of it; until then only one is in flight. */
  joined: object | null
  joining: boolean
}

export class EpochBatches {
  /** Taken and not acknowledged. */
  bytes = 0
  sealed = false
  #topics = new Map<string, (Part | undefined)[]>()
  #openParts: Part[] = []
  #sealedParts: Part[] = []
  readonly #free: BatchBuilder[] = []
  #freeBytes = 0
  readonly #bytesMax: ReadonlyMap<string, number>

  /** `bytesMax`: of topics that take less than the default. */
  constructor(bytesMax: ReadonlyMap<string, number>) {
    this.#bytesMax = bytesMax
  }

  /** True when a batch has become full. `partitions` is what the topic has. */
  append(
    topic: string,
    partition: number,
    partitions: number,
    timestamp: number,
    key: Buffer | null,
    value: Buffer | null,
    headers: Headers,
  ): boolean {
    const size = recordSize(key, value, headers)
    if (size > LIMITS.recordBytesMax + 32) {
      throw new MillraceError(
        'STREAM_RECORD_TOO_LARGE',
        `a record for ${partitionName(topic, partition)} has ${size - 32} bytes, ${LIMITS.recordBytesMax} are allowed`,
      )
    }
    if (!Number.isInteger(timestamp) || timestamp > TIMESTAMP_MAX || timestamp < -TIMESTAMP_MAX) {
      throw new MillraceError(
        'STREAM_SERDE',
        `a record for ${partitionName(topic, partition)} has timestamp ${timestamp}, which is no epoch time in ms`,
      )
    }
    const part = this.#topics.get(topic)?.[partition] ?? this.#part(topic, partition, partitions)
    const queue = part.open
    let batch = queue[queue.length - 1]
    let full = false
    if (batch === undefined) {
      this.#openParts.push(part)
      batch = this.#take()
      queue.push(batch)
    } else if (batch.size + size > part.bytesMax) {
      full = true
      batch = this.#take()
      queue.push(batch)
    }
    const before = batch.count === 0 ? 0 : batch.size
    batch.append(timestamp, key, value, headers)
    this.bytes += batch.size - before
    return full
  }

  seal(): void {
    this.sealed = true
    this.#sealedParts = this.#openParts
    this.#openParts = []
    for (const part of this.#sealedParts) {
      part.sealed = part.open
      part.open = []
    }
  }

  /** The sealed epoch has ended. */
  release(): void {
    this.sealed = false
    this.#sealedParts = []
  }

  /** The partitions whose batches may leave now. */
  leaving(): readonly Part[] {
    return this.sealed ? this.#sealedParts : this.#openParts
  }

  /** Whether the partition has a batch to send; `all`: also one that still grows. */
  has(part: Part, all: boolean): boolean {
    if (this.sealed) return part.sealed.length > 0
    return part.open.length > (all ? 0 : 1)
  }

  next(part: Part): BatchBuilder {
    const queue = this.sealed ? part.sealed : part.open
    const batch = queue.shift() as BatchBuilder
    if (!this.sealed && queue.length === 0) this.#openParts.splice(this.#openParts.indexOf(part), 1)
    return batch
  }

  /** A batch that a broker has plainly not taken leaves first again. */
  putBack(part: Part, batch: BatchBuilder): void {
    const queue = this.sealed ? part.sealed : part.open
    queue.unshift(batch)
    const parts = this.sealed ? this.#sealedParts : this.#openParts
    if (!parts.includes(part)) parts.push(part)
  }

  /** Nothing of the epoch that leaves is left here. */
  get sent(): boolean {
    for (const part of this.leaving()) if (this.has(part, true)) return false
    return true
  }

  /** The package has copied it. */
  recycle(batch: BatchBuilder): void {
    if (this.#freeBytes + batch.capacity > FREE_BYTES_MAX) return
    this.#freeBytes += batch.capacity
    batch.reset()
    this.#free.push(batch)
  }

  #take(): BatchBuilder {
    const batch = this.#free.pop()
    if (batch === undefined) return new BatchBuilder()
    this.#freeBytes -= batch.capacity
    return batch
  }

  #part(topic: string, partition: number, partitions: number): Part {
    let parts = this.#topics.get(topic)
    if (parts === undefined) {
      parts = new Array<Part | undefined>(partitions).fill(undefined)
      this.#topics.set(topic, parts)
    }
    const part: Part = {
      topic,
      partition,
      name: partitionName(topic, partition),
      bytesMax: this.#bytesMax.get(topic) ?? LIMITS.batchBytesMax,
      open: [],
      sealed: [],
      sequence: 0,
      sequenceOf: null,
      joined: null,
      joining: false,
    }
    parts[partition] = part
    return part
  }
}
