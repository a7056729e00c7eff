// Aggregates over tumbling and hopping windows, put out at each update or once, when the window closes.
//
// Invariants
// 1. A record goes into each window that holds its timestamp and is not closed: end > stream time - grace. The others are late.
// 2. A null key is dropped and counted; a null value is aggregated. The timestamp of a result is the greatest of its records'.
// 3. Put out at the close: each window once, by start and then by key. What says that a window is still to be put out is its row.
// 4. A row is deleted when its window has closed, or when the store's longer retention says so.
import { LIMITS } from '../base/limits.ts'
import type { TimeWindows } from '../base/window.ts'
import { firstStart } from '../base/window.ts'
import { CLOSING, inRegion, rowInner, rowKey, rowsBefore, rowTime, WINDOW } from '../serde/window-rows.ts'
import type { WindowAggregateNode } from '../topology/node.ts'
import { keyToBytes } from './encode.ts'
import type { Instance, Push } from './operator.ts'
import { clockOf, expire, lateBy, NOTHING, type Step, stepsOf, unlessClosing, windowGetter, type WindowSite } from './window-store.ts'

export function timeWindows(site: WindowSite, node: WindowAggregateNode, windows: TimeWindows): Instance {
  const { inner, retentionMs } = node
  const { sizeMs, advanceMs, graceMs } = windows
  const store = site.store(0)
  const dropped = site.counter('dropped')
  const late = lateBy(site, node)
  const { forward } = site
  const { sendsOld } = site.node
  const atClose = node.emit === 'close'
  // Rows that outlive the close can't say by being there that they are to be put out.
  const outlives = retentionMs > sizeMs + graceMs
  const closing = outlives ? CLOSING : WINDOW
  const clock = clockOf(store, site.node.parents.length, atClose)

  const update = (step: Step, key: unknown, keyBytes: Buffer, value: unknown, timestamp: number, start: number): void => {
    const row = rowKey(WINDOW, start, keyBytes)
    const stored = store.getBytes(row)
    const at = stored === null ? timestamp : Math.max(timestamp, stored.timestamp)
    const old = stored === null || !sendsOld || atClose ? null : store.decodeValue(stored.value)
    const state = step(stored === null ? null : store.decodeValue(stored.value), value, key) ?? null
    store.putBytes(row, state === null ? null : store.encodeValue(state), at)
    if (!atClose) forward({ key, start, end: start + sizeMs }, state, at, old)
    else if (outlives && (state === null) !== (stored === null)) store.putBytes(inRegion(row, CLOSING), state === null ? null : NOTHING, at)
  }

  const due = site.due((rowsMax, drop) => {
    const streamTime = clock.now()
    const before = streamTime - graceMs - sizeMs + 1
    if (!atClose || before <= 0) return 0
    const below = rowsBefore(closing, before)
    let rows = 0
    for (; rows < rowsMax; rows++) {
      const row = store.first(closing, below)
      if (row === null) break
      const stored = store.getBytes(outlives ? inRegion(row, WINDOW) : row)
      store.putBytes(row, null, streamTime)
      if (stored === null || drop) continue
      const start = rowTime(row)
      forward({ key: inner.decode(rowInner(row)), start, end: start + sizeMs }, store.decodeValue(stored.value), stored.timestamp, null)
    }
    return rows
  })

  const input = (step: Step, number: number): Push => {
    return (key, value, timestamp) => {
      const keyBytes = keyToBytes(site, inner, key)
      if (keyBytes === null) {
        dropped.n++
        return
      }
      const { streamTime, settled } = clock.observe(timestamp, number)
      const closeTime = streamTime - graceMs
      let windowsOfRecord = 0
      for (let start = firstStart(windows, timestamp); start <= timestamp; start += advanceMs) {
        windowsOfRecord++
        if (start + sizeMs > closeTime) update(step, key, keyBytes, value, timestamp, start)
        else late(value, key, start, start + sizeMs, timestamp, streamTime)
      }
      if (atClose) due.now()
      if (atClose && !outlives) return // a row goes when its window is put out
      const before = settled - Math.max(sizeMs + graceMs, retentionMs) + 1
      expire(store, WINDOW, atClose ? unlessClosing(store, before) : before, 2 * windowsOfRecord, streamTime)
    }
  }

  const steps = stepsOf(site, node)
  return {
    ahead: {
      key: inner,
      rows(key, timestamp) {
        const rows: Buffer[] = []
        for (let start = firstStart(windows, timestamp); start <= timestamp && rows.length < LIMITS.aheadRowsMax; start += advanceMs)
          rows.push(rowKey(WINDOW, start, key))
        return rows
      },
    },
    inputs: site.node.parents.map((_, i) => input(steps[i] as Step, i)),
    getter: windowGetter(site, inner, store),
  }
}
