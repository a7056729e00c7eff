// What one write of the database holds: batches, ends, offsets and the commit number of one or several commits.
//
// Invariants
// 1. Each batch is chained to the end of the committed batch below it. A commit that fills a hole below committed batches writes
//    the batch above the hole again, chained to itself; it is still in memory, because nothing above an open epoch is moved out.
// 2. The ends and the offset entries are counted, so that one that went missing is found at open.
import { keyText } from '../../base/bytes.ts'
import type { Run } from '../local/partition.ts'
import type { Commit } from '../local/state.ts'
import { cut, encodeBatch } from './batch.ts'
import { batchKey, CRC_BYTES, endKey, endValue, offsetKey, offsetValue, stamp } from './entries.ts'

export interface Put {
  readonly type: 'put'
  readonly key: Buffer
  readonly value: Buffer
}

export interface Disk {
  readonly topicIds: ReadonlyMap<string, number>
  /** Runs whose batches are in the database. */
  readonly written: WeakSet<Run>
  /** Names of the offset entries that are in the database, group and partition. */
  readonly offsetEntries: Set<string>
}

export function putsOf(disk: Disk, commits: readonly Commit[]): { readonly puts: Put[]; readonly newEntries: readonly string[] } {
  const puts: Put[] = []
  const runs = commits.flatMap((commit) => commit.runs.filter((run) => !run.partition.deleted)).sort((a, b) => a.base - b.base)
  const now = new Set(runs)
  const ends = new Map<Run['partition'], number>()
  for (const run of runs) {
    const { below, above } = neighbours(disk, now, run)
    putBatches(disk, puts, run, below, true)
    if (above !== null && !now.has(above)) putBatches(disk, puts, above, run.end, false)
    ends.set(run.partition, run.end)
  }
  for (const [partition, end] of ends) {
    const last = partition.runs.findLast((run) => disk.written.has(run))
    const key = endKey(topicId(disk, partition.topic), partition.index)
    puts.push({ type: 'put', key, value: endValue(key, Math.max(end, last?.end ?? 0)) })
  }
  const entries = new Set<string>()
  for (const { groupId, offsets } of commits) {
    for (const offset of offsets) {
      const key = offsetKey(groupId, offset.topic, offset.partition)
      puts.push({ type: 'put', key, value: offsetValue(key, offset) })
      const name = keyText(key)
      if (!disk.offsetEntries.has(name)) entries.add(name)
    }
  }
  return { puts, newEntries: [...entries] }
}

function topicId(disk: Disk, topic: string): number {
  return disk.topicIds.get(topic) as number
}

/** Where the committed run below ends, and the committed run above, of those written before or now. */
function neighbours(disk: Disk, now: ReadonlySet<Run>, run: Run): { readonly below: number; readonly above: Run | null } {
  const { runs, residentFrom } = run.partition
  const at = runs.lastIndexOf(run)
  const kept = (of: Run): boolean => now.has(of) || disk.written.has(of)
  let below = residentFrom
  for (let i = at - 1; i >= 0; i--) {
    if (kept(runs[i] as Run)) {
      below = (runs[i] as Run).end
      break
    }
  }
  let above: Run | null = null
  for (let i = at + 1; i < runs.length && above === null; i++) if (kept(runs[i] as Run)) above = runs[i] as Run
  return { below, above }
}

function putBatches(disk: Disk, puts: Put[], run: Run, previousEnd: number, all: boolean): void {
  const { records, partition } = run
  for (let from = 0; from < records.length; ) {
    const { until, bytes } = cut(records, from)
    const key = batchKey(topicId(disk, partition.topic), partition.index, run.base + from)
    const value = Buffer.allocUnsafeSlow(CRC_BYTES + bytes)
    encodeBatch(value, CRC_BYTES, from === 0 ? previousEnd : run.base + from, records, from, until)
    puts.push({ type: 'put', key, value: stamp(key, value) })
    if (!all) return
    from = until
  }
}
