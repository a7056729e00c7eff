// `lastWriteWins`: one register per key. Whatever the order, repetition or lateness of the events, the table ends the same.
// Its callbacks must not change a value in place: the event's bytes are kept as they came in.
//
// Invariants
// 1. Events of a key are totally ordered: version, then the value as its serde writes it (unsigned), then a delete after an upsert.
//    The greatest wins; what is equal is a duplicate; what is less is stale. Stale ones and duplicates change and forward nothing.
// 2. Stored bytes may be those that came in. Only at equal versions with different bytes are both written by the serde to compare.
// 3. A delete keeps its version, until stream time is more than `tombstoneRetentionMs` past it: then the key is as if never written.
// 4. A tombstone is forwarded only where there was a row (at least once always: one that was put out before a crash may be forgotten); what is forwarded has the winner's timestamp.
import { MillraceError } from '../base/errors.ts'
import type { LastWriteWinsNode, StoreSpec } from '../topology/node.ts'
import { valueToBytes } from './encode.ts'
import { compareVersions, decodeRegister, encodeRegister, type Register, type Version } from './last-write-wins-row.ts'
import type { Operator, Row, StoreView } from './operator.ts'
import { type RecordView, recordView } from './record-view.ts'

type Ask = (value: unknown, key: unknown, record: RecordView) => unknown

export const lastWriteWins: Operator = (site) => {
  const { context, node, forward } = site
  const operator = node.operator as LastWriteWinsNode
  const store = site.store(0)
  const { value: serde } = node.stores[0] as StoreSpec
  const versionOf = site.guard(operator.version as Ask)
  const isDelete = operator.deleted === null ? null : site.guard(operator.deleted as Ask)
  const dropped = site.counter('dropped')
  const stale = site.counter('stale')
  const duplicate = site.counter('duplicate')
  const winners = site.counter('winners')
  const repeats = site.services.repeats === true

  return {
    inputs: [
      (key, value, timestamp) => {
        if (key === null || value === null) {
          dropped.n++
          return
        }
        const record = recordView(context, key, value, timestamp)
        const version = checked(versionOf(value, key, record), node.name)
        const deleted = isDelete !== null && Boolean(isDelete(value, key, record))
        const keyBytes = store.encodeKey(key)
        const bytes = valueToBytes(site, serde, value) as Buffer

        const row = store.getBytes(keyBytes)
        const streamTime = Math.max(context.streamTime, timestamp)
        const held = row === null ? null : remembered(row, streamTime, operator.tombstoneRetentionMs)
        const order = held === null ? 1 : compare(store, deleted, version, value, bytes, held)
        if (order <= 0) {
          const why = order === 0 ? duplicate : stale
          why.n++
          return
        }
        winners.n++
        store.putBytes(keyBytes, encodeRegister(deleted, version, bytes), timestamp)
        const existed = held !== null && !held.deleted
        if (deleted && !existed && !repeats) return
        forward(key, deleted ? null : value, timestamp, node.sendsOld && existed ? store.decodeValue(held.value) : null)
      },
    ],
    getter(key) {
      const row = store.getBytes(store.encodeKey(key))
      if (row === null) return null
      const { deleted, value, version } = decodeRegister(row.value)
      return deleted ? null : { value: store.decodeValue(value), timestamp: row.timestamp, version }
    },
    reads: [[0]],
  }
}

/** What is held, unless it is a delete whose time is over. */
function remembered(row: Row<Buffer>, streamTime: number, retentionMs: number): Register | null {
  const held = decodeRegister(row.value)
  return held.deleted && streamTime - row.timestamp > retentionMs ? null : held
}

/** > 0: the new event wins. */
function compare(store: StoreView, deleted: boolean, version: Version, value: unknown, bytes: Buffer, held: Register): number {
  const order = compareVersions(version, held.version)
  if (order !== 0) return order
  if (!bytes.equals(held.value)) {
    const canonical = Buffer.compare(store.encodeValue(value), store.encodeValue(store.decodeValue(held.value)))
    if (canonical !== 0) return canonical
  }
  return Number(deleted) - Number(held.deleted)
}

function checked(version: unknown, name: string): Version {
  if (typeof version === 'string' || typeof version === 'bigint' || (typeof version === 'number' && !Number.isNaN(version))) return version
  throw new MillraceError('STREAM_SERDE', `${name}: version is ${String(version)}; it must be a number, a bigint or a string`, {
    disposition: 'park',
  })
}
