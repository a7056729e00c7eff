// Records as the embedded log stores them: flat batches, each one value of the database under topic, partition and base offset.
//
//   u8 version | f64 the end of the batch before | u32 count | records
//   record: u8 flags (1 key is null, 2 value is null, 4 headers) | f64 timestamp | u32 key bytes | u32 value bytes
//           | [u32 headers, each u32 name bytes, i32 value bytes (-1: null), name, value] | key | value
//
// Invariants
// 1. Offsets are base, base + 1, ... and not stored.
// 2. The same records are always cut into the same batches, so that a batch can be written again (`chain` in write.ts).
// 3. Decoded keys and values are views on the batch; nobody changes them.
import { LIMITS } from '../../base/limits.ts'
import { type Headers, type LogRecord, NO_HEADERS } from '../../base/record.ts'

const VERSION = 1
const HEAD_BYTES = 1 + 8 + 4
const RECORD_BYTES = 1 + 8 + 4 + 4

export interface Batch {
  /** Where the committed batch before it ended; 0 for the first. */
  readonly previousEnd: number
  readonly base: number
  readonly records: readonly LogRecord[]
}

/** How many records from `from` on make one batch. */
export function cut(records: readonly LogRecord[], from: number): { readonly until: number; readonly bytes: number } {
  let bytes = HEAD_BYTES
  let until = from
  while (until < records.length && until - from < LIMITS.batchRecordsMax) {
    const size = recordBytes(records[until] as LogRecord)
    if (until > from && bytes + size > LIMITS.batchBytesMax) break
    bytes += size
    until++
  }
  return { until, bytes }
}

function recordBytes(record: LogRecord): number {
  let bytes = RECORD_BYTES + (record.key?.length ?? 0) + (record.value?.length ?? 0)
  if (record.headers.length === 0) return bytes
  bytes += 4
  for (const [name, value] of record.headers) bytes += 8 + Buffer.byteLength(name) + (value?.length ?? 0)
  return bytes
}

/** Writes the records [from, until) into `into` at `at`; answers where they end. */
export function encodeBatch(
  into: Buffer,
  at: number,
  previousEnd: number,
  records: readonly LogRecord[],
  from: number,
  until: number,
): number {
  into[at] = VERSION
  into.writeDoubleLE(previousEnd, at + 1)
  into.writeUInt32LE(until - from, at + 9)
  at += HEAD_BYTES
  for (let i = from; i < until; i++) {
    const { timestamp, key, value, headers } = records[i] as LogRecord
    into[at] = (key === null ? 1 : 0) | (value === null ? 2 : 0) | (headers.length === 0 ? 0 : 4)
    into.writeDoubleLE(timestamp, at + 1)
    into.writeUInt32LE(key?.length ?? 0, at + 9)
    into.writeUInt32LE(value?.length ?? 0, at + 13)
    at += RECORD_BYTES
    if (headers.length > 0) at = encodeHeaders(into, at, headers)
    if (key !== null) {
      into.set(key, at)
      at += key.length
    }
    if (value !== null) {
      into.set(value, at)
      at += value.length
    }
  }
  return at
}

function encodeHeaders(into: Buffer, at: number, headers: Headers): number {
  into.writeUInt32LE(headers.length, at)
  at += 4
  for (const [name, value] of headers) {
    const nameBytes = into.write(name, at + 8)
    into.writeUInt32LE(nameBytes, at)
    into.writeInt32LE(value === null ? -1 : value.length, at + 4)
    at += 8 + nameBytes
    if (value !== null) at += value.copy(into, at)
  }
  return at
}

/** The batch in these bytes; null when they are none. The caller has checked the CRC, so null means a version we do not know. */
export function decodeBatch(bytes: Buffer, base: number): Batch | null {
  if (bytes.length < HEAD_BYTES || bytes[0] !== VERSION) return null
  const previousEnd = bytes.readDoubleLE(1)
  const count = bytes.readUInt32LE(9)
  const records = new Array<LogRecord>(count)
  let at = HEAD_BYTES
  for (let i = 0; i < count; i++) {
    const flags = bytes[at] as number
    const timestamp = bytes.readDoubleLE(at + 1)
    const keyBytes = bytes.readUInt32LE(at + 9)
    const valueBytes = bytes.readUInt32LE(at + 13)
    at += RECORD_BYTES
    let headers = NO_HEADERS
    if ((flags & 4) !== 0) {
      const decoded = decodeHeaders(bytes, at)
      headers = decoded.headers
      at = decoded.at
    }
    const key = (flags & 1) !== 0 ? null : bytes.subarray(at, at + keyBytes)
    at += keyBytes
    const value = (flags & 2) !== 0 ? null : bytes.subarray(at, at + valueBytes)
    at += valueBytes
    records[i] = { offset: base + i, timestamp, key, value, headers }
  }
  return at === bytes.length ? { previousEnd, base, records } : null
}

function decodeHeaders(bytes: Buffer, at: number): { readonly headers: Headers; readonly at: number } {
  const headers: [string, Buffer | null][] = []
  const count = bytes.readUInt32LE(at)
  at += 4
  for (let i = 0; i < count; i++) {
    const nameBytes = bytes.readUInt32LE(at)
    const valueBytes = bytes.readInt32LE(at + 4)
    at += 8
    const name = bytes.toString('utf8', at, at + nameBytes)
    at += nameBytes
    headers.push([name, valueBytes < 0 ? null : bytes.subarray(at, at + valueBytes)])
    at += Math.max(0, valueBytes)
  }
  return { headers, at }
}
