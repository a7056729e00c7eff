// The rows of one store in which a stream join keeps what may still be joined, and what waits to be put out without a match.
//
//   META   side                      the greatest timestamp that this side has brought; for PENDING_LEFT: up to when what waits goes out
//   side   bucket, key, chunk        records of one side, a bucket of time and a chunk of bytes at a time
//   side   time, key                 records of one side that have no match yet (PENDING)
//
// Invariants
// 1. Everything that one lookup needs is found by exact keys: the buckets that overlap its range, their chunks 0, 1, 2 ... So a record waits
//    for nothing.
// 2. A chunk begins with the number of the bucket's last chunk (only chunk 0 tells the truth) and holds entries in the order of arrival:
//    time (uint64), uint32 length, value. A chunk is not written again once it is over CHUNK_BYTES_MAX, so a busy key costs no more.
import { readTime, rowKey, writeTime } from '../serde/window-rows.ts'
import type { StoreView } from './operator.ts'

export const LEFT = 1
export const RIGHT = 2
export const PENDING_RIGHT = 3
export const PENDING_LEFT = 4

const CHUNK_BYTES_MAX = 16_384
const CHUNK_HEAD = 4
const ENTRY_HEAD = 12

export interface JoinEntry {
  readonly time: number
  readonly value: Buffer
}

/** One side's records by key and time. `bucketMs`: how much time is in one row. */
export class JoinRows {
  readonly #store: StoreView
  readonly #region: number
  readonly #bucketMs: number

  constructor(store: StoreView, region: number, bucketMs: number) {
    this.#store = store
    this.#region = region
    this.#bucketMs = bucketMs
  }

  add(key: Buffer, time: number, value: Buffer): void {
    const store = this.#store
    const bucket = this.#bucketOf(time)
    const entry = encodeEntry(time, value)
    const first = this.#chunkKey(bucket, key, 0)
    const head = store.getBytes(first)
    if (head === null) {
      store.putBytes(first, Buffer.concat([chunkHead(0), entry]), time)
      return
    }
    const last = head.value.readUInt32BE(0)
    const lastKey = last === 0 ? first : this.#chunkKey(bucket, key, last)
    const chunk = last === 0 ? head.value : (store.getBytes(lastKey)?.value ?? chunkHead(0))
    if (chunk.length + entry.length <= CHUNK_BYTES_MAX) {
      store.putBytes(lastKey, Buffer.concat([chunk, entry]), time)
      return
    }
    store.putBytes(this.#chunkKey(bucket, key, last + 1), Buffer.concat([chunkHead(0), entry]), time)
    store.putBytes(first, Buffer.concat([chunkHead(last + 1), head.value.subarray(CHUNK_HEAD)]), time)
  }

  /** From `from` to `to`, both inclusive, in the order of time and arrival. */
  between(key: Buffer, from: number, to: number): readonly JoinEntry[] {
    const found: JoinEntry[] = []
    for (let bucket = this.#bucketOf(from); bucket <= to; bucket += this.#bucketMs) {
      let last = 0
      for (let n = 0; n <= last; n++) {
        const chunk = this.#store.getBytes(this.#chunkKey(bucket, key, n))
        if (chunk === null) break
        if (n === 0) last = chunk.value.readUInt32BE(0)
        readEntries(chunk.value, from, to, found)
      }
    }
    return found.length > 1 ? found.sort((a, b) => a.time - b.time) : found
  }

  /** What all rows are below in which nothing is as young as `time`. */
  expiredBefore(time: number): number {
    return time - this.#bucketMs + 1
  }

  #bucketOf(time: number): number {
    return Math.floor(time / this.#bucketMs) * this.#bucketMs
  }

  #chunkKey(bucket: number, key: Buffer, chunk: number): Buffer {
    const row = rowKey(this.#region, bucket, key)
    const bytes = Buffer.allocUnsafe(row.length + 4)
    row.copy(bytes)
    bytes.writeUInt32BE(chunk, row.length)
    return bytes
  }
}

/** Several values in one row, in the order of arrival: the row before, if there is one, and another value. */
export function appendValue(row: Buffer | null, value: Buffer): Buffer {
  const length = Buffer.allocUnsafe(4)
  length.writeUInt32BE(value.length)
  return Buffer.concat(row === null ? [length, value] : [row, length, value])
}

/** The value that came first, and the row without it; null: there are no others. */
export function firstOf(row: Buffer): readonly [value: Buffer, rest: Buffer | null] {
  const end = 4 + row.readUInt32BE(0)
  return [row.subarray(4, end), end < row.length ? row.subarray(end) : null]
}

export function valuesOf(row: Buffer): Buffer[] {
  const values: Buffer[] = []
  for (let at = 0; at < row.length; ) {
    const end = at + 4 + row.readUInt32BE(at)
    values.push(row.subarray(at + 4, end))
    at = end
  }
  return values
}

function chunkHead(last: number): Buffer {
  const head = Buffer.allocUnsafe(CHUNK_HEAD)
  head.writeUInt32BE(last)
  return head
}

function encodeEntry(time: number, value: Buffer): Buffer {
  const entry = Buffer.allocUnsafe(ENTRY_HEAD + value.length)
  entry.writeUInt32BE(value.length, writeTime(entry, time, 0))
  value.copy(entry, ENTRY_HEAD)
  return entry
}

function readEntries(chunk: Buffer, from: number, to: number, found: JoinEntry[]): void {
  for (let at = CHUNK_HEAD; at < chunk.length; ) {
    const time = readTime(chunk, at)
    const end = at + ENTRY_HEAD + chunk.readUInt32BE(at + 8)
    if (time >= from && time <= to) found.push({ time, value: chunk.subarray(at + ENTRY_HEAD, end) })
    at = end
  }
}
