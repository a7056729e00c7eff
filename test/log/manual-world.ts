// A world whose time stands still until it is advanced: what settles in it settles by microtasks.
import { silent, type World } from '../../src/base/ports.ts'

export interface ManualWorld extends World {
  /** Runs what is due by then, in the order of time, letting promises settle in between. */
  advance(ms: number): Promise<void>
  /** Timers that were neither run nor cancelled. */
  readonly pending: number
}

export function manualWorld(): ManualWorld {
  let now = 0
  let drawn = 0
  const timers = new Set<{ readonly at: number; readonly run: () => void }>()
  const after = (afterMs: number, run: () => void): (() => void) => {
    const timer = { at: now + afterMs, run }
    timers.add(timer)
    return () => timers.delete(timer)
  }
  return {
    clock: { now: () => now, monotonic: () => now },
    timers: { after, sleep: (ms) => new Promise((resolve) => after(ms, resolve)), turn: settled },
    random: { below: (bound) => drawn++ % bound, hex: (bytes) => String(drawn++).padStart(bytes * 2, '0') },
    logger: silent,
    get pending() {
      return timers.size
    },
    async advance(ms) {
      const end = now + ms
      for (;;) {
        const next = [...timers].filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0]
        if (next === undefined) break
        timers.delete(next)
        now = next.at
        next.run()
        await settled()
      }
      now = end
      await settled()
    },
  }
}

/** Lets everything that waits for microtasks only come to its end. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
