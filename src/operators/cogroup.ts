// `cogroup` without a window: one state a key, to which each of several grouped streams adds in its own way.
//
// Invariant: as for the aggregate of one stream (aggregate.ts): a null key or value is skipped and counted, the result's timestamp is the
// greater of the record's and the row's, a null result deletes.
import type { CogroupNode } from '../topology/node.ts'
import type { Operator, Push } from './operator.ts'
import { storeGetter, unshared, write } from './table-store.ts'

export const cogroup: Operator = (site) => {
  const node = site.node.operator as CogroupNode
  const initial = site.guard(node.initial as () => unknown)
  const store = site.store(0)
  const dropped = site.counter('dropped')
  const { forward } = site
  const { sendsOld } = site.node
  const input = (fn: CogroupNode['initial']): Push => {
    const adder = site.guard(fn)
    return (key, value, timestamp) => {
      if (key === null || value === null) {
        dropped.n++
        return
      }
      const row = store.get(key)
      const at = row === null ? timestamp : Math.max(timestamp, row.timestamp)
      const old = sendsOld ? unshared(store, key, row) : null
      const result: unknown = adder(row === null ? initial() : row.value, value, key) ?? null
      write(store, key, result, at)
      forward(key, result, at, old)
    }
  }
  return { inputs: node.adders.map(input), getter: storeGetter(store), reads: node.adders.map(() => [0]) }
}
