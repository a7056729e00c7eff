// The pause after a failure: longer from one to the next, and over when there is something to see to. A worker that slept through a
// revocation would hold up its whole group.
//
// 1. What comes between `begin` and `wait` ends that pause too; what was there before does not, or a failure that it causes itself would come
//    again and again without a pause.
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'

export function backoffMs(failures: number): number {
  return Math.min(LIMITS.rewindBackoffMs * 2 ** Math.min(failures, 10), LIMITS.rewindBackoffMaxMs)
}

export class Backoff {
  /** In a row. */
  failures = 0
  readonly #timers: World['timers']
  #roused = false
  #end = (): void => {}

  constructor({ timers }: Pick<World, 'timers'>) {
    this.#timers = timers
  }

  /** Something is tried. */
  begin(): void {
    this.#roused = false
  }

  wait(): Promise<void> {
    if (this.#roused) return Promise.resolve()
    return new Promise((resolve) => {
      const cancel = this.#timers.after(backoffMs(this.failures), () => this.#end())
      this.#end = () => {
        cancel()
        resolve()
      }
    })
  }

  /** There is something to see to. */
  end(): void {
    this.#roused = true
    this.#end()
  }
}
