// `join` and `leftJoin` of a stream with a global table, by a key made of the record. Only the stream triggers; nothing is repartitioned.
//
// Invariant: a null value is dropped and counted. A null table key too in an inner join; in a left join it goes out with no row. A miss of
// an inner join is no drop.
import type { StreamGlobalJoinNode } from '../topology/node.ts'
import type { Operator } from './operator.ts'

export const streamGlobalJoin: Operator = (site) => {
  const { type, joiner, tableKey, table } = site.node.operator as StreamGlobalJoinNode
  const join = site.guard(joiner)
  const keyOf = site.guard(tableKey)
  const rowOf = site.global(table)
  const dropped = site.counter('dropped')
  const { forward } = site
  return {
    inputs: [
      (key, value, timestamp) => {
        const at = value === null ? null : (keyOf(value, key) ?? null)
        if (value === null || (at === null && type === 'inner')) {
          dropped.n++
          return
        }
        const row = at === null ? null : rowOf(at)
        if (row === null && type === 'inner') return
        forward(key, join(value, row === null ? null : row.value, key) ?? null, timestamp, undefined)
      },
    ],
  }
}
