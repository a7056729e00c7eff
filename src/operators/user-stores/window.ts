// A window store as a user's processor sees it: a value per key and window start.
//
// Invariant: as in Kafka Streams the store's time is the greatest start written to it; a window whose start is not greater than that
// less the retention is over.
import { EMPTY } from '../../base/bytes.ts'
import type { WindowStore } from '../../topology/processor.ts'
import { segmented } from './segmented.ts'
import { checkTime, lazily, type StoreSite } from './site.ts'

export function windowStore(site: StoreSite, sizeMs: number, retentionMs: number): WindowStore<unknown, unknown> {
  const { view, life } = site
  const rows = segmented(site, retentionMs)

  function fetch(key: unknown, start: number): unknown
  function fetch(key: unknown, from: number, to: number): IterableIterator<readonly [number, unknown]>
  function fetch(key: unknown, from: number, to?: number): unknown {
    const bytes = site.key(key)
    if (to === undefined) {
      return life.within('fetch', () => {
        const row = rows.get(bytes, checkTime(view.name, 'start', from), EMPTY)
        return row === null ? null : view.decodeValue(row.value)
      })
    }
    return lazily(
      life,
      'fetch',
      () => rows.between(bytes, from, to),
      ({ time, row }) => [time, view.decodeValue(row.value)] as const,
    )
  }

  return {
    name: view.name,
    fetch,
    fetchAll: (from, to) =>
      lazily(
        life,
        'fetchAll',
        () => rows.between(null, from, to),
        ({ key, time, row }) => [{ key: view.decodeKey(key), start: time, end: time + sizeMs }, view.decodeValue(row.value)] as const,
      ),
    put(key, value, start) {
      const bytes = site.key(key)
      checkTime(view.name, 'start', start)
      site.write(() => life.within('put', () => rows.put(bytes, start, EMPTY, value == null ? null : view.encodeValue(value))))
    },
  }
}
