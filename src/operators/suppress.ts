// `suppress`: holds a table's updates back, until the window has closed or for some time, and lets the latest of each key go.
//
// Rows: META, clock and sums; WINDOW, time, key: what waits, by the time from which it waits; INDEX, key: that time, where the key does
// not tell.
//
// Invariants
// 1. Stream time is the greatest timestamp of the updates seen. What waits goes when its time <= now - the wait, now being stream time
//    or the wall clock's, in the order of
//    time and key bytes, with its own timestamp and headers.
// 2. Until a window closes, the time is the window's end. A tombstone that is still there then says that nothing was ever put out, and
//    is dropped. Else the time is the timestamp of the first update since the last one that went, or the wall clock's then.
// 3. Over maxRecords or maxBytes (keys and values as they are stored) the oldest go at once.
// 4. The old value that goes along is what went last, not what was overwritten while it waited.
import type { Windowed } from '../base/window.ts'
import { INDEX, META, readTime, rowInner, rowKey, rowsBefore, rowTime, WINDOW, writeTime } from '../serde/window-rows.ts'
import type { SuppressNode } from '../topology/node.ts'
import { keyToBytes, valueToBytes } from './encode.ts'
import { NOT_LATEST, type Operator, type StoreView } from './operator.ts'
import { decodeWaiting, encodeWaiting } from './waiting-row.ts'
import { clockOf } from './window-store.ts'

const SUMS = Buffer.of(META, 1)
const ALL = Buffer.of(WINDOW + 1)

export const suppress: Operator = (site) => {
  const node = site.node.operator as SuppressNode
  const { waitMs, recordsMax, bytesMax, untilClose } = node
  const onWall = node.clock === 'wall'
  const store = site.store(0)
  const bounded = recordsMax !== null || bytesMax !== null
  const { context, forward } = site
  const { sendsOld } = site.node
  const parent = site.getter(0)
  const clock = clockOf(store, 1, true)
  const now = (): number => (onWall ? site.services.steadyMs() : clock.now())

  /** Where the key's update waits; `since` is for one that does not wait yet. */
  const placeOf = (key: unknown, keyBytes: Buffer, since: number): Buffer => {
    if (untilClose) return rowKey(WINDOW, (key as Windowed<unknown>).end, keyBytes)
    const time = store.getBytes(indexKey(keyBytes))?.value
    return rowKey(WINDOW, time === undefined ? since : readTime(time, 0), keyBytes)
  }

  const count = (records: number, bytes: number, timestamp: number): void => {
    if (!bounded) return
    const sums = readSums(store)
    writeSums(store, { records: sums.records + records, bytes: sums.bytes + bytes }, timestamp)
  }

  const hold = (key: unknown, value: unknown, timestamp: number, old: unknown): void => {
    const keyBytes = keyToBytes(site, node.key, key) as Buffer
    const since = onWall ? now() : timestamp
    const place = placeOf(key, keyBytes, since)
    const before = store.getBytes(place)
    const prior =
      before === null ? valueToBytes(site, node.value, old === NOT_LATEST ? null : (old ?? null)) : decodeWaiting(before.value).prior
    const row = encodeWaiting({ value: valueToBytes(site, node.value, value), prior, headers: context.headers })
    store.putBytes(place, row, timestamp)
    if (before === null && !untilClose) {
      const time = Buffer.allocUnsafe(8)
      writeTime(time, since, 0)
      store.putBytes(indexKey(keyBytes), time, timestamp)
    }
    count(before === null ? 1 : 0, row.length - (before === null ? -place.length : before.value.length), timestamp)
  }

  const letGo = (place: Buffer, streamTime: number, drop: boolean): void => {
    const stored = store.getBytes(place)
    if (stored === null) return
    const { value, prior, headers } = decodeWaiting(stored.value)
    const keyBytes = rowInner(place)
    store.putBytes(place, null, streamTime)
    if (!untilClose) store.putBytes(indexKey(keyBytes), null, streamTime)
    count(-1, -place.length - stored.value.length, streamTime)
    if (drop || (value === null && untilClose)) return
    const own = context.headers
    context.headers = headers
    try {
      const old = sendsOld && prior !== null ? node.value.decode(prior) : null
      forward(node.key.decode(keyBytes), value === null ? null : node.value.decode(value), stored.timestamp, old)
    } finally {
      context.headers = own
    }
  }

  /** Below this key all is due; null: nothing is. */
  const dueBelow = (): Buffer | null => {
    if (bounded) {
      const { records, bytes } = readSums(store)
      if ((recordsMax !== null && records > recordsMax) || (bytesMax !== null && bytes > bytesMax)) return ALL
    }
    const at = now()
    return at < waitMs ? null : rowsBefore(WINDOW, at - waitMs + 1)
  }

  const due = site.due((rowsMax, drop) => {
    const streamTime = clock.now()
    let rows = 0
    for (; rows < rowsMax; rows++) {
      const below = dueBelow()
      const place = below === null ? null : store.first(WINDOW, below)
      if (place === null) break
      letGo(place, streamTime, drop)
    }
    wake()
    return rows
  })

  /** Says when the wall clock will let the next one go. */
  const wake = (): void => {
    if (!onWall) return
    const next = store.first(WINDOW, ALL)
    due.at(next === null ? null : rowTime(next) + waitMs)
  }

  return {
    inputs: [
      (key, value, timestamp, old) => {
        clock.observe(timestamp, 0)
        hold(key, value, timestamp, old)
        due.now()
        wake() // the step may be put off
      },
    ],
    getter: (key) => {
      const keyBytes = keyToBytes(site, node.key, key)
      const stored = keyBytes === null ? null : store.getBytes(placeOf(key, keyBytes, 0))
      if (stored === null) return parent(key)
      const { prior } = decodeWaiting(stored.value)
      return prior === null ? null : { value: node.value.decode(prior), timestamp: -1 }
    },
  }
}

function indexKey(keyBytes: Buffer): Buffer {
  return Buffer.concat([Buffer.of(INDEX), keyBytes])
}

interface Sums {
  readonly records: number
  readonly bytes: number
}

function readSums(store: StoreView): Sums {
  const sums = store.getBytes(SUMS)
  return sums === null ? { records: 0, bytes: 0 } : { records: readTime(sums.value, 0), bytes: readTime(sums.value, 8) }
}

function writeSums(store: StoreView, { records, bytes }: Sums, timestamp: number): void {
  const sums = Buffer.allocUnsafe(16)
  writeTime(sums, bytes, writeTime(sums, records, 0))
  store.putBytes(SUMS, sums, timestamp)
}
