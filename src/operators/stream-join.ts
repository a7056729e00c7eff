// `join`, `leftJoin` and `outerJoin` of two streams within a window of time.
//
// Invariants
// 1. A left record at t meets the right ones in [t - before, t + after], a right one the left ones in [t - after, t + before]; each pair
//    once, with the later timestamp. The own side is written first.
// 2. Stream time is the greatest timestamp that either side has brought. A side's records are forgotten when they lie more than before +
//    after + grace behind the greatest timestamp of that side. Both are rows of the store.
// 3. A record without a match, on a side that is kept, waits until its window and the grace are over: reach + grace < stream time. Then it
//    goes out with its own timestamp, in the order of time, right before left, key. One whose window is over when it comes goes at
//    once, whatever the grace. When many are over together, they go in portions.
// 4. An inner join of a stream with itself keeps its records once: the left input meets those before this one, the right one adds it and
//    meets all.
// 5. A null value is dropped and counted. A null key too, but on a side that is kept it goes out at once with no other side.
import type { AnySerde } from '../serde/serde.ts'
import { META, readTime, rowInner, rowKey, rowsBefore, rowTime, writeTime } from '../serde/window-rows.ts'
import type { StreamJoinNode } from '../topology/node.ts'
import { keyToBytes, valueToBytes } from './encode.ts'
import { appendValue, JoinRows, LEFT, PENDING_LEFT, PENDING_RIGHT, RIGHT, valuesOf } from './join-rows.ts'
import type { Operator, Push, Site, StoreView } from './operator.ts'
import { expire } from './window-store.ts'

type Due = ReturnType<Site['due']>

/** Up to which stream time what found no match goes out: records without a value move the time, but let nothing go. */
const FLUSHED = Buffer.of(META, PENDING_LEFT)

interface Side {
  readonly rows: JoinRows
  readonly region: number
  /** Its records are kept here; false: the other side keeps them, which are the same. */
  readonly keeps: boolean
  /** Where records without a match wait; null: they are not put out. */
  readonly pending: number | null
  readonly keySerde: AnySerde
  readonly valueSerde: AnySerde
  /** How far back and ahead of its own time a record looks for the other side. */
  readonly behindMs: number
  readonly aheadMs: number
  readonly join: (mine: unknown, other: unknown, key: unknown) => unknown
}

export const streamJoin: Operator = (site) => {
  const { left, right } = sidesOf(site)
  const pending = [right, left].filter((side) => side.pending !== null)
  const flush = pending.length === 0 ? null : flushOf(site, pending)
  return { inputs: [inputOf(site, left, right, flush), inputOf(site, right, left, flush)] }
}

function sidesOf(site: Site): { readonly left: Side; readonly right: Side } {
  const { type, joiner, beforeMs, afterMs, left, right } = site.node.operator as StreamJoinNode
  const store = site.store(0)
  const bucketMs = Math.max(1, beforeMs + afterMs)
  const isOne = type === 'inner' && site.node.parents[0] === site.node.parents[1]
  const join = site.guard(joiner)
  return {
    left: {
      rows: new JoinRows(store, LEFT, bucketMs),
      region: LEFT,
      keeps: !isOne,
      pending: type === 'inner' ? null : PENDING_LEFT,
      keySerde: left.key,
      valueSerde: left.value,
      behindMs: beforeMs,
      aheadMs: afterMs,
      join: (mine, other, key) => join(mine, other, key) ?? null,
    },
    right: {
      rows: new JoinRows(store, isOne ? LEFT : RIGHT, bucketMs),
      region: isOne ? LEFT : RIGHT,
      keeps: true,
      pending: type === 'outer' ? PENDING_RIGHT : null,
      keySerde: right.key,
      valueSerde: right.value,
      behindMs: afterMs,
      aheadMs: beforeMs,
      join: (mine, other, key) => join(other, mine, key) ?? null,
    },
  }
}

function inputOf(site: Site, mine: Side, other: Side, flush: Due | null): Push {
  const { beforeMs, afterMs, graceMs } = site.node.operator as StreamJoinNode
  const store = site.store(0)
  const dropped = site.counter('dropped')
  const { forward } = site
  const keptMs = beforeMs + afterMs + graceMs
  const [myClock, otherClock] = [Buffer.of(META, mine.region), Buffer.of(META, other.region)]
  return (key, value, timestamp) => {
    const myTime = observe(store, myClock, timestamp)
    const otherTime = timeOf(store, otherClock)
    const streamTime = Math.max(myTime, otherTime)
    if (value === null || (key === null && mine.pending === null)) {
      dropped.n++
      return
    }
    if (key === null) {
      forward(null, mine.join(value, null, null), timestamp, undefined)
      return
    }
    if (flush !== null && timestamp === streamTime) {
      observe(store, FLUSHED, streamTime)
      flush.now()
    }
    const keyBytes = keyToBytes(site, mine.keySerde, key) as Buffer
    const valueBytes = valueToBytes(site, mine.valueSerde, value) as Buffer
    if (mine.keeps && timestamp >= myTime - keptMs) mine.rows.add(keyBytes, timestamp, valueBytes)
    const from = Math.max(0, otherTime - keptMs, timestamp - mine.behindMs)
    const matches = other.rows.between(keyBytes, from, timestamp + mine.aheadMs)
    for (const match of matches) {
      if (other.pending !== null) settled(store, rowKey(other.pending, match.time, keyBytes), timestamp)
      const result = mine.join(value, other.valueSerde.decode(match.value), key)
      forward(key, result, Math.max(timestamp, match.time), undefined)
    }
    if (matches.length === 0 && mine.pending !== null) {
      if (timestamp + mine.aheadMs < streamTime) forward(key, mine.join(value, null, key), timestamp, undefined)
      else wait(store, rowKey(mine.pending, timestamp, keyBytes), valueBytes, timestamp)
    }
    expire(store, mine.region, mine.rows.expiredBefore(myTime - keptMs), 1, streamTime)
  }
}

/** It has a match: it is not to go out without one. */
function settled(store: StoreView, row: Buffer, timestamp: number): void {
  if (store.getBytes(row) !== null) store.putBytes(row, null, timestamp)
}

function wait(store: StoreView, row: Buffer, value: Buffer, timestamp: number): void {
  store.putBytes(row, appendValue(store.getBytes(row)?.value ?? null, value), timestamp)
}

function timeOf(store: StoreView, clock: Buffer): number {
  const row = store.getBytes(clock)
  return row === null ? -1 : readTime(row.value, 0)
}

function observe(store: StoreView, clock: Buffer, timestamp: number): number {
  const before = timeOf(store, clock)
  if (timestamp <= before) return before
  const value = Buffer.allocUnsafe(8)
  writeTime(value, timestamp, 0)
  store.putBytes(clock, value, timestamp)
  return timestamp
}

/** Puts out what waits and can find no match any more. `sides`: in the order in which they go at equal times. */
function flushOf(site: Site, sides: readonly Side[]): Due {
  const { graceMs } = site.node.operator as StreamJoinNode
  const store = site.store(0)
  const { forward } = site
  const next = (streamTime: number): { readonly key: Buffer; readonly side: Side } | null => {
    let found: { readonly key: Buffer; readonly side: Side } | null = null
    for (const side of sides) {
      const region = side.pending as number
      const key = store.first(region, rowsBefore(region, streamTime - side.aheadMs - graceMs))
      if (key !== null && (found === null || rowTime(key) < rowTime(found.key))) found = { key, side }
    }
    return found
  }
  return site.due((rowsMax, drop) => {
    const streamTime = timeOf(store, FLUSHED)
    let rows = 0
    for (; rows < rowsMax; rows++) {
      const first = next(streamTime)
      if (first === null) break
      const row = store.getBytes(first.key)
      store.putBytes(first.key, null, streamTime)
      if (row === null || drop) continue
      const { join, keySerde, valueSerde } = first.side
      const key = keySerde.decode(rowInner(first.key))
      for (const value of valuesOf(row.value)) forward(key, join(valueSerde.decode(value), null, key), rowTime(first.key), undefined)
    }
    return rows
  })
}
