// How willing a thread is to let others go first.
//
// 1. Linux alone: there a thread has a priority of its own, elsewhere the call would change the whole process, so nothing is done.
import { getPriority, setPriority } from 'node:os'

const NICEST = 19

/** Of the calling thread, by so much more than before. Whether it was done: never a failure, a thread at its old place works too. */
export function yieldToOthers(niceness: number): boolean {
  if (process.platform !== 'linux') return false
  try {
    setPriority(Math.min(NICEST, getPriority() + niceness)) // of process 0: to the kernel that is the thread that asks
    return true
  } catch {
    return false // a sandbox may refuse it
  }
}
