// `t.table` with `versioned`: a table that remembers what its rows were, and minds the timestamps of its records.
//
// Invariants
// 1. A record that is older than its key's latest version changes the past only: it is passed on with `old` NOT_LATEST, and what keeps or
//    joins the present leaves it out. One that is older than the retention is counted, and nothing else.
// 2. The getter answers the present row, or with a time the one that held then.
import type { Operator } from './operator.ts'
import { NOT_LATEST } from './operator.ts'
import { VersionRows } from './version-rows.ts'

export const versionedTable =
  (retentionMs: number): Operator =>
  (site) => {
    const heads = site.store(0)
    const rows = new VersionRows(heads, site.store(1), retentionMs)
    const { forward } = site
    const { sendsOld } = site.node
    const dropped = site.counter('dropped')
    const late = site.counter('late')
    return {
      inputs: [
        (key, value, timestamp) => {
          if (key === null) {
            dropped.n++
            return
          }
          const keyBytes = heads.encodeKey(key)
          const before = sendsOld ? (rows.latest(keyBytes)?.value ?? null) : null
          const taken = rows.put(keyBytes, value === null ? null : heads.encodeValue(value), timestamp)
          if (taken === 'late') late.n++
          else forward(key, value, timestamp, taken === 'older' ? NOT_LATEST : before === null ? null : heads.decodeValue(before))
        },
      ],
      getter: (key, asOf) => {
        const keyBytes = heads.encodeKey(key)
        const version = asOf === undefined ? rows.latest(keyBytes) : rows.at(keyBytes, asOf)
        if (version === undefined || version.value === null) return null
        return { value: heads.decodeValue(version.value), timestamp: version.timestamp }
      },
      reads: [[0]],
    }
  }
