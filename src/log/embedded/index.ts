// The embedded log: topics, groups and transactions in one directory, for one process at a time, with nothing installed. No
// listener, no protocol. What is committed is synced; what is not was never there.
//
// Invariants
// 1. A commit is one synced write of records, ends and offsets: after a crash all of it is there or nothing (R8).
// 2. Damage of committed data is STREAM_LOG_DAMAGED, never a wrong record and never a silent gap.
// 3. Nothing is ever removed but by `deleteTopics`: no retention, no compaction.
// 4. Transactional ids need no memory across processes: an open epoch dies with its process.
import { LIMITS } from '../../base/limits.ts'
import type { World } from '../../base/ports.ts'
import { type LocalLog, localLog } from '../local/log.ts'
import { emptyState, setOffsets } from '../local/state.ts'
import { closeDatabase, openDatabase } from './database.ts'
import { DurableCommits } from './durable.ts'
import { type Mark, openMark } from './mark.ts'
import { thisProcess } from './owner.ts'
import { recover } from './recover.ts'

export interface EmbeddedLogOptions {
  readonly dir: string
  readonly world: World
  /** Of the kernel; read from the system when left out. */
  readonly bootId?: string
  /** Committed records kept in memory; 0 reads everything back from disk. */
  readonly cacheBytesMax?: number
}

/** Throws STREAM_STATE_LOCKED, STREAM_LOG_DAMAGED. */
export async function openEmbeddedLog(options: EmbeddedLogOptions): Promise<LocalLog> {
  const { dir, world } = options
  const database = await openDatabase(dir, thisProcess(options.bootId))
  let mark: Mark | null = null
  try {
    mark = openMark(dir)
    const recovered = await recover(database, dir, mark.commit)
    if (mark.commit < 0 && recovered.commits.commit > 0)
      world.logger.warn({ dir }, 'the mark of the embedded log was lost; it is written anew')
    mark.write(recovered.commits.commit)
    const durability = new DurableCommits(database, dir, mark, recovered, options.cacheBytesMax ?? LIMITS.logCacheBytesMax)
    const state = emptyState(world, durability)
    for (const topic of durability.open(recovered)) state.topics.set(topic.spec.name, topic)
    for (const { groupId, offset } of recovered.offsets) setOffsets(state, groupId, [offset])
    await durability.clearDeleted()
    return localLog('embedded', state, true)
  } catch (error) {
    mark?.close()
    // why it did not open matters more than that it did not close
    await closeDatabase(database, dir).catch((cause: unknown) =>
      world.logger.warn({ dir, err: cause }, 'the embedded log could not be closed'),
    )
    throw error
  }
}
