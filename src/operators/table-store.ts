// What operators that put out a table share: writing a new row and passing the change on.
//
// Invariants
// 1. Each change is passed on, also when nothing has changed (no caching, no emit-on-change).
// 2. `old` is what the store held, and is read only where the node's `sendsOld` asks for it.
import { NOT_LATEST } from './operator.ts'
import type { Push, Row, Site, StoreView, TableGetter } from './operator.ts'

/** The node's own store, if it has one. */
export function ownStore(site: Site): StoreView | null {
  return site.node.stores.length === 0 ? null : site.store(0)
}

/** Writes the row (null: deletes it) and forwards the change; `old` counts only where there is no store to ask. */
export function keepAndForward(site: Site, store: StoreView | null): Push {
  const { forward } = site
  const { sendsOld } = site.node
  if (store === null) {
    return (key, value, timestamp, old) => forward(key, value, timestamp, sendsOld || old === NOT_LATEST ? (old ?? null) : null)
  }
  return (key, value, timestamp) => {
    const old = sendsOld ? (store.get(key)?.value ?? null) : null
    write(store, key, value, timestamp)
    forward(key, value, timestamp, old)
  }
}

export function write(store: StoreView, key: unknown, value: unknown, timestamp: number): void {
  if (value === null) store.delete(key, timestamp)
  else store.put(key, value, timestamp)
}

export function storeGetter(store: StoreView): TableGetter {
  return (key) => store.get(key)
}

/** The row's value in a copy of its own, for `old`: a callback may change in place what it is given. */
export function unshared(store: StoreView, key: unknown, row: Row<unknown> | null): unknown {
  if (row === null) return null
  return typeof row.value === 'object' ? (store.get(key)?.value ?? null) : row.value
}
