// The keys of a window store's rows. They begin with a byte for what they are and then, but for META, with a time (uint64), so that
// rows which close or expire together lie together and the oldest come first.
//
//   META     input number                what the operator has to remember of an input: the greatest timestamp seen
//   WINDOW   start, key                  the state of a time or sliding window
//            end, key, start             the state of a session
//   INDEX    bucket, key                 the starts of a key's sliding windows in that bucket of time
//            key                         a key's sessions
//   CLOSING  as WINDOW                   nothing: the window is still to be put out (where WINDOW rows outlive that)
//
// Invariant: `timeRows` and `sessionRows` show the WINDOW rows as keys {key, start, end}, and refuse the others.
import { asBuffer } from '../base/bytes.ts'
import type { Windowed } from '../base/window.ts'
import { refuseBytes } from './refuse.ts'
import type { AnySerde, Serde } from './serde.ts'
import { preparedAs, textForm } from './windowed.ts'

export const META = 0
export const WINDOW = 1
export const INDEX = 2
export const CLOSING = 3

const TWO_32 = 0x1_0000_0000
const NO_KEY = Buffer.alloc(0)

export function writeTime(bytes: Buffer, time: number, at: number): number {
  bytes.writeUInt32BE(Math.floor(time / TWO_32), at)
  return bytes.writeUInt32BE(time % TWO_32, at + 4)
}

export function readTime(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * TWO_32 + bytes.readUInt32BE(at + 4)
}

/** Region, time, key. */
export function rowKey(region: number, time: number, key: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(9 + key.length)
  bytes[0] = region
  key.copy(bytes, writeTime(bytes, time, 1))
  return bytes
}

/** WINDOW, end, key, start. */
export function sessionKey(start: number, end: number, key: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(17 + key.length)
  bytes[0] = WINDOW
  key.copy(bytes, writeTime(bytes, end, 1))
  writeTime(bytes, start, 9 + key.length)
  return bytes
}

/** What all rows of the region with a smaller time are below. */
export function rowsBefore(region: number, time: number): Buffer {
  return rowKey(region, Math.max(0, time), NO_KEY)
}

export function rowTime(row: Buffer): number {
  return readTime(row, 1)
}

/** The key's bytes in a row of a time or sliding window. */
export function rowInner(row: Buffer): Buffer {
  return row.subarray(9)
}

export function sessionStart(row: Buffer): number {
  return readTime(row, row.length - 8)
}

export function sessionInner(row: Buffer): Buffer {
  return row.subarray(9, row.length - 8)
}

/** The same row in another region. */
export function inRegion(row: Buffer, region: number): Buffer {
  const bytes = Buffer.from(row)
  bytes[0] = region
  return bytes
}

export interface RowSerde<K> extends Serde<Windowed<K>> {
  readonly rows: 'windows'
  /** Of the key without its window: it decides the partition. */
  readonly inner: Serde<K>
}

export function isRowSerde(serde: AnySerde): serde is RowSerde<unknown> {
  return 'rows' in serde && serde.rows === 'windows'
}

export function timeRows<K>(inner: Serde<K>, sizeMs: number): RowSerde<K> {
  const name = `windows:${inner.name ?? 'custom'}:${sizeMs}`
  return Object.freeze({
    rows: 'windows',
    name,
    inner,
    ...preparedAs(inner),
    ...textForm(inner),
    encode: ({ key, start }: Windowed<K>) => rowKey(WINDOW, start, asBuffer(inner.encode(key))),
    decode(bytes: Uint8Array): Windowed<K> {
      const row = windowRow(name, bytes)
      const start = rowTime(row)
      return { key: inner.decode(rowInner(row)), start, end: start + sizeMs }
    },
  })
}

export function sessionRows<K>(inner: Serde<K>): RowSerde<K> {
  const name = `sessions:${inner.name ?? 'custom'}`
  return Object.freeze({
    rows: 'windows',
    name,
    inner,
    ...preparedAs(inner),
    ...textForm(inner),
    encode: ({ key, start, end }: Windowed<K>) => sessionKey(start, end, asBuffer(inner.encode(key))),
    decode(bytes: Uint8Array): Windowed<K> {
      const row = windowRow(name, bytes)
      return { key: inner.decode(sessionInner(row)), start: sessionStart(row), end: rowTime(row) }
    },
  })
}

function windowRow(name: string, bytes: Uint8Array): Buffer {
  if (bytes[0] === WINDOW && bytes.length >= 9) return asBuffer(bytes)
  throw refuseBytes(name, 'this row is no window')
}
