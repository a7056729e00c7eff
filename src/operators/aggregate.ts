// `count`, `reduce` and `aggregate` of a grouped stream, without a window.
//
// Invariants
// 1. A null key or a null value is skipped and counted.
// 2. The result's timestamp is the greater of the record's and the row's. A null result deletes the row and goes on as a tombstone.
// 3. The first value of a `reduce` is the row as it is; the reducer is not called.
// 4. The old row of a first value is null. (Kafka Streams sends the initial value, which nobody ever added.)
import type { AggregateNode } from '../topology/node.ts'
import type { Operator, Site } from './operator.ts'
import { storeGetter, unshared, write } from './table-store.ts'

/** (state or null when there is no row, value, key) => new state or null. */
type Step = (state: any, value: any, key?: any) => unknown

export const aggregate: Operator = (site) => {
  const node = site.node.operator as AggregateNode
  const step = stepOf(site, node)
  const store = site.store(0)
  const dropped = site.counter('dropped')
  const { forward } = site
  const { sendsOld } = site.node
  return {
    inputs: [
      (key, value, timestamp) => {
        if (key === null || value === null) {
          dropped.n++
          return
        }
        const row = store.get(key)
        const at = row === null ? timestamp : Math.max(timestamp, row.timestamp)
        const old = sendsOld ? unshared(store, key, row) : null
        const result = step(row === null ? null : row.value, value, key) ?? null
        write(store, key, result, at)
        forward(key, result, at, old)
      },
    ],
    getter: storeGetter(store),
    reads: [[0]],
    unread: [node.form === 'count'],
  }
}

function stepOf(site: Site, node: AggregateNode): Step {
  if (node.form === 'count') return (state) => (state === null ? 1 : Number(state) + 1)
  const adder = site.guard(node.adder as Step)
  if (node.form === 'reduce') return (state, value) => (state === null ? value : adder(state, value))
  const initial = site.guard(node.initial as () => unknown)
  return (state, value, key) => adder(state === null ? initial() : state, value, key)
}
