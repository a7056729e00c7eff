// The way of many rows into a LevelDB store: each goes into LevelDB's own batch as it comes. A batch that was written is filled again:
// its memory is there already, while a new one grows anew (160 against 450 ns a row). What a store may do is the store's to decide.
//
// Invariants
// 1. One batch is filled while the one before is written; another one is made only when that is not enough.
// 2. A batch that could not be written is never filled again.
import type { BytesBatch, FramePlace } from './frame-place.ts'
import { FRAME_BYTES } from './framing.ts'
import type { Checkpoint, Loader } from './store.ts'

/** The package's batch, by its inner names: it may be written again and again. */
export interface LevelBatch extends BytesBatch {
  _clear(): void
  _write(options: { readonly sync: boolean }): Promise<void>
  close(): Promise<void>
}

/** What LevelDB puts around a row: a tag, two lengths. */
const ENTRY_BYTES = 5

export interface LevelLoaderOptions {
  /** The store's: nothing is kept in it from one row to the next. */
  readonly place: FramePlace
  readonly batch: () => LevelBatch
  /** In the order of the calls. */
  readonly write: (batch: LevelBatch, checkpoint: Checkpoint) => Promise<void>
}

export function levelLoader({ place, batch: newBatch, write }: LevelLoaderOptions): Loader {
  const free: LevelBatch[] = []
  let batch = newBatch()
  let bytes = 0
  return {
    get bytes() {
      return bytes
    },
    put(key, keyAt, keyLength, value, valueAt, valueLength, timestamp) {
      place.put(batch, key, keyAt, keyLength, value, valueAt, valueLength, timestamp)
      bytes += ENTRY_BYTES + keyLength + (value === null ? 0 : FRAME_BYTES + valueLength)
    },
    async apply(checkpoint) {
      const full = batch
      batch = free.pop() ?? newBatch()
      bytes = 0
      try {
        await write(full, checkpoint)
      } catch (error) {
        await full.close()
        throw error
      }
      full._clear()
      free.push(full)
    },
    async close() {
      await Promise.all([batch, ...free.splice(0)].map((of) => of.close()))
    },
  }
}
