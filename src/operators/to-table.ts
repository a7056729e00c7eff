// `toTable` and `t.table`: the latest value per key, in the order of the offsets. A record with an older timestamp overwrites too,
// as in Kafka Streams; `lastWriteWins` is the operator that minds versions. A null key is dropped, a null value deletes.
import type { ToTableNode } from '../topology/node.ts'
import type { Operator, Push, Site, StoreView } from './operator.ts'
import { keepAndForward, ownStore, storeGetter, write } from './table-store.ts'
import { versionedTable } from './versioned-table.ts'

export const toTable: Operator = (site) => {
  const form = (site.node.operator as ToTableNode).store?.form
  if (form?.kind === 'versioned') return versionedTable(form.retentionMs)(site)
  const store = ownStore(site)
  const keep = keepAndForward(site, store)
  const dropped = site.counter('dropped')
  const isFed = site.node.stores[0]?.source !== undefined
  return {
    inputs: [
      (key, value, timestamp) => {
        if (key === null) dropped.n++
        else keep(key, value, timestamp, null)
      },
    ],
    ...(store === null ? {} : { getter: storeGetter(store) }),
    reads: [store === null ? [] : [0]],
    ...(store === null || !isFed ? {} : { undone: [keepAllTheSame(site, store)] }),
  }
}

/** A store that its topic is the changelog of has the row of a record that threw further down, too: made again from the topic it would have
 *  it. The value is read again, since a callback may have changed it in place. */
function keepAllTheSame({ context }: Site, store: StoreView): Push {
  return (key, _value, timestamp) => {
    const { valueBytes } = context
    if (key !== null) write(store, key, valueBytes === null ? null : store.decodeValue(valueBytes), timestamp)
  }
}
