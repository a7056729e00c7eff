// The log in memory: for the test driver, the simulator and trying topologies out. Deterministic: every promise settles by
// microtasks or by a timer of the World; nothing outlives the process.
//
// Invariants
// 1. `append` gives a record its offset at once, so a reader with isolation 'uncommitted' may read an open epoch of its own process.
// 2. A commit is one synchronous step: records, offsets and visibility together.
import type { World } from '../base/ports.ts'
import { type LocalLog, localLog } from './local/log.ts'
import { emptyState } from './local/state.ts'

export interface MemoryLog extends LocalLog {
  readonly kind: 'memory'
  /** A second client of the same log, with writers, readers and members of its own: its `crash` and `close` end these only.
   *  `close` of the first client ends the log. */
  another(): MemoryLog
}

export function memoryLog(world: World): MemoryLog {
  const state = emptyState(world, null)
  const client = (first: boolean): MemoryLog =>
    Object.assign(localLog('memory', state, first), { kind: 'memory' as const, another: () => client(false) })
  return client(true)
}
