// Brings a store up to its changelog: applies records straight into the store, with the checkpoint moving along, so that a restore
// that is cut off goes on where it was. It never writes a changelog and knows no log: the records are handed in.
//
// Invariants
// 1. The value of a changelog record is the stored value; null deletes. Of several records of a key in one batch the last counts: a
//    store applies them in their order.
// 2. The checkpoint of a batch is the position behind its last record, never behind one that is not applied.
// 3. At most LIMITS.restoreBatchBytes, and one chunk of the source, are held at a time.
import { MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'
import type { LogRecord } from '../base/record.ts'
import { WRITE_COST_BYTES } from './overlay.ts'
import type { Checkpoint, StateStore, Write } from './store.ts'

export interface RestoreChunk {
  /** In offset order. */
  readonly records: readonly LogRecord[]
  /** The next offset to read: past the chunk, and past control and aborted records behind it. */
  readonly position: number
}

export interface RestoreProgress {
  /** Changelog records taken since the start. */
  readonly records: number
  /** The position that is applied; -1: nothing was ever. */
  readonly offset: number
  /** Offsets still to go; null when the caller named no end. */
  readonly remaining: number | null
  readonly recordsPerSecond: number
}

export interface RestoreOptions {
  readonly world: World
  /** The changelog's end, for `remaining`. */
  readonly endOffset?: number
  /** What the checkpoints on the way say beside the offset, and what the last one says. */
  readonly since?: Pick<Checkpoint, 'caughtUpAtMs'>
  readonly caughtUpAtMs?: number
  /** After every applied batch. */
  readonly onProgress?: (progress: RestoreProgress) => void
}

/** Whether a store can be brought up from its checkpoint: false means that it must be rebuilt from an empty one (R7).
 *  `earliest`: the first offset that still exists, `end`: the next one to be written. */
export function checkpointFits(checkpoint: Checkpoint, earliest: number, end: number): boolean {
  return checkpoint.changelogOffset >= earliest && checkpoint.changelogOffset <= end
}

/** Applies the source to its end; answers the last progress. Throws what the source or the store throws. */
export async function restoreStore(
  store: StateStore,
  source: AsyncIterable<RestoreChunk>,
  options: RestoreOptions,
): Promise<RestoreProgress> {
  const { clock } = options.world
  let since = options.since ?? {}
  const startedMs = clock.monotonic()
  let batch: Write[] = []
  let bytes = 0
  let records = 0
  let applied = store.checkpoint()?.changelogOffset ?? -1
  let offset = applied
  /** The batch before: it is written while the next one is gathered. */
  let pending: Promise<unknown> = Promise.resolve()

  const progress = (): RestoreProgress => {
    const elapsedMs = clock.monotonic() - startedMs
    return {
      records,
      offset,
      remaining: options.endOffset === undefined ? null : Math.max(0, options.endOffset - Math.max(0, offset)),
      recordsPerSecond: elapsedMs > 0 ? Math.round((records / elapsedMs) * 1000) : 0,
    }
  }

  const flush = async (): Promise<void> => {
    await pending
    if (offset === applied && batch.length === 0) return
    const writes = batch
    const at = offset
    batch = []
    bytes = 0
    applied = at
    const now = progress()
    pending = store.apply(writes, { changelogOffset: at, ...since }).then(() => options.onProgress?.(now))
    // The caller sees the failure at the next flush; until then it must not count as unhandled.
    pending.catch(() => {})
  }

  const take = async (chunk: RestoreChunk): Promise<void> => {
    for (const record of chunk.records) {
      const { key } = record
      if (key === null) {
        throw new MillraceError('STREAM_INTERNAL', `store ${store.name}: changelog record at offset ${record.offset} has no key`)
      }
      batch.push(record as LogRecord & Write)
      bytes += 2 * key.length + (record.value?.length ?? 0) + WRITE_COST_BYTES
      offset = record.offset + 1
      records++
      if (bytes >= LIMITS.restoreBatchBytes) await flush()
    }
    offset = chunk.position
  }

  try {
    for await (const chunk of source) await take(chunk)
    if (options.caughtUpAtMs !== undefined) since = { caughtUpAtMs: options.caughtUpAtMs }
    await flush()
  } finally {
    await pending
  }
  return progress()
}
