// A versioned store as a user's processor sees it: each key with its latest version and those of the retention before. What is kept, and
// what is forgotten, is said in ../version-rows.ts; a versioned table's store is the same.
import type { VersionedRecord, VersionedStore } from '../../topology/processor.ts'
import type { VersionRows } from '../version-rows.ts'
import { checkTime, type StoreSite } from './site.ts'
import type { Version } from './versions.ts'

export function versionedStore(site: StoreSite, rows: VersionRows): VersionedStore<unknown, unknown> {
  const { view, life } = site

  const shown = (version: Version | undefined): VersionedRecord<unknown> | null =>
    version === undefined || version.value === null ? null : { value: view.decodeValue(version.value), timestamp: version.timestamp }
  const find = (key: Buffer, asOf: number | undefined): VersionedRecord<unknown> | null =>
    shown(asOf === undefined ? rows.latest(key) : rows.at(key, asOf))
  const put = (key: Buffer, value: Buffer | null, timestamp: number): boolean => rows.put(key, value, timestamp) !== 'late'

  return {
    name: view.name,
    get: (key, asOf) => life.within('get', () => find(site.key(key), asOf)),
    put(key, value, timestamp) {
      const bytes = site.key(key)
      checkTime(view.name, 'timestamp', timestamp)
      let taken = false
      site.write(() => {
        taken = life.within('put', () => put(bytes, value == null ? null : view.encodeValue(value), timestamp))
      })
      return taken
    },
    delete(key, timestamp) {
      const bytes = site.key(key)
      checkTime(view.name, 'timestamp', timestamp)
      let old: VersionedRecord<unknown> | null = null
      site.write(() => {
        const held = life.within('delete', () => find(bytes, timestamp))
        if (life.within('delete', () => put(bytes, null, timestamp))) old = held
      })
      return old
    },
  }
}
