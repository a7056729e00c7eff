// Brings a store up to its changelog: applies records straight into the store, with the checkpoint moving along, so that a restore
// that is cut off goes on where it was. It never writes a changelog and knows no log: the records are handed in.
//
// Invariants
// 1. The value of a changelog record is the stored value; null deletes. Of several records of a key in one batch the last counts: a
//    store applies them in their order.
// 2. The checkpoint of a batch is the position behind its last record, never behind one that is not applied.
// 3. At most LIMITS.restoreBatchBytes, and one chunk of the source, are held at a time, beside the batch that is being written. A chunk in
//    columns goes into one batch unless it is over ORDERED_BYTES_MAX.
import type { RecordColumns } from '../base/columns.ts'
import { MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'
import type { LogRecord } from '../base/record.ts'
import { keyOrder, ORDERED_MAX } from './key-order.ts'
import { WRITE_COST_BYTES } from './overlay.ts'
import type { Checkpoint, Loader, StateStore, Write } from './store.ts'

/** What was fetched at once is less, but for batches that were compressed well. */
const ORDERED_BYTES_MAX = 4 * 1024 * 1024

export interface RestoreChunk {
  /** In offset order. */
  readonly records: readonly LogRecord[]
  /** The next offset to read: past the chunk, and past control and aborted records behind it. */
  readonly position: number
}

/** The same without an object a record: they hold until the next chunk is asked for. */
export interface RestoreColumns {
  readonly columns: RecordColumns
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
  source: AsyncIterable<RestoreChunk | RestoreColumns>,
  options: RestoreOptions,
): Promise<RestoreProgress> {
  const { clock } = options.world
  let since = options.since ?? {}
  const startedMs = clock.monotonic()
  const loader = store.loader?.() ?? gathering(store)
  const order = keyOrder()
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
    if (offset === applied && loader.bytes === 0) return
    const at = offset
    applied = at
    const now = progress()
    pending = loader.apply({ changelogOffset: at, ...since }).then(() => options.onProgress?.(now))
    // The caller sees the failure at the next flush; until then it must not count as unhandled.
    pending.catch(() => {})
  }

  const refuseKey = (of: number): never => {
    throw new MillraceError('STREAM_INTERNAL', `store ${store.name}: changelog record at offset ${of} has no key`)
  }

  const takeRecords = async (list: readonly LogRecord[]): Promise<void> => {
    for (const { offset: of, key, value, timestamp } of list) {
      if (key === null) return refuseKey(of)
      loader.put(key, 0, key.length, value, 0, value === null ? -1 : value.length, timestamp)
      offset = of + 1
      records++
      if (loader.bytes >= LIMITS.restoreBatchBytes) await flush()
    }
  }

  const takeColumns = async (columns: RecordColumns): Promise<void> => {
    const { count, bytes, offsets, timestamps, keyAts, keyLengths, valueAts, valueLengths } = columns
    let size = 0
    for (let i = 0; i < count; i++) {
      if ((keyLengths[i] as number) < 0) refuseKey(offsets[i] as number)
      size += (keyLengths[i] as number) + Math.max(valueLengths[i] as number, 0)
    }
    // In the order of keys no row's offset can be the checkpoint: all of them go into one batch.
    const ordered = count <= ORDERED_MAX && size <= ORDERED_BYTES_MAX ? order(columns) : null
    for (let at = 0; at < count; at++) {
      const i = ordered === null ? at : (ordered[at] as number)
      const valueLength = valueLengths[i] as number
      const value = valueLength < 0 ? null : bytes
      loader.put(bytes, keyAts[i] as number, keyLengths[i] as number, value, valueAts[i] as number, valueLength, timestamps[i] as number)
      if (ordered !== null || loader.bytes < LIMITS.restoreBatchBytes) continue
      offset = (offsets[i] as number) + 1
      await flush()
    }
    records += count
  }

  try {
    for await (const chunk of source) {
      if ('columns' in chunk) await takeColumns(chunk.columns)
      else await takeRecords(chunk.records)
      offset = chunk.position
      if (loader.bytes >= LIMITS.restoreBatchBytes) await flush()
    }
    if (options.caughtUpAtMs !== undefined) since = { caughtUpAtMs: options.caughtUpAtMs }
    await flush()
  } finally {
    try {
      await pending
    } finally {
      await loader.close()
    }
  }
  return progress()
}

/** Of a store that has none of its own: the rows wait for `apply` as they are. */
function gathering(store: StateStore): Loader {
  let writes: Write[] = []
  let bytes = 0
  return {
    get bytes() {
      return bytes
    },
    put(key, keyAt, keyLength, value, valueAt, valueLength, timestamp) {
      writes.push({
        key: key.subarray(keyAt, keyAt + keyLength),
        value: value === null ? null : value.subarray(valueAt, valueAt + valueLength),
        timestamp,
      })
      bytes += 2 * keyLength + Math.max(valueLength, 0) + WRITE_COST_BYTES
    },
    async apply(checkpoint) {
      const all = writes
      writes = []
      bytes = 0
      await store.apply(all, checkpoint)
    },
    async close() {},
  }
}
