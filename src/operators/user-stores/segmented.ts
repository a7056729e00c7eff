// The rows of a store by key and time, in segments of time so that what is over can be found and deleted. Window and session stores
// sit on it. Knows no window.
//
// The layout of its rows is in segmented-rows.ts.
//
// Invariants
// 1. A row whose time is not greater than (greatest time written - retention) is not there: it is neither read nor written.
// 2. Segments that are over are deleted by later writes, some rows at a time, so that no record pays for all of it.
import type { Row } from '../operator.ts'
import { type OwnRow, readOwn, readRow, rowKey, rowRanges, SEGMENTED_OWN as OWN, segmentMsOf, segmentPrefix } from './segmented-rows.ts'
import { lazily, type StoreSite } from './site.ts'

const EXPIRED_AT_ONCE = 100

export interface SegmentedRow {
  readonly key: Buffer
  readonly time: number
  readonly rest: Buffer
  readonly row: Row<Buffer>
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
  const segmentMs = segmentMsOf(retentionMs)
  const segmentOf = (time: number): number => Math.floor(time / segmentMs)

  const own = (): OwnRow => readOwn(view.getBytes(OWN)?.value)
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
    for (const range of rowRanges(segmentMs, key, from, to)) {
      for (const [bytes, row] of view.scan(range)) {
        const read = readRow(bytes)
        if (read.time >= from && read.time <= to) yield { ...read, row }
      }
    }
  }

  return {
    get(key, time, rest) {
      return isOver(time, own().observed) ? null : view.getBytes(rowKey(segmentMs, key, time, rest))
    },
    put(key, time, rest, value) {
      const { observed } = observe(time)
      if (isOver(time, observed)) return false
      view.putBytes(rowKey(segmentMs, key, time, rest), value, life.timestamp)
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
