// One wait at a time that a call ends early; a call that comes while nobody waits ends the next one at once.
import type { World } from '../base/ports.ts'

export interface Waiting {
  wait(ms: number): Promise<void>
  wake(): void
}

export function waiting({ timers }: World): Waiting {
  let woken = false
  let end: (() => void) | null = null
  return {
    async wait(ms) {
      if (!woken)
        await new Promise<void>((resolve) => {
          const cancel = timers.after(ms, resolve)
          end = () => {
            cancel()
            resolve()
          }
        })
      end = null
      woken = false
    },
    wake() {
      woken = true
      end?.()
    },
  }
}
