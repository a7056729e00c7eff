// How the rows of windows are found in a store by key and time: of windowed aggregates (serde/window-rows.ts) and of the stores that users
// declare (operators/user-stores/segmented-rows.ts).
//
// Invariants
// 1. `ranges` hold every row that is asked for, ascending and disjoint; they may hold others, which `parts` tells apart.
// 2. What a store's own row says is over is not shown: whoever writes the store does not see it either.
import { asBuffer } from '../base/bytes.ts'
import {
  readOwn,
  readRow,
  rowRanges,
  SEGMENTED_OWN,
  SEGMENTED_ROWS,
  segmentedRows,
  segmentMsOf,
  segmentsRange,
} from '../operators/index.ts'
import { type RowSerde, rowInner, rowKey, rowTime, sessionInner, sessionStart, WINDOW } from '../serde/window-rows.ts'
import type { AnySerde } from '../serde/serde.ts'
import type { ScanRange, Stored } from '../state/store.ts'
import type { StoreSpec, WindowAggregateNode } from '../topology/node.ts'

export interface WindowParts {
  /** The key's bytes. */
  readonly key: Buffer
  readonly start: number
  /** A window's start, a session's end: what rows are ordered by. */
  readonly time: number
}

export interface WindowShape {
  readonly inner: AnySerde
  readonly isSession: boolean
  /** Of all rows. */
  readonly range: ScanRange
  /** Of a key, or of all, whose time lies between, both ends inclusive. */
  ranges(key: Buffer | null, from: number, to: number): readonly ScanRange[]
  parts(row: Buffer): WindowParts
  /** The store's own row, which tells what is over; null: it has none. */
  readonly own: Buffer | null
  isOver(time: number, own: Stored | null): boolean
}

const NO_KEY = Buffer.alloc(0)
/** More ranges than these are one that holds more than what is asked for. */
const RANGES_MAX = 50

function clamped(time: number): number {
  return Math.min(Math.max(0, Math.floor(time)), Number.MAX_SAFE_INTEGER - 1)
}

export function aggregateWindows({ windows, inner }: WindowAggregateNode): WindowShape {
  const isSession = windows.kind === 'session'
  return {
    inner,
    isSession,
    range: { from: Buffer.of(WINDOW), to: Buffer.of(WINDOW + 1), toExclusive: true },
    ranges(key, from, to) {
      const [first, last] = [clamped(from), clamped(to)]
      if (key !== null && windows.kind === 'time' && (last - first) / windows.advanceMs < RANGES_MAX) {
        const ranges: ScanRange[] = []
        for (let start = Math.ceil(first / windows.advanceMs) * windows.advanceMs; start <= last; start += windows.advanceMs) {
          const row = rowKey(WINDOW, start, key)
          ranges.push({ from: row, to: row })
        }
        return ranges
      }
      return [{ from: rowKey(WINDOW, first, NO_KEY), to: rowKey(WINDOW, last + 1, NO_KEY), toExclusive: true }]
    },
    parts: (row) =>
      isSession
        ? { key: sessionInner(row), start: sessionStart(row), time: rowTime(row) }
        : { key: rowInner(row), start: rowTime(row), time: rowTime(row) },
    own: null,
    isOver: () => false,
  }
}

export function declaredWindows(
  { key: inner }: StoreSpec,
  retentionMs: number,
  sizeMs: number | null,
): { readonly windows: WindowShape; readonly key: RowSerde<unknown> } {
  const segmentMs = segmentMsOf(retentionMs)
  const isSession = sizeMs === null
  const windows: WindowShape = {
    inner,
    isSession,
    range: SEGMENTED_ROWS,
    ranges(key, from, to) {
      const [first, last] = [clamped(from), clamped(to)]
      if (key !== null && (last - first) / segmentMs < RANGES_MAX) return rowRanges(segmentMs, key, first, last)
      return [segmentsRange(segmentMs, first, last)]
    },
    parts(row) {
      const { key, time, rest } = readRow(row)
      return { key, start: isSession ? Number(rest.readBigUInt64BE(0)) : time, time }
    },
    own: SEGMENTED_OWN,
    isOver: (time, own) => time <= readOwn(own === null ? undefined : asBuffer(own.value)).observed - retentionMs,
  }
  return { windows, key: segmentedRows(inner, retentionMs, sizeMs) }
}
