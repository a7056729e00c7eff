// What operators over windows share: the stream time they have seen, what happens to late records, and the deleting of what is expired.
//
// Invariants
// 1. The stream time of an operator is the greatest timestamp of the records that reached it with a key. It is a row of its store, so
//    it is committed with the offsets of those records and is the same after a crash.
// 2. Each input of a cogroup has a stream time of its own (as in Kafka Streams), but where windows are put out at the close they have
//    one: what is out is final.
// 3. A record deletes a bounded number of expired rows.
import { LIMITS } from '../base/limits.ts'
import type { Windowed } from '../base/window.ts'
import type { AnySerde } from '../serde/serde.ts'
import { CLOSING, META, readTime, rowKey, rowsBefore, rowTime, WINDOW, writeTime } from '../serde/window-rows.ts'
import type { WindowAggregateNode } from '../topology/node.ts'
import { keyToBytes } from './encode.ts'
import type { Site, StoreView, TableGetter } from './operator.ts'

/** The value of rows whose key says it all. */
export const NOTHING = Buffer.alloc(0)

export interface Times {
  /** What lateness is measured by. */
  readonly streamTime: number
  /** What no input is behind: what is expired by it is expired for all. */
  readonly settled: number
}

export interface Clock {
  /** Hears a record's timestamp at an input. */
  observe(timestamp: number, input: number): Times
  /** The greatest stream time of all inputs, -1 before the first record. */
  now(): number
}

export function clockOf(store: StoreView, inputs: number, oneTime: boolean): Clock {
  const rows = Array.from({ length: inputs }, (_, input) => Buffer.of(META, input))
  const read = (row: Buffer): number => {
    const seen = store.getBytes(row)
    return seen === null ? -1 : readTime(seen.value, 0)
  }
  const now = (): number => rows.reduce((greatest, row) => Math.max(greatest, read(row)), -1)
  const lagMs = oneTime ? 0 : LIMITS.cogroupLagMs
  return {
    now,
    observe(timestamp, input) {
      const row = rows[input] as Buffer
      const before = read(row)
      const own = Math.max(before, timestamp)
      if (own > before) store.putBytes(row, timeBytes(own), own)
      if (inputs === 1) return { streamTime: own, settled: own }
      const settled = now() - lagMs
      return { streamTime: Math.max(own, settled), settled }
    },
  }
}

function timeBytes(time: number): Buffer {
  const bytes = Buffer.allocUnsafe(8)
  writeTime(bytes, time, 0)
  return bytes
}

/** `before`, or the time of the first window before it that is still to be put out: its rows must stay. */
export function unlessClosing(store: StoreView, before: number): number {
  const closing = before <= 0 ? null : store.first(CLOSING, rowsBefore(CLOSING, before))
  return closing === null ? before : rowTime(closing)
}

/** Deletes the oldest rows of a region, those with a time below `before`. */
export function expire(
  store: StoreView,
  region: number,
  before: number,
  rowsMax: number,
  timestamp: number,
  also?: (row: Buffer) => void,
): void {
  if (before <= 0) return
  const below = rowsBefore(region, before)
  for (let n = Math.min(Math.max(rowsMax, LIMITS.expiredRowsMax), LIMITS.dueRowsMax); n > 0; n--) {
    const row = store.first(region, below)
    if (row === null) return
    also?.(row)
    store.putBytes(row, null, timestamp)
  }
}

export type Late = (value: unknown, key: unknown, start: number, end: number, timestamp: number, streamTime: number) => void

/** A window aggregate's place; `tooLate` takes a record that comes too late for some of its windows. */
export interface WindowSite extends Site {
  readonly tooLate: ((key: unknown, value: unknown, timestamp: number) => void) | null
}

/** Counts what comes too late for a window, and tells whoever asked for it. */
export function lateBy(site: WindowSite, node: WindowAggregateNode): Late {
  const late = site.counter('late')
  const { tooLate } = site
  if (node.onLate === null && tooLate === null) return () => void late.n++
  const onLate = node.onLate === null ? null : site.guard(node.onLate)
  return (value, key, start, end, timestamp, streamTime) => {
    late.n++
    onLate?.(value, key, Object.freeze({ start, end, timestamp, streamTime }))
    tooLate?.(key, value, timestamp)
  }
}

/** (state or null when there is none, value, key) => new state or null. */
export type Step = (state: any, value: any, key: any) => unknown

/** One an input. */
export function stepsOf(site: Site, node: WindowAggregateNode): readonly Step[] {
  if (node.form === 'count') return [(state) => (state === null ? 1 : Number(state) + 1)]
  const adders = node.adders.map((adder) => site.guard(adder as Step))
  if (node.form === 'reduce')
    return adders.map(
      (adder): Step =>
        (state, value, key) =>
          state === null ? value : adder(state, value, key),
    )
  const initial = site.guard(node.initial as () => unknown)
  return adders.map(
    (adder): Step =>
      (state, value, key) =>
        adder(state === null ? initial() : state, value, key),
  )
}

/** The row of a window that has a start, by its key. */
export function windowGetter(site: Site, inner: AnySerde, store: StoreView): TableGetter {
  return ({ key, start }: Windowed<unknown>) => {
    const keyBytes = keyToBytes(site, inner, key)
    const stored = keyBytes === null ? null : store.getBytes(rowKey(WINDOW, start, keyBytes))
    return stored === null ? null : { value: store.decodeValue(stored.value), timestamp: stored.timestamp }
  }
}
