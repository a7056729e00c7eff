// The stored form of a `lastWriteWins` register: its version in front, so that comparing decodes no value, and a flag for a delete
// that is remembered. Queries that read the store's bytes use `rowOfLastWriteWins`.
//
// Layout: flags (1: deleted), version kind, version, value bytes (of a delete too: they settle equal versions).
// number: float64; bigint: uint32 length, hex text with sign; string: uint32 length, UTF-16LE (lossless, unlike UTF-8).
import { MillraceError } from '../base/errors.ts'

export type Version = number | bigint | string

export interface Register {
  readonly deleted: boolean
  readonly version: Version
  readonly value: Buffer
}

const DELETED = 1
const NUMBER = 0
const BIGINT = 1
const STRING = 2

/** A total order: numbers and bigints by what they count, before all strings; strings as `<` has them. 0 only for equals. */
export function compareVersions(a: Version, b: Version): number {
  const aText = typeof a === 'string'
  const bText = typeof b === 'string'
  if (aText !== bText) return aText ? 1 : -1
  return a < b ? -1 : a > b ? 1 : 0
}

export function encodeRegister(deleted: boolean, version: Version, value: Buffer): Buffer {
  const flags = deleted ? DELETED : 0
  if (typeof version === 'number') {
    const bytes = Buffer.allocUnsafe(10 + value.length)
    bytes[0] = flags
    bytes[1] = NUMBER
    bytes.writeDoubleBE(version, 2)
    value.copy(bytes, 10)
    return bytes
  }
  const text = typeof version === 'bigint' ? Buffer.from(version.toString(16), 'latin1') : Buffer.from(version, 'utf16le')
  const head = Buffer.allocUnsafe(6)
  head[0] = flags
  head[1] = typeof version === 'bigint' ? BIGINT : STRING
  head.writeUInt32BE(text.length, 2)
  return Buffer.concat([head, text, value])
}

export function decodeRegister(bytes: Buffer): Register {
  const kind = bytes.length < 10 && bytes[1] === NUMBER ? -1 : bytes[1]
  const deleted = ((bytes[0] as number) & DELETED) !== 0
  if (kind === NUMBER) return { deleted, version: bytes.readDoubleBE(2), value: bytes.subarray(10) }
  if (bytes.length >= 6 && (kind === BIGINT || kind === STRING)) {
    const end = 6 + bytes.readUInt32BE(2)
    if (end <= bytes.length) {
      const version = kind === STRING ? bytes.toString('utf16le', 6, end) : bigintOf(bytes.latin1Slice(6, end))
      return { deleted, version, value: bytes.subarray(end) }
    }
  }
  throw new MillraceError('STREAM_STORE_DAMAGED', `${bytes.length} bytes are no row of lastWriteWins; the store needs to be restored`)
}

/** The value's bytes as the serde of the store reads them, or null where the row is deleted. */
export function rowOfLastWriteWins(bytes: Buffer): Buffer | null {
  const { deleted, value } = decodeRegister(bytes)
  return deleted ? null : value
}

function bigintOf(hex: string): bigint {
  return hex.startsWith('-') ? -BigInt(`0x${hex.slice(1)}`) : BigInt(`0x${hex}`)
}
