// A versioned store as a user's processor sees it: each key with its latest version and those of the retention before.
//
// Invariants (as Kafka Streams)
// 1. The store's time is the greatest timestamp written to it. A version older than that less the retention is not taken.
// 2. The latest version never expires; what held at a time longer ago than the retention is answered only if it is the latest.
// 3. An absence is a version too: what is older and comes later does not become the latest. (Kafka Streams forgets it where there was
//    no row before.) An absence is forgotten when its key is written after the retention.
import { MillraceError } from '../../base/errors.ts'
import type { VersionedRecord, VersionedStore } from '../../topology/processor.ts'
import { checkTime, type StoreSite } from './site.ts'
import { putVersion, readVersions, type Version, VERSIONED_OWN, versionAt, writeVersions } from './versions.ts'

export function versionedStore(site: StoreSite, retentionMs: number): VersionedStore<unknown, unknown> {
  const { view, life } = site

  const observed = (): number => view.getBytes(VERSIONED_OWN)?.value.readDoubleBE(0) ?? -1
  const keyOf = (key: unknown): Buffer => {
    const bytes = site.key(key)
    if (!bytes.equals(VERSIONED_OWN)) return bytes
    throw new MillraceError('STREAM_CALLBACK', `store ${view.name}: this key is the store's own`)
  }
  const versionsOf = (key: Buffer): Version[] => {
    const row = view.getBytes(key)
    return row === null ? [] : readVersions(row.value)
  }
  const shown = (version: Version | undefined): VersionedRecord<unknown> | null =>
    version === undefined || version.value === null ? null : { value: view.decodeValue(version.value), timestamp: version.timestamp }

  const find = (key: Buffer, asOf: number | undefined): VersionedRecord<unknown> | null => {
    const versions = versionsOf(key)
    const latest = versions[0]
    if (asOf === undefined || latest === undefined || latest.timestamp <= asOf) return shown(latest)
    return asOf < observed() - retentionMs ? null : shown(versionAt(versions, asOf))
  }

  const put = (key: Buffer, value: Buffer | null, timestamp: number): boolean => {
    const before = observed()
    if (timestamp < before - retentionMs) return false
    if (timestamp > before) {
      const bytes = Buffer.allocUnsafe(8)
      bytes.writeDoubleBE(timestamp, 0)
      view.putBytes(VERSIONED_OWN, bytes, life.timestamp)
    }
    const versions = putVersion(versionsOf(key), { timestamp, value }, Math.max(before, timestamp) - retentionMs)
    view.putBytes(key, writeVersions(versions), life.timestamp)
    return true
  }

  return {
    name: view.name,
    get: (key, asOf) => life.within('get', () => find(keyOf(key), asOf)),
    put(key, value, timestamp) {
      const bytes = keyOf(key)
      checkTime(view.name, 'timestamp', timestamp)
      let taken = false
      site.write(() => {
        taken = life.within('put', () => put(bytes, value == null ? null : view.encodeValue(value), timestamp))
      })
      return taken
    },
    delete(key, timestamp) {
      const bytes = keyOf(key)
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
