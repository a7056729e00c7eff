// A partition of an in-process log: runs of records, each of one epoch. What both in-process logs share; a durable one keeps the
// older runs elsewhere and sets `load`.
//
// Invariants
// 1. Offsets are given at `append` and never twice while the process lives. An aborted run leaves a gap.
// 2. A committed reader gets no further than `stableEnd`: the end of the last committed run before the first open one. It never
//    stands behind offsets that only an aborted or open epoch has used, so whatever position it saw survives a restart.
// 3. Runs below `residentFrom` are committed and not in memory.
import type { LogRecord } from '../../base/record.ts'

export interface Epoch {
  state: 'open' | 'committed' | 'aborted'
  readonly runs: Run[]
}

/** Consecutive records of one epoch: offsets base, base + 1, ... */
export interface Run {
  readonly partition: Partition
  readonly epoch: Epoch
  readonly base: number
  /** The next offset after its last. */
  end: number
  bytes: number
  records: LogRecord[]
}

export interface Slice {
  readonly records: readonly LogRecord[]
  readonly bytes: number
  readonly position: number
}

export interface Partition {
  readonly name: string
  readonly topic: string
  readonly index: number
  /** Ascending, the resident ones. */
  runs: Run[]
  end: number
  residentFrom: number
  /** How many of the first `runs` are decided, and the end of the last committed one of them. */
  decided: number
  stable: number
  deleted: boolean
  /** Reads committed records below `residentFrom`; null where nothing is ever moved out. */
  load: ((from: number, bytesMax: number) => Promise<Slice>) | null
}

export function emptyPartition(topic: string, index: number, name: string): Partition {
  return { name, topic, index, runs: [], end: 0, residentFrom: 0, decided: 0, stable: 0, deleted: false, load: null }
}

export function openEpoch(): Epoch {
  return { state: 'open', runs: [] }
}

/** Adds a record to the epoch's run at the end, or begins one. */
export function appendTo(partition: Partition, epoch: Epoch, record: LogRecord, bytes: number): void {
  let run = partition.runs.at(-1)
  if (run === undefined || run.epoch !== epoch) {
    run = { partition, epoch, base: partition.end, end: partition.end, bytes: 0, records: [] }
    partition.runs.push(run)
    epoch.runs.push(run)
  }
  run.records.push(record)
  run.bytes += bytes
  run.end = ++partition.end
}

export function abort(epoch: Epoch): void {
  if (epoch.state !== 'open') return
  epoch.state = 'aborted'
  for (const run of epoch.runs) run.records = []
}

/** Whether anything before an offset may still be committed or aborted. */
export function openBefore(partition: Partition, end: number): boolean {
  stableEnd(partition)
  return partition.runs.some((run, i) => i >= partition.decided && run.base < end && run.epoch.state === 'open')
}

/** How far a committed reader may go. */
export function stableEnd(partition: Partition): number {
  for (let run = partition.runs[partition.decided]; run !== undefined; run = partition.runs[partition.decided]) {
    if (run.epoch.state === 'open') break
    if (run.epoch.state === 'committed') partition.stable = run.end
    partition.decided++
  }
  return partition.stable
}

/** Resident records from an offset on, about `bytesMax` of them but at least one; null when there are none. */
export function readResident(partition: Partition, from: number, committed: boolean, bytesMax: number): Slice | null {
  const limit = committed ? stableEnd(partition) : partition.end
  if (from >= limit) return null
  const parts: (readonly LogRecord[])[] = []
  let bytes = 0
  let position = from
  for (let i = runAt(partition.runs, from); i < partition.runs.length && bytes < bytesMax; i++) {
    const run = partition.runs[i] as Run
    if (run.base >= limit) break
    if (run.epoch.state === 'aborted' || run.end <= from) continue
    const skip = Math.max(0, from - run.base)
    const each = run.bytes / run.records.length
    const room = Math.max(1, Math.ceil((bytesMax - bytes) / Math.max(1, each)))
    const until = Math.min(run.records.length, skip + room)
    parts.push(skip === 0 && until === run.records.length && run.epoch.state === 'committed' ? run.records : run.records.slice(skip, until))
    bytes += Math.ceil(each * (until - skip))
    position = run.base + until
  }
  if (parts.length === 0) return null
  return { records: parts.length === 1 ? (parts[0] as readonly LogRecord[]) : ([] as LogRecord[]).concat(...parts), bytes, position }
}

/** The last run that begins at or before the offset, else the first. */
function runAt(runs: readonly Run[], offset: number): number {
  let low = 0
  let high = runs.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if ((runs[middle] as Run).base <= offset) low = middle
    else high = middle - 1
  }
  return low
}

/** Moves the first runs out of memory up to and with `run`, when all before it are decided. False when it has to stay. */
export function moveOut(partition: Partition, run: Run): boolean {
  const at = partition.runs.indexOf(run)
  if (at < 0) return true
  stableEnd(partition)
  if (at >= partition.decided) return false
  partition.runs.splice(0, at + 1)
  partition.decided -= at + 1
  partition.residentFrom = run.end
  return true
}
