// Whether a store may have missed deletes. A compacted topic forgets a tombstone some time after the row that it deletes
// (`delete.retention.ms`): a store that goes on from an older position would keep that row for ever, so it is built anew.
// Here is what is known of that time.
//
// 1. A tombstone is kept for so long from when the cleaner has come to it, so one for a row of the store is there as long as the store
//    has been caught up, or begun, later than that before.
// 2. Some of that time is left for the restore itself, and for clocks that differ.
// 3. The last record of a partition is never compacted away: who lacks that alone, or a transaction's marker, has missed nothing.
import type { World } from '../base/ports.ts'
import { LIMITS } from '../base/limits.ts'
import type { TopicPartition } from '../base/record.ts'
import type { Log } from '../log/log.ts'
import type { Checkpoint, StateStore } from '../state/store.ts'

/** The part of the time that tombstones are kept within which a store must have been caught up. */
const TRUSTED = 0.75

/** Why the store can't go on from its checkpoint to `end`; null: it can. */
export async function missedDeletes(log: Log, world: World, topic: string, checkpoint: Checkpoint, end: number): Promise<string | null> {
  const { changelogOffset, caughtUpAtMs } = checkpoint
  if (end - changelogOffset <= 1) return null
  const ageMs = caughtUpAtMs === undefined ? Number.POSITIVE_INFINITY : Math.abs(world.clock.now() - caughtUpAtMs)
  if (ageMs <= LIMITS.caughtUpFreshMs) return null
  const keptMs = (await log.tombstonesKeptMs?.(topic)) ?? LIMITS.tombstonesKeptMs
  if (keptMs === Number.POSITIVE_INFINITY || ageMs <= keptMs * TRUSTED) return null
  const since = caughtUpAtMs === undefined ? 'at a time that it does not know' : new Date(caughtUpAtMs).toISOString()
  return `it was last up to date ${since}, and ${topic} keeps deletes for ${keptMs} ms: rows deleted since may not be told any more`
}

/** Of a store that begins with nothing, all deletes are told from now on. */
export function sinceOf(checkpoint: Checkpoint | null, nowMs: number): { readonly caughtUpAtMs?: number } {
  if (checkpoint === null) return { caughtUpAtMs: nowMs }
  return checkpoint.caughtUpAtMs === undefined ? {} : { caughtUpAtMs: checkpoint.caughtUpAtMs }
}

export interface Followed {
  readonly changelog: TopicPartition
  /** How far it was read. */
  readonly position: number
}

/** Those that have all that was in their changelogs at the call. */
export async function upToDate<T extends Followed>(log: Log, all: readonly T[]): Promise<T[]> {
  const ends = await log.offsets(
    all.map(({ changelog }) => changelog),
    'latest',
  )
  return all.filter(({ position }, i) => (ends[i] as number) - position <= 1)
}

/** Writes down that the store had all that was in its changelog then: an idle one would grow old. */
export async function caughtUp(store: StateStore, caughtUpAtMs: number): Promise<void> {
  const checkpoint = store.checkpoint()
  if (checkpoint !== null) await store.apply([], { ...checkpoint, caughtUpAtMs })
}

/** How far a topic reached at a time; who has read that far was up to date at that time, however far the topic reaches by now. */
export interface Mark {
  readonly end: number
  readonly atMs: number
}

/** After a read to `position` of a topic that ends at `end` now: the mark to read up to next, and since when the reader is up to date,
 *  where it has come to the one before. Who follows a topic that is always written never stands at its end. */
export function reached(
  mark: Mark | null,
  position: number,
  end: number,
  nowMs: number,
): { readonly mark: Mark | null; readonly caughtUpAtMs?: number } {
  const next = mark ?? { end, atMs: nowMs }
  return position < next.end ? { mark: next } : { mark: null, caughtUpAtMs: next.atMs }
}
