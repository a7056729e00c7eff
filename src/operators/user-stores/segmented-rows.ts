// The keys of the rows of window and session stores that users declare.
//
//   00                                                  the store's own row: greatest time written, first segment that may hold rows
//   01, uint64 segment, escaped key, uint64 time, rest  a value. Escaped: 00 becomes 00 ff, 00 00 ends the key, so that keys keep the
//                                                       order of their bytes and none is the prefix of another
import { asBuffer, EMPTY, prefixEnd } from '../../base/bytes.ts'
import type { Windowed } from '../../base/window.ts'
import { textForm } from '../../serde/windowed.ts'
import type { Serde } from '../../serde/serde.ts'
import type { RowSerde } from '../../serde/window-rows.ts'
import type { ScanRange } from '../../state/store.ts'

export const SEGMENTED_OWN: Buffer = Buffer.of(0)
const ROWS = 1
export const SEGMENTED_ROWS: ScanRange = { from: Buffer.of(ROWS), to: Buffer.of(ROWS + 1), toExclusive: true }
/** As Kafka Streams: a segment is half the retention, a minute at least. */
const SEGMENT_MIN_MS = 60_000

export interface OwnRow {
  readonly observed: number
  /** Segments below hold nothing. */
  readonly first: number
}

export function readOwn(bytes: Buffer | undefined): OwnRow {
  return bytes === undefined ? { observed: -1, first: -1 } : { observed: bytes.readDoubleBE(0), first: bytes.readDoubleBE(8) }
}

export function segmentMsOf(retentionMs: number): number {
  return Math.max(Math.ceil(retentionMs / 2), SEGMENT_MIN_MS)
}

/** Rows of a key, or of all, whose time lies between: one range a segment, ascending. Of all keys a range may hold more. */
export function rowRanges(segmentMs: number, key: Buffer | null, from: number, to: number): ScanRange[] {
  const ranges: ScanRange[] = []
  const escaped = key === null ? EMPTY : orderedKey(key)
  for (let segment = Math.floor(from / segmentMs); segment <= Math.floor(to / segmentMs); segment++) {
    const prefix = Buffer.concat([segmentPrefix(segment), escaped])
    if (key === null) ranges.push({ from: prefix, to: prefixEnd(prefix), toExclusive: true })
    else ranges.push({ from: Buffer.concat([prefix, uint64(from)]), to: prefixEnd(Buffer.concat([prefix, uint64(to)])), toExclusive: true })
  }
  return ranges
}

/** All segments between. */
export function segmentsRange(segmentMs: number, from: number, to: number): ScanRange {
  return { from: segmentPrefix(Math.floor(from / segmentMs)), to: segmentPrefix(Math.floor(to / segmentMs) + 1), toExclusive: true }
}

export function readRow(bytes: Buffer): { readonly key: Buffer; readonly time: number; readonly rest: Buffer } {
  const end = keyEnd(bytes, 9)
  return { key: readKey(bytes.subarray(9, end - 2)), time: Number(bytes.readBigUInt64BE(end)), rest: bytes.subarray(end + 8) }
}

/** The rows' keys as {key, start, end}: of a window store with its size, of a session store (null). */
export function segmentedRows<K>(inner: Serde<K>, retentionMs: number, sizeMs: number | null): RowSerde<K> {
  const segmentMs = segmentMsOf(retentionMs)
  return Object.freeze({
    rows: 'windows',
    name: `${sizeMs === null ? 'sessions' : 'windows'}:${inner.name ?? 'custom'}`,
    inner,
    ...textForm(inner),
    encode({ key, start, end }: Windowed<K>): Buffer {
      const bytes = asBuffer(inner.encode(key))
      return sizeMs === null ? rowKey(segmentMs, bytes, end, uint64(start)) : rowKey(segmentMs, bytes, start, EMPTY)
    },
    decode(bytes: Uint8Array): Windowed<K> {
      const { key, time, rest } = readRow(asBuffer(bytes))
      const start = sizeMs === null ? Number(rest.readBigUInt64BE(0)) : time
      return { key: inner.decode(key), start, end: sizeMs === null ? time : time + sizeMs }
    },
  })
}

export function segmentPrefix(segment: number): Buffer {
  return Buffer.concat([Buffer.of(ROWS), uint64(segment)])
}

export function rowKey(segmentMs: number, key: Buffer, time: number, rest: Buffer): Buffer {
  return Buffer.concat([segmentPrefix(Math.floor(time / segmentMs)), orderedKey(key), uint64(time), rest])
}

export function uint64(n: number): Buffer {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeBigUInt64BE(BigInt(n))
  return bytes
}

function orderedKey(key: Buffer): Buffer {
  const bytes: number[] = []
  for (const byte of key) byte === 0 ? bytes.push(0, 0xff) : bytes.push(byte)
  return Buffer.from([...bytes, 0, 0])
}

function readKey(bytes: Buffer): Buffer {
  const key: number[] = []
  for (let i = 0; i < bytes.length; i++) {
    key.push(bytes[i] as number)
    if (bytes[i] === 0) i++
  }
  return Buffer.from(key)
}

/** Behind the 00 00 that ends the escaped key. */
function keyEnd(bytes: Buffer, from: number): number {
  for (let i = from; i + 1 < bytes.length; i++) {
    if (bytes[i] !== 0) continue
    if (bytes[i + 1] === 0) return i + 2
    i++
  }
  throw new RangeError('a key without an end')
}
