// A key-value store as a user's processor sees it.
//
// 1. Ranges are in the order of the keys' bytes, both ends inclusive; from above to is empty.
// 2. With a ttl a row that stream time has left behind is not there: reads do not see it. What meets it deletes it, a read or the sweep.
import { prefixEnd } from '../../base/bytes.ts'
import type { ScanRange } from '../../state/store.ts'
import type { KeyValueStore } from '../../topology/processor.ts'
import type { Row } from '../operator.ts'
import { lazily, type StoreSite } from './site.ts'
import { sweeper, sweepIntervalMs } from './sweep.ts'

export function keyValueStore(site: StoreSite, ttlMs: number | null): KeyValueStore<unknown, unknown> {
  const { view, life, context } = site

  /** With a ttl a row is as young as the stream time of its write: a late record writes no row that is old already. */
  const stamp = (): number => (ttlMs === null ? life.timestamp : Math.max(life.timestamp, context.streamTime))
  const isOver = (row: Row<Buffer>): boolean => ttlMs !== null && context.streamTime - row.timestamp > ttlMs

  if (ttlMs !== null) site.every(sweepIntervalMs(ttlMs), sweeper(view, isOver))

  const read = (bytes: Buffer): unknown => {
    const row = view.getBytes(bytes)
    if (row === null) return null
    if (!isOver(row)) return view.decodeValue(row.value)
    view.putBytes(bytes, null, stamp())
    return null
  }

  const rows = (range: ScanRange): IterableIterator<readonly [unknown, unknown]> =>
    lazily(
      life,
      `range of ${view.name}`,
      () => view.scan(range),
      ([key, row]) => {
        if (!isOver(row)) return [view.decodeKey(key), view.decodeValue(row.value)] as const
        view.putBytes(key, null, stamp())
        return null
      },
    )

  const between = (from: unknown, to: unknown, reverse: boolean): IterableIterator<readonly [unknown, unknown]> =>
    rows({ from: site.bound(from), to: site.bound(to), reverse })

  return {
    name: view.name,
    get: (key) => life.within('get', () => read(site.key(key))),
    put(key, value) {
      site.write(() => view.putBytes(site.key(key), value == null ? null : view.encodeValue(value), stamp()))
    },
    putIfAbsent(key, value) {
      const bytes = site.key(key)
      const old = life.within('putIfAbsent', () => read(bytes))
      if (old === null && value != null) site.write(() => view.putBytes(bytes, view.encodeValue(value), stamp()))
      return old
    },
    delete(key) {
      const bytes = site.key(key)
      const old = life.within('delete', () => read(bytes))
      site.write(() => {
        if (old !== null) view.putBytes(bytes, null, stamp())
      })
      return old
    },
    range: (from, to) => between(from, to, false),
    reverseRange: (from, to) => between(from, to, true),
    all: () => between(null, null, false),
    reverseAll: () => between(null, null, true),
    prefix(bytes) {
      const from = Buffer.from(bytes)
      return rows({ from, to: prefixEnd(from), toExclusive: true })
    },
  }
}
