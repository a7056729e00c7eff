// `toTable` and `t.table`: the latest value per key, in the order of the offsets. A record with an older timestamp overwrites too,
// as in Kafka Streams; `lastWriteWins` is the operator that minds versions. A null key is dropped, a null value deletes.
import type { ToTableNode } from '../topology/node.ts'
import type { Operator } from './operator.ts'
import { keepAndForward, ownStore, storeGetter } from './table-store.ts'
import { versionedTable } from './versioned-table.ts'

export const toTable: Operator = (site) => {
  const form = (site.node.operator as ToTableNode).store?.form
  if (form?.kind === 'versioned') return versionedTable(form.retentionMs)(site)
  const store = ownStore(site)
  const keep = keepAndForward(site, store)
  const dropped = site.counter('dropped')
  return {
    inputs: [
      (key, value, timestamp) => {
        if (key === null) dropped.n++
        else keep(key, value, timestamp, null)
      },
    ],
    ...(store === null ? {} : { getter: storeGetter(store) }),
    reads: [store === null ? [] : [0]],
  }
}
