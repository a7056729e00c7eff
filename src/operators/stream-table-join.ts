// `join` and `leftJoin` of a stream with a table. Only the stream triggers; the result has the stream record's timestamp.
//
// Invariant: a null value is dropped and counted; a null key too in an inner join, while a left join emits (value, null). A miss
// of an inner join is no drop and is not counted. Of a versioned table it is the row that held at the record's time.
import type { StreamTableJoinNode } from '../topology/node.ts'
import type { Operator } from './operator.ts'
import { streamTableGrace } from './stream-table-grace.ts'

export const streamTableJoin: Operator = (site) => {
  const { type, joiner, graceMs } = site.node.operator as StreamTableJoinNode
  if (graceMs !== null) return streamTableGrace(graceMs)(site)
  const join = site.guard(joiner)
  const table = site.getter(1)
  const dropped = site.counter('dropped')
  const { forward } = site
  return {
    inputs: [
      (key, value, timestamp) => {
        if (value === null || (key === null && type === 'inner')) {
          dropped.n++
          return
        }
        const row = key === null ? null : table(key, timestamp)
        if (row === null && type === 'inner') return
        forward(key, join(value, row === null ? null : row.value, key) ?? null, timestamp, undefined)
      },
      () => {},
    ],
  }
}
