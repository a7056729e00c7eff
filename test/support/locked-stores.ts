// Stores in memory that are as hard to open twice as those on disk: for tests of who closes what.
import { MillraceError } from '../../src/base/errors.ts'
import type { StoreProvider } from '../../src/state/store.ts'
import { proxied } from './proxied.ts'

/** As a provider on disk: a store that is open can't be opened again. */
export function lockedStores(inner: StoreProvider): StoreProvider & { readonly held: Set<string> } {
  const held = new Set<string>()
  return {
    held,
    async open(task, name, persistent) {
      const id = `${task}/${name}`
      if (held.has(id)) throw new MillraceError('STREAM_STATE_LOCKED', `store ${id} is in use`)
      held.add(id)
      const opened = await inner.open(task, name, persistent)
      const close = async (): Promise<void> => {
        await opened.store.close()
        held.delete(id)
      }
      return { ...opened, store: { ...proxied(opened.store), close } }
    },
    setAside: (task, name, reason) => inner.setAside(task, name, reason),
  }
}
