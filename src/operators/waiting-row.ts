// The bytes of an update that a `suppress` holds back: the new value, the value that was let through last, and the headers.
//
// Layout: flags, uint32 length of the prior value, prior value, headers (uint16 count; each uint16 length, name, int32 length or -1,
// value), new value.
import { type Headers, NO_HEADERS } from '../base/record.ts'

const HAS_VALUE = 1
const HAS_PRIOR = 2

export interface WaitingRow {
  readonly value: Buffer | null
  readonly prior: Buffer | null
  readonly headers: Headers
}

export function encodeWaiting({ value, prior, headers }: WaitingRow): Buffer {
  const names = headers.map(([name]) => Buffer.from(name, 'utf8'))
  let bytes = 7 + (prior?.length ?? 0) + (value?.length ?? 0)
  headers.forEach(([, header], i) => {
    bytes += 6 + (names[i] as Buffer).length + (header?.length ?? 0)
  })
  const row = Buffer.allocUnsafe(bytes)
  let at = row.writeUInt8((value === null ? 0 : HAS_VALUE) | (prior === null ? 0 : HAS_PRIOR), 0)
  at = row.writeUInt32BE(prior?.length ?? 0, at)
  at += prior?.copy(row, at) ?? 0
  at = row.writeUInt16BE(headers.length, at)
  headers.forEach(([, header], i) => {
    const name = names[i] as Buffer
    at = row.writeUInt16BE(name.length, at)
    at += name.copy(row, at)
    at = row.writeInt32BE(header?.length ?? -1, at)
    at += header?.copy(row, at) ?? 0
  })
  value?.copy(row, at)
  return row
}

export function decodeWaiting(row: Buffer): WaitingRow {
  const flags = row.readUInt8(0)
  let at = 5 + row.readUInt32BE(1)
  const prior = (flags & HAS_PRIOR) === 0 ? null : row.subarray(5, at)
  const count = row.readUInt16BE(at)
  at += 2
  const headers: [string, Buffer | null][] = []
  for (let i = 0; i < count; i++) {
    const nameEnd = at + 2 + row.readUInt16BE(at)
    const name = row.toString('utf8', at + 2, nameEnd)
    const length = row.readInt32BE(nameEnd)
    at = nameEnd + 4 + Math.max(0, length)
    headers.push([name, length < 0 ? null : row.subarray(nameEnd + 4, at)])
  }
  return { value: (flags & HAS_VALUE) === 0 ? null : row.subarray(at), prior, headers: count === 0 ? NO_HEADERS : headers }
}
