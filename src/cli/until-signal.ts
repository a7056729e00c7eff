// How a command that goes on is ended from outside.
//
// 1. The first SIGTERM or SIGINT is told; the second one ends the process at once, status 1. One signal that comes twice within a moment (a
//    terminal sends it to the whole group, npx and the launcher pass it on) counts once.
// 2. A close that takes too long ends the process, status 1, and says what that means.
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'
import { FAILED } from './fail.ts'

const SAME_SIGNAL_MS = 200
/** Some of the time is for the process itself. */
export const CLOSE_MS = LIMITS.stopTimeoutMs - 500

/** The name of the first signal. */
export function untilSignal(world: World): Promise<string> {
  return new Promise((resolve) => {
    let firstMs: number | null = null
    const take = (signal: string): void => {
      const now = world.clock.monotonic()
      if (firstMs === null) {
        firstMs = now
        resolve(signal)
      } else if (now - firstMs > SAME_SIGNAL_MS) process.exit(FAILED)
    }
    process.on('SIGTERM', take)
    process.on('SIGINT', take)
  })
}

export async function closeInTime(world: World, close: () => Promise<void>): Promise<void> {
  const late = world.timers.after(CLOSE_MS, () => {
    process.stderr.write(`millrace: not closed within ${CLOSE_MS / 1000} s; what was not committed is done again at the next start\n`)
    process.exit(FAILED)
  })
  await close()
  late()
}
