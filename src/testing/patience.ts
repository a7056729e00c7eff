// How long a session waits for calls that a `mapAsync` has under way. They run in real time, on which the session's clock has no hold: a
// call that never answers must not keep a test for ever, and one that answers soon must not be missed.
//
// Invariants
// 1. What answers within some turns of the event loop is heard with the record that called for it.
// 2. `patiently`, an answer is waited for as long as something keeps the event loop alive that was not there when the session began, and
//    at most LIMIT_MS. A call that was waited for in vain is not waited for again; its answer counts whenever it comes.
import { systemWorld } from '../base/system.ts'

const TURNS = 3
const LOOK_MS = 2
/** Looks in a row at which nothing was found that could bring an answer. */
const QUIET_LOOKS = 3
const LIMIT_MS = 5_000

export class Patience {
  readonly #real = systemWorld()
  readonly #before = resources()
  readonly #givenUp = new WeakSet<object>()
  #roused: (() => void) | null = null

  /** An answer has come. */
  rouse(): void {
    this.#roused?.()
  }

  /** True: something has come. `come` says whether it has. */
  async news(calls: readonly object[], come: () => boolean, patiently: boolean): Promise<boolean> {
    if (calls.length === 0) return false
    const { timers, clock } = this.#real
    for (let n = 0; n < TURNS; n++) {
      await timers.turn()
      if (come()) return true
    }
    if (!patiently || calls.every((call) => this.#givenUp.has(call))) return false
    const since = clock.monotonic()
    for (let quiet = 0; quiet < QUIET_LOOKS && clock.monotonic() - since < LIMIT_MS; ) {
      const busy = this.#busy()
      quiet = busy ? 0 : quiet + 1
      await (busy ? this.#rousedWithin(LOOK_MS) : timers.turn())
      if (come()) return true
    }
    for (const call of calls) this.#givenUp.add(call)
    return false
  }

  /** Something keeps the event loop alive beside what did before. */
  #busy(): boolean {
    return [...resources()].some(([kind, n]) => n > (this.#before.get(kind) ?? 0))
  }

  #rousedWithin(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel()
        this.#roused = null
        resolve()
      }
      const cancel = this.#real.timers.after(ms, done)
      this.#roused = done
    })
  }
}

/** By kind, how many keep the event loop alive. Standard streams come and go. */
function resources(): Map<string, number> {
  const counts = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo())
    if (!/^(Pipe|TTY|Immediate|TickObject)/.test(kind)) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  return counts
}
