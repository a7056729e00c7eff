// `count`, `reduce` and `aggregate` of a grouped table. Its input are the halves of a Change: `value` to add, `old` to subtract.
//
// Invariants
// 1. Subtract before add. Nothing is subtracted from a group that has no row.
// 2. The result's timestamp is the greater of the change's and the row's. A null result deletes the row; every change goes on.
import { MillraceError } from '../base/errors.ts'
import type { TableAggregateNode } from '../topology/node.ts'
import type { Operator, Site } from './operator.ts'
import { storeGetter, unshared, write } from './table-store.ts'

interface Steps {
  /** State is null when there is no row. */
  readonly add: (state: any, value: any, key?: any) => unknown
  readonly subtract: (state: any, value: any, key?: any) => unknown
}

export const tableAggregate: Operator = (site) => {
  const { add, subtract } = stepsOf(site, site.node.operator as TableAggregateNode)
  const store = site.store(0)
  const dropped = site.counter('dropped')
  const { forward } = site
  const { sendsOld } = site.node
  return {
    inputs: [
      (key, value, timestamp, old) => {
        if (old === undefined)
          throw new MillraceError('STREAM_INTERNAL', `${site.node.name}: its source pushed a Change that is not decoded`)
        if (key === null) {
          dropped.n++
          return
        }
        const row = store.get(key)
        const at = row === null ? timestamp : Math.max(timestamp, row.timestamp)
        const oldRow = sendsOld ? unshared(store, key, row) : null
        let state: unknown = row === null ? null : row.value
        if (old !== null && state !== null) state = subtract(state, old, key) ?? null
        if (value !== null) state = add(state, value, key) ?? null
        write(store, key, state, at)
        forward(key, state, at, oldRow)
      },
    ],
    getter: storeGetter(store),
    reads: [[0]],
  }
}

function stepsOf(site: Site, node: TableAggregateNode): Steps {
  if (node.form === 'count') {
    return { add: (state) => (state === null ? 1 : Number(state) + 1), subtract: (state) => Number(state) - 1 }
  }
  const adder = site.guard(node.adder as Steps['add'])
  const subtractor = site.guard(node.subtractor as Steps['subtract'])
  if (node.form === 'reduce') {
    return { add: (state, value) => (state === null ? value : adder(state, value)), subtract: (state, value) => subtractor(state, value) }
  }
  const initial = site.guard(node.initial as () => unknown)
  return { add: (state, value, key) => adder(state === null ? initial() : state, value, key), subtract: subtractor }
}
