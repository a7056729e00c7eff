// `mapValues` of a table: row by row; a row mapped to null is absent. The callback is not called for tombstones. Every change goes on.
import type { TableStatelessNode } from '../topology/node.ts'
import { NOT_LATEST, type Operator } from './operator.ts'
import { keepAndForward, ownStore, storeGetter } from './table-store.ts'

export const tableMapValues: Operator = (site) => {
  const fn = site.guard((site.node.operator as TableStatelessNode).fn)
  const store = ownStore(site)
  const keep = keepAndForward(site, store)
  const oldIsMapped = site.node.sendsOld && store === null
  const parent = site.getter(0)
  const mapped = (value: unknown, key: unknown): unknown => (value === null || value === undefined ? null : (fn(value, key) ?? null))
  return {
    inputs: [
      (key, value, timestamp, old) =>
        keep(key, mapped(value, key), timestamp, old === NOT_LATEST ? old : oldIsMapped ? mapped(old, key) : null),
    ],
    getter:
      store !== null
        ? storeGetter(store)
        : (key, asOf) => {
            const row = parent(key, asOf)
            const value = row === null ? null : mapped(row.value, key)
            return row === null || value === null ? null : { value, timestamp: row.timestamp }
          },
    reads: [store === null ? [] : [0]],
  }
}
