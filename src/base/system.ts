// The real clock, timers and randomness. The only file that names `Date.now`, `setTimeout`, `performance` and `crypto` (tidy test).
import { randomBytes, randomInt } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { type Logger, silent, type World } from './ports.ts'

export function systemWorld(logger: Logger = silent): World {
  return {
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    timers: {
      after(afterMs, run) {
        const timer = setTimeout(run, afterMs)
        return () => clearTimeout(timer)
      },
      sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      turn: () => new Promise((resolve) => setImmediate(resolve)),
    },
    random: { below: (bound) => randomInt(bound), hex: (bytes) => randomBytes(bytes).toString('hex') },
    logger,
  }
}
