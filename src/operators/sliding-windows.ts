// Aggregates over sliding windows: for each set of records of a key that fit into one window of the difference, one window. Each record
// makes the window that ends with it, [t - difference, t], and the one that begins right behind it, [t + 1, t + 1 + difference], where
// that holds a record. The algorithm is Kafka Streams' (KIP-450).
//
// Invariants
// 1. A record goes into each window that holds its timestamp and is not closed: end >= stream time - grace. A null key or value is dropped
//    and counted; a record whose own windows are closed is late.
// 2. The row's timestamp is the greatest of its records': what tells how far the window is filled. Windows that would begin before 0 are
//    one, [0, difference].
// 3. The INDEX rows list the starts of a key's windows by buckets of time, so that a record finds those around it by a few reads.
// 4. Rows outlive the close for as long as a record that is not late may ask what was there before it.
import type { SlidingWindows } from '../base/window.ts'
import { CLOSING, INDEX, inRegion, readTime, rowInner, rowKey, rowsBefore, rowTime, WINDOW, writeTime } from '../serde/window-rows.ts'
import type { WindowAggregateNode } from '../topology/node.ts'
import { keyToBytes } from './encode.ts'
import type { Instance, Push, Row, StoreView } from './operator.ts'
import { clockOf, expire, lateBy, NOTHING, type Step, stepsOf, unlessClosing, windowGetter, type WindowSite } from './window-store.ts'

/** The record that is being added. */
interface Adding {
  readonly step: Step
  readonly key: unknown
  readonly keyBytes: Buffer
  readonly value: unknown
  readonly timestamp: number
  readonly streamTime: number
  readonly closeTime: number
}

interface Found {
  readonly start: number
  readonly row: Row<Buffer>
}

export function slidingWindows(site: WindowSite, node: WindowAggregateNode, { differenceMs, graceMs }: SlidingWindows): Instance {
  const { inner, retentionMs } = node
  const bucketMs = differenceMs + 1
  const store = site.store(0)
  const dropped = site.counter('dropped')
  const late = lateBy(site, node)
  const { forward } = site
  const { sendsOld } = site.node
  const atClose = node.emit === 'close'
  const clock = clockOf(store, site.node.parents.length, atClose)

  /** Writes a window's row, and when it comes or goes what says that it is there. */
  const put = (
    { key, keyBytes, streamTime }: Adding,
    start: number,
    state: Buffer | null,
    timestamp: number,
    before: Row<Buffer> | null,
  ): void => {
    const row = rowKey(WINDOW, start, keyBytes)
    store.putBytes(row, state, timestamp)
    if ((state === null) !== (before === null)) {
      note(store, rowKey(INDEX, start - (start % bucketMs), keyBytes), start, state !== null, streamTime)
      if (atClose) store.putBytes(inRegion(row, CLOSING), state === null ? null : NOTHING, timestamp)
    }
    if (atClose) return
    const old = sendsOld && before !== null ? store.decodeValue(before.value) : null
    forward({ key, start, end: start + differenceMs }, state === null ? null : store.decodeValue(state), timestamp, old)
  }

  /** Adds the record to a window that is not closed. `from` is the state to add to: the window's own, or another one's for a new window. */
  const update = (adding: Adding, start: number, from: Buffer | null, fromTimestamp: number, before: Row<Buffer> | null): void => {
    const { step, key, value, timestamp, streamTime, closeTime } = adding
    if (start + differenceMs < closeTime) {
      late(value, key, start, start + differenceMs, timestamp, streamTime)
      return
    }
    const state = step(from === null ? null : store.decodeValue(from), value, key) ?? null
    put(
      adding,
      start,
      state === null ? null : store.encodeValue(state),
      from === null ? timestamp : Math.max(timestamp, fromTimestamp),
      before,
    )
  }

  const updateFound = (adding: Adding, { start, row }: Found): void => update(adding, start, row.value, row.timestamp, row)

  /** The key's windows that begin in [from, to], the last first. */
  const found = (keyBytes: Buffer, from: number, to: number): Found[] => {
    const windows: Found[] = []
    for (let bucket = to - (to % bucketMs); bucket >= 0 && bucket + bucketMs > from; bucket -= bucketMs) {
      const starts = store.getBytes(rowKey(INDEX, bucket, keyBytes))?.value
      if (starts === undefined) continue
      for (let at = starts.length - 8; at >= 0; at -= 8) {
        const start = readTime(starts, at)
        if (start < from || start > to) continue
        const row = store.getBytes(rowKey(WINDOW, start, keyBytes))
        if (row !== null) windows.push({ start, row })
      }
    }
    return windows
  }

  /** The window right behind the record before this one, which this one is the first to be in. */
  const addBehind = (adding: Adding, previous: number | null, windows: readonly Found[]): void => {
    if (previous === null) return
    const start = previous + 1
    if (start + differenceMs >= adding.timestamp && !windows.some((window) => window.start === start)) update(adding, start, null, 0, null)
  }

  /** The window right behind this record: what another window holds from there on. */
  const addRight = (adding: Adding, right: Row<Buffer> | null, exists: boolean): void => {
    if (exists || right === null || right.timestamp <= adding.timestamp) return
    put(adding, adding.timestamp + 1, right.value, right.timestamp, null)
  }

  const add = (adding: Adding): void => {
    const { timestamp, keyBytes } = adding
    const windows = found(keyBytes, Math.max(0, timestamp - 2 * differenceMs), timestamp + 1)
    let left: Row<Buffer> | null = null
    let leftExists = false
    let right: Row<Buffer> | null = null
    let rightExists = false
    let previous: number | null = null
    for (const window of windows) {
      const { start, row } = window
      const end = start + differenceMs
      if (start === timestamp + 1) rightExists = true
      else if (end > timestamp) {
        right ??= row
        updateFound(adding, window)
      } else if (end === timestamp) {
        leftExists = true
        updateFound(adding, window)
        if (row.timestamp >= timestamp) return // a record of the same time has made all there is to make
        previous = row.timestamp
      } else {
        left = row
        previous = row.timestamp
        break
      }
    }
    addBehind(adding, previous, windows)
    if (!leftExists) {
      const holdsPrevious = left !== null && previous !== null && timestamp - differenceMs <= previous
      update(adding, timestamp - differenceMs, holdsPrevious ? (left as Row<Buffer>).value : null, timestamp, null)
    }
    addRight(adding, right, rightExists)
  }

  /** Records with a timestamp below the difference: the windows that would begin before 0 are one. */
  const addEarly = (adding: Adding): void => {
    const { timestamp, keyBytes } = adding
    const windows = found(keyBytes, 0, timestamp + 1)
    let whole: Found | null = null
    let right: Row<Buffer> | null = null
    let rightExists = false
    let previous: number | null = null
    for (const window of windows.toReversed()) {
      const { start, row } = window
      if (start === 0) {
        whole = window
        if (row.timestamp < timestamp) previous = row.timestamp
      } else if (start === timestamp + 1) rightExists = true
      else {
        right = row
        updateFound(adding, window)
      }
    }
    if (right === null && whole !== null && whole.row.timestamp > timestamp) right = whole.row
    addRight(adding, right, rightExists)
    addBehind(adding, previous, windows)
    if (whole === null) update(adding, 0, null, 0, null)
    else updateFound(adding, whole)
  }

  const due = site.due((rowsMax, drop) => {
    const streamTime = clock.now()
    const before = streamTime - graceMs - differenceMs
    if (!atClose || before <= 0) return 0
    const below = rowsBefore(CLOSING, before)
    let rows = 0
    for (; rows < rowsMax; rows++) {
      const row = store.first(CLOSING, below)
      if (row === null) break
      const stored = store.getBytes(inRegion(row, WINDOW))
      store.putBytes(row, null, streamTime)
      if (stored === null || drop) continue
      const start = rowTime(row)
      forward(
        { key: inner.decode(rowInner(row)), start, end: start + differenceMs },
        store.decodeValue(stored.value),
        stored.timestamp,
        null,
      )
    }
    return rows
  })

  const input = (step: Step, number: number): Push => {
    return (key, value, timestamp) => {
      const keyBytes = keyToBytes(site, inner, key)
      if (keyBytes === null || value === null) {
        dropped.n++
        return
      }
      const { streamTime, settled } = clock.observe(timestamp, number)
      const closeTime = streamTime - graceMs
      const adding: Adding = { step, key, keyBytes, value, timestamp, streamTime, closeTime }
      if (timestamp + differenceMs < closeTime) late(value, key, timestamp - differenceMs, timestamp, timestamp, streamTime)
      else if (timestamp < differenceMs) addEarly(adding)
      else add(adding)
      if (atClose) due.now()
      const expired = settled - Math.max(retentionMs, graceMs + 3 * differenceMs)
      const before = atClose ? unlessClosing(store, expired) : expired
      expire(store, WINDOW, before, 4, streamTime)
      expire(store, INDEX, before - bucketMs + 1, 2, streamTime)
    }
  }

  const steps = stepsOf(site, node)
  return {
    ahead: {
      key: inner,
      rows(key, timestamp) {
        const rows: Buffer[] = []
        const last = timestamp + 1
        for (let bucket = last - (last % bucketMs); bucket >= 0 && bucket + bucketMs > timestamp - 2 * differenceMs; bucket -= bucketMs)
          rows.push(rowKey(INDEX, bucket, key))
        return rows
      },
    },
    inputs: site.node.parents.map((_, i) => input(steps[i] as Step, i)),
    getter: windowGetter(site, inner, store),
  }
}

/** Puts a start into an INDEX row, or takes it out; the starts ascend. */
function note(store: StoreView, row: Buffer, start: number, there: boolean, timestamp: number): void {
  const before = store.getBytes(row)?.value
  const starts: number[] = []
  for (let at = 0; before !== undefined && at < before.length; at += 8) starts.push(readTime(before, at))
  const after = starts.filter((other) => other !== start)
  if (there) after.push(start)
  const bytes = Buffer.allocUnsafe(8 * after.length)
  let at = 0
  for (const each of after.sort((a, b) => a - b)) at = writeTime(bytes, each, at)
  store.putBytes(row, after.length === 0 ? null : bytes, timestamp)
}
