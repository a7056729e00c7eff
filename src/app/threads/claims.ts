// Which worker of a process has a store's folder open. The kernel's lock is the process's: it does not tell its threads apart, and it
// would be lost with any descriptor of the file that another thread closes. So the processor keeps the list, and a thread asks it.
//
// 1. What a thread has taken is its own until it gives it back; it gives only what is closed.
import type { Claims } from '../../state/leveldb.ts'
import type { Said } from './words.ts'

/** The processor's list. */
export class Claimed {
  readonly #holders = new Map<string, number>()

  take(name: string, worker: number): boolean {
    if (this.#holders.has(name)) return false
    this.#holders.set(name, worker)
    return true
  }

  give(name: string, worker: number): void {
    if (this.#holders.get(name) === worker) this.#holders.delete(name)
  }
}

/** A thread's way to it. */
export function claimsOver(say: (said: Said) => void): Claims & { told(id: number, free: boolean): void } {
  const asked = new Map<number, (free: boolean) => void>()
  let last = 0
  return {
    take(name) {
      const id = ++last
      return new Promise((resolve) => {
        asked.set(id, resolve)
        say({ kind: 'take', id, name })
      })
    },
    give: (name) => say({ kind: 'give', name }),
    told(id, free) {
      asked.get(id)?.(free)
      asked.delete(id)
    },
  }
}
