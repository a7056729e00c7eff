// A clock that moves only when it is told to, with its timers and seeded randomness: what a test driver runs on.
import { type Logger, silent, type World } from '../base/ports.ts'

export interface VirtualWorld extends World {
  /** Moves the clock, firing the timers on the way in the order of their times. */
  advance(ms: number): Promise<void>
  /** Sets the clock back: what happened since is to happen again. */
  rewind(toMs: number): void
}

export function virtualWorld(startMs = 0, seed = 1, logger: Logger = silent): VirtualWorld {
  let now = startMs
  let order = 0
  let state = seed | 0 || 1
  const timers: { at: number; order: number; run: () => void }[] = []
  const next = (): number => {
    // xorshift32
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
  const after = (ms: number, run: () => void): (() => void) => {
    const timer = { at: now + ms, order: order++, run }
    timers.push(timer)
    return () => {
      const i = timers.indexOf(timer)
      if (i >= 0) timers.splice(i, 1)
    }
  }
  return {
    clock: { now: () => now, monotonic: () => now },
    timers: {
      after,
      sleep: (ms) => new Promise((resolve) => void after(ms, resolve)),
      turn: () => Promise.resolve(),
    },
    random: {
      below: (bound) => next() % bound,
      hex: (bytes) => Array.from({ length: bytes }, () => (next() & 255).toString(16).padStart(2, '0')).join(''),
    },
    logger,
    rewind(toMs) {
      now = Math.min(now, toMs)
    },
    async advance(ms) {
      const until = now + ms
      for (;;) {
        const due = timers.filter((timer) => timer.at <= until).sort((a, b) => a.at - b.at || a.order - b.order)[0]
        if (due === undefined) break
        timers.splice(timers.indexOf(due), 1)
        now = Math.max(now, due.at)
        due.run()
        await Promise.resolve()
      }
      now = until
    },
  }
}
