// `filter` and `filterNot` of a table: rows that the predicate refuses are absent. It is not called for tombstones.
//
// Invariant: with `sendsOld` a change from absent to absent is not passed on, so that a row which never was has no tombstone. Not so of a versioned table, as in Kafka Streams.
import type { TableStatelessNode } from '../topology/node.ts'
import { NOT_LATEST, type Operator } from './operator.ts'
import { ownStore, storeGetter, write } from './table-store.ts'

const tableFilterBy =
  (wanted: boolean): Operator =>
  (site) => {
    const { fn, ofVersioned } = site.node.operator as TableStatelessNode
    const accepts = site.guard(fn)
    const store = ownStore(site)
    const { forward } = site
    const { sendsOld } = site.node
    const parent = site.getter(0)
    const shown = (value: unknown, key: unknown): unknown =>
      value !== null && value !== undefined && Boolean(accepts(value, key)) === wanted ? value : null
    return {
      inputs: [
        (key, value, timestamp, parentOld) => {
          const row = shown(value, key)
          if (store === null && parentOld === NOT_LATEST) return forward(key, row, timestamp, NOT_LATEST)
          const parentRow = parentOld === NOT_LATEST ? null : parentOld
          const old = !sendsOld ? null : store === null ? shown(parentRow, key) : (store.get(key)?.value ?? null)
          if (sendsOld && !ofVersioned && row === null && old === null) return
          if (store !== null) write(store, key, row, timestamp)
          forward(key, row, timestamp, old)
        },
      ],
      getter:
        store !== null
          ? storeGetter(store)
          : (key, asOf) => {
              const row = parent(key, asOf)
              return row !== null && shown(row.value, key) !== null ? row : null
            },
      reads: [store === null || !sendsOld ? [] : [0]],
    }
  }

export const tableFilter = tableFilterBy(true)
export const tableFilterNot = tableFilterBy(false)
