// Walks the records of one fetched partition, a slice at a time, and is the read_committed filter (the Java client's algorithm).
//
// Invariants
// 1. `position` is where the next read must begin; it also passes control, aborted and emptied batches.
// 2. Aborted transactions are matched by producer id and order, never by offset range: an open one has no end here.
// 3. A last batch that was cut off is left for the next fetch.
// 4. A batch's bytes are copied out once, so that a record kept for long pins its batch and not a 16 MiB response; but for columns, which
//    nobody keeps.
import { compressionsAlgorithmsByBitmask } from '@platformatic/kafka'
import type { RecordColumns } from '../../base/columns.ts'
import { type Headers, type LogRecord, NO_HEADERS } from '../../base/record.ts'
import { BATCH_HEADER_BYTES, checksum } from './encode.ts'

export interface AbortedTransaction {
  readonly producerId: bigint
  readonly firstOffset: number
}

export class CorruptBatch extends Error {
  readonly apiId = 'CORRUPT_MESSAGE'
}

const TRANSACTIONAL = 0x10
const CONTROL = 0x20
const APPEND_TIME = 0x08
const NOTHING = Buffer.alloc(0)

export class RecordCursor {
  position: number
  /** Bytes of the records handed out so far, as they were before compression. */
  bytes = 0
  readonly #response: Buffer
  readonly #end: number
  readonly #from: number
  #nextBatch: number
  readonly #aborted: readonly AbortedTransaction[]
  #abortedAt = 0
  readonly #abortedIds = new Set<bigint>()
  // the batch being read
  #buffer: Buffer = NOTHING
  #at = 0
  #left = 0
  #base = 0
  #lastOffset = -1
  #firstTimestamp = 0
  #appendTimestamp = -1

  /** `aborted`: the partition's aborted transactions, or null when uncommitted records are wanted, too. */
  constructor(response: Buffer, start: number, end: number, from: number, aborted: readonly AbortedTransaction[] | null) {
    this.#response = response
    this.#nextBatch = start
    this.#end = end
    this.#from = this.position = from
    this.#aborted = aborted === null ? [] : [...aborted].sort((a, b) => a.firstOffset - b.firstOffset)
  }

  /** The next records, at most `max`; fewer only at the end. */
  take(max: number): LogRecord[] {
    const records: LogRecord[] = []
    while (records.length < max) {
      if (this.#left > 0) {
        const record = this.#readRecord()
        if (record.offset < this.#from) continue // a batch may begin before what was asked for
        this.position = record.offset + 1
        records.push(record)
        continue
      }
      this.#closeBatch()
      if (!this.#openBatch(true)) break
    }
    if (this.#left === 0) this.#closeBatch()
    return records
  }

  /** The next records, at most as many as fit; fewer also where those behind them lie in other bytes. */
  takeColumns(into: RecordColumns): void {
    into.count = 0
    while (into.count < into.offsets.length) {
      if (this.#left > 0) {
        if (into.count > 0 && into.bytes !== this.#buffer) break
        into.bytes = this.#buffer
        this.#readColumns(into)
        continue
      }
      this.#closeBatch()
      if (!this.#openBatch(false)) break
    }
    if (this.#left === 0) this.#closeBatch()
  }

  /** No more to come. */
  get done(): boolean {
    return this.#left === 0 && !this.#whole(this.#nextBatch)
  }

  #whole(at: number): boolean {
    return this.#end - at >= BATCH_HEADER_BYTES && at + 12 + this.#response.readInt32BE(at + 8) <= this.#end
  }

  #closeBatch(): void {
    if (this.#lastOffset >= this.position) this.position = this.#lastOffset + 1
    this.#lastOffset = -1
  }

  #openBatch(copies: boolean): boolean {
    const b = this.#response
    const at = this.#nextBatch
    if (!this.#whole(at)) return false
    const next = at + 12 + b.readInt32BE(at + 8)
    if (b[at + 16] !== 2) throw new CorruptBatch(`a batch of magic ${b[at + 16]}`)
    if (checksum(b.subarray(at + 21, next)) !== b.readUInt32BE(at + 17)) throw new CorruptBatch('a batch whose checksum is off')
    this.#nextBatch = next
    this.#base = Number(b.readBigInt64BE(at))
    this.#lastOffset = this.#base + b.readInt32BE(at + 23)
    const attributes = b.readInt16BE(at + 21)
    const count = b.readInt32BE(at + 57)
    if ((attributes & (TRANSACTIONAL | CONTROL)) !== 0 && this.#skip(at, attributes, count)) return true
    this.#firstTimestamp = Number(b.readBigInt64BE(at + 27))
    this.#appendTimestamp = (attributes & APPEND_TIME) !== 0 ? Number(b.readBigInt64BE(at + 35)) : -1
    const packed = b.subarray(at + BATCH_HEADER_BYTES, next)
    const codec = attributes & 7
    this.#at = 0
    if (codec === 0 && copies) this.#buffer = Buffer.from(packed)
    else if (codec === 0) {
      this.#buffer = b
      this.#at = at + BATCH_HEADER_BYTES
    } else {
      const algorithm = compressionsAlgorithmsByBitmask[codec as keyof typeof compressionsAlgorithmsByBitmask]
      if (algorithm === undefined) throw new CorruptBatch(`a batch of compression ${codec}`)
      this.#buffer = algorithm.decompressSync(packed) as Buffer
    }
    this.#left = count // 0 for a batch that compaction has emptied
    return true
  }

  /** A transactional or control batch: true when its records are not for us. */
  #skip(at: number, attributes: number, count: number): boolean {
    const b = this.#response
    const producerId = b.readBigInt64BE(at + 43)
    for (
      let next = this.#aborted[this.#abortedAt];
      next !== undefined && next.firstOffset <= this.#lastOffset;
      next = this.#aborted[++this.#abortedAt]
    ) {
      this.#abortedIds.add(next.producerId)
    }
    if ((attributes & CONTROL) !== 0) {
      if (count > 0 && markerType(b, at + BATCH_HEADER_BYTES) === 0) this.#abortedIds.delete(producerId)
      return true
    }
    return this.#abortedIds.has(producerId)
  }

  #readRecord(): LogRecord {
    const b = this.#buffer
    const length = this.#varint()
    const end = this.#at + length
    this.bytes += length
    this.#at++ // attributes
    const delta = this.#varlong()
    const offset = this.#base + this.#varint()
    const key = this.#bytes()
    const value = this.#bytes()
    const headers = b[this.#at] === 0 ? NO_HEADERS : this.#headers()
    this.#at = end
    this.#left--
    return { offset, timestamp: this.#appendTimestamp >= 0 ? this.#appendTimestamp : this.#firstTimestamp + delta, key, value, headers }
  }

  /** Of the batch being read. */
  #readColumns(into: RecordColumns): void {
    const { offsets, timestamps, keyAts, keyLengths, valueAts, valueLengths } = into
    const appendTimestamp = this.#appendTimestamp
    for (; this.#left > 0 && into.count < offsets.length; this.#left--) {
      const length = this.#varint()
      const end = this.#at + length
      this.bytes += length
      this.#at++ // attributes
      const timestamp = this.#firstTimestamp + this.#varlong()
      const offset = this.#base + this.#varint()
      const keyLength = this.#varint()
      const keyAt = this.#at
      if (keyLength > 0) this.#at += keyLength
      const valueLength = this.#at < end ? this.#varint() : end
      const valueAt = this.#at
      if (valueAt + Math.max(valueLength, 0) > end) throw new CorruptBatch('a record that is longer than it says')
      this.#at = end
      if (offset < this.#from) continue // a batch may begin before what was asked for
      const i = into.count++
      offsets[i] = offset
      timestamps[i] = appendTimestamp >= 0 ? appendTimestamp : timestamp
      keyAts[i] = keyAt
      keyLengths[i] = keyLength
      valueAts[i] = valueAt
      valueLengths[i] = valueLength
      this.position = offset + 1
    }
  }

  #bytes(): Buffer | null {
    const length = this.#varint()
    if (length < 0) return null
    const start = this.#at
    this.#at = start + length
    return this.#buffer.subarray(start, start + length)
  }

  #headers(): Headers {
    const count = this.#varint()
    const headers: [string, Buffer | null][] = []
    for (let i = 0; i < count; i++) headers.push([(this.#bytes() ?? NOTHING).toString('utf8'), this.#bytes()])
    return headers
  }

  #varint(): number {
    const b = this.#buffer
    let byte = b[this.#at++] as number
    if (byte < 128) return (byte >>> 1) ^ -(byte & 1)
    let n = byte & 127
    for (let shift = 7; ; shift += 7) {
      byte = b[this.#at++] as number
      n |= (byte & 127) << shift
      if (byte < 128) return (n >>> 1) ^ -(n & 1)
    }
  }

  /** Exact while the zigzag is a safe integer: 2^52 ms. */
  #varlong(): number {
    const b = this.#buffer
    let byte = b[this.#at++] as number
    if (byte < 128) return (byte >>> 1) ^ -(byte & 1)
    let n = byte & 127
    for (let scale = 128; ; scale *= 128) {
      byte = b[this.#at++] as number
      n += (byte & 127) * scale
      if (byte < 128) return n % 2 === 0 ? n / 2 : -(n + 1) / 2
    }
  }
}

/** A control record: length, attributes, timestamp delta, offset delta, key length, then version int16 and type int16 (0 abort, 1 commit). */
function markerType(b: Buffer, start: number): number {
  let at = start
  const skip = (): void => {
    while ((b[at++] as number) > 127);
  }
  skip()
  at++
  skip()
  skip()
  skip()
  return b.readInt16BE(at + 2)
}
