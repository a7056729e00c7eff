// Epoch time without the jumps of the wall clock: for times that something waits until.
import type { Clock } from './ports.ts'

/** The wall clock as it is at the call, carried on by the monotonic one; whole ms. */
export function steadyClock(clock: Clock): () => number {
  const aheadMs = clock.now() - clock.monotonic()
  return () => Math.floor(aheadMs + clock.monotonic())
}
