// The rows of a store by key and time, in segments of time so that what is over can be found and deleted. Window and session stores
// sit on it. Knows no window.
//
// Layout: 00 -> the store's own row (greatest time written, first segment that may hold rows).
//         01, uint64 segment, escaped key, uint64 time, rest -> a value. Escaped: 00 becomes 00 ff, 00 00 ends the key, so that
//         keys keep the order of their bytes and none is the prefix of another.
//
// Invariants
// 1. A row whose time is not greater than (greatest time written - retention) is not there: it is neither read nor written.
// 2. Segments that are over are deleted by later writes, some rows at a time, so that no record pays for all of it.
import { prefixEnd } from '../../base/bytes.ts'
import type { Row } from '../operator.ts'
import { lazily, type StoreSite } from './site.ts'

const OWN = Buffer.of(0)
const ROWS = 1
/** As Kafka Streams: a segment is half the retention, a minute at least. */
const SEGMENT_MIN_MS = 60_000
const EXPIRED_AT_ONCE = 100

export interface SegmentedRow {
  readonly key: Buffer
  readonly time: number
  readonly rest: Buffer
  readonly row: Row<Buffer>
}

interface OwnRow {
  readonly observed: number
  /** Segments below hold nothing. */
  readonly first: number
}

export interface Segmented {
  get(key: Buffer, time: number, rest: Buffer): Row<Buffer> | null
  /** False: it is over already. A null value deletes. */
  put(key: Buffer, time: number, rest: Buffer, value: Buffer | null): boolean
  /** Rows of a key, or of all, whose time lies between, both ends inclusive. Of one key ascending. */
  between(key: Buffer | null, from: number, to: number): IterableIterator<SegmentedRow>
}

export function segmented(site: StoreSite, retentionMs: number): Segmented {
  const { view, life } = site
  const segmentMs = Math.max(Math.ceil(retentionMs / 2), SEGMENT_MIN_MS)
  const segmentOf = (time: number): number => Math.floor(time / segmentMs)

  const own = (): OwnRow => {
    const bytes = view.getBytes(OWN)?.value
    return bytes === undefined ? { observed: -1, first: -1 } : { observed: bytes.readDoubleBE(0), first: bytes.readDoubleBE(8) }
  }
  const isOver = (time: number, observed: number): boolean => time <= observed - retentionMs

  /** Deletes of the segments that are over; how far it got. */
  const expire = (first: number, live: number): number => {
    let deleted = 0
    for (const [key] of view.scan({ from: segmentPrefix(first), to: segmentPrefix(live), toExclusive: true })) {
      if (deleted === EXPIRED_AT_ONCE) return first
      view.putBytes(key, null, life.timestamp)
      deleted++
    }
    return live
  }

  const observe = (time: number): OwnRow => {
    const before = own()
    const observed = Math.max(before.observed, time)
    const live = Math.max(0, segmentOf(observed - retentionMs + 1))
    const first = before.first < 0 ? live : before.first < live ? expire(before.first, live) : before.first
    if (observed === before.observed && first === before.first) return before
    const bytes = Buffer.allocUnsafe(16)
    bytes.writeDoubleBE(observed, 0)
    bytes.writeDoubleBE(first, 8)
    view.putBytes(OWN, bytes, life.timestamp)
    return { observed, first }
  }

  function* rows(key: Buffer | null, from: number, to: number): Generator<SegmentedRow, void, undefined> {
    const escaped = key === null ? null : orderedKey(key)
    for (let segment = segmentOf(from); segment <= segmentOf(to); segment++) {
      const prefix = segmentPrefix(segment)
      const range =
        escaped === null
          ? { from: prefix, to: prefixEnd(prefix), toExclusive: true }
          : {
              from: Buffer.concat([prefix, escaped, uint64(from)]),
              to: prefixEnd(Buffer.concat([prefix, escaped, uint64(to)])),
              toExclusive: true,
            }
      for (const [bytes, row] of view.scan(range)) {
        const end = escaped === null ? keyEnd(bytes, prefix.length) : prefix.length + escaped.length
        const time = Number(bytes.readBigUInt64BE(end))
        if (time < from || time > to) continue
        const own = key ?? readKey(bytes.subarray(prefix.length, end - 2))
        yield { key: own, time, rest: bytes.subarray(end + 8), row }
      }
    }
  }

  return {
    get(key, time, rest) {
      return isOver(time, own().observed) ? null : view.getBytes(rowKey(segmentOf(time), key, time, rest))
    },
    put(key, time, rest, value) {
      const { observed } = observe(time)
      if (isOver(time, observed)) return false
      view.putBytes(rowKey(segmentOf(time), key, time, rest), value, life.timestamp)
      return true
    },
    between(key, from, to) {
      return lazily(
        life,
        `range of ${view.name}`,
        () => {
          const { observed } = own()
          return rows(key, Math.max(0, from, observed - retentionMs + 1), Math.min(to, observed))
        },
        (row) => row,
      )
    },
  }
}

function segmentPrefix(segment: number): Buffer {
  return Buffer.concat([Buffer.of(ROWS), uint64(segment)])
}

function rowKey(segment: number, key: Buffer, time: number, rest: Buffer): Buffer {
  return Buffer.concat([segmentPrefix(segment), orderedKey(key), uint64(time), rest])
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
