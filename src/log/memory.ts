// The log in memory: for the test driver, the simulator and trying topologies out. Deterministic: every promise settles by
// microtasks or by a timer of the World; nothing outlives the process.
//
// Invariants
// 1. `append` gives a record its offset at once, so a reader with isolation 'uncommitted' may read an open epoch of its own process.
// 2. A commit is one synchronous step: records, offsets and visibility together.
import type { World } from '../base/ports.ts'
import { type LocalLog, localLog } from './local/log.ts'
import { moveOut, type Run } from './local/partition.ts'
import { emptyState, findPartition } from './local/state.ts'

export interface MemoryLog extends LocalLog {
  readonly kind: 'memory'
  /** A second client of the same log, with writers, readers and members of its own: its `crash` and `close` end these only.
   *  `close` of the first client ends the log. */
  another(): MemoryLog
  /** Drops the committed runs that end at or before an offset: nobody will read them again. */
  forget(topic: string, partition: number, before: number): void
}

export function memoryLog(world: World): MemoryLog {
  const state = emptyState(world, null)
  const forget = (topic: string, index: number, before: number): void => {
    const partition = findPartition(state, topic, index)
    const runs = [...partition.runs]
    const at = runs.findLastIndex((run) => run.end <= before && run.epoch.state === 'committed')
    if (at < 0 || !moveOut(partition, runs[at] as Run)) return
    for (let i = 0; i <= at; i++) (runs[i] as Run).records = [] // other runs of the epoch keep it, and it keeps these
  }
  const client = (first: boolean): MemoryLog =>
    Object.assign(localLog('memory', state, first), { kind: 'memory' as const, another: () => client(false), forget })
  return client(true)
}
