// The port of a key-value state store: committed bytes on some disk, nothing uncommitted ever (R1). One writer, no transactions
// but the one atomic `apply`. Implementations: memory.ts, leveldb.ts; both pass test/contract/store.contract.ts.
//
// Invariants
// 1. `apply` writes all entries and the checkpoint or nothing of them.
// 2. What `getSync`, `getMany` and `scan` answer was applied, byte for byte; damage is an error STREAM_STORE_DAMAGED, never a wrong value (R6).
// 3. After the first such error the store refuses every further call; whoever holds it closes it, sets it aside and restores (R5).

export interface Stored {
  readonly value: Buffer
  /** Epoch ms of the record that wrote it. */
  readonly timestamp: number
}

/** One write of an epoch; a null value deletes. */
export interface Write {
  readonly key: Buffer
  readonly value: Buffer | null
  readonly timestamp: number
}

/** Up to which changelog offset the content goes: the next offset to restore. -1: a store without a changelog. */
export interface Checkpoint {
  readonly changelogOffset: number
  /** Wall clock: no tombstone that the store needs was compacted away before that. Absent: it is not known. */
  readonly caughtUpAtMs?: number
}

/** Keys in the order of their bytes; `from` and `to` inclusive, null for an open end. */
export interface ScanRange {
  readonly from: Buffer | null
  readonly to: Buffer | null
  /** `to` itself is left out (for prefix ends). */
  readonly toExclusive?: boolean
  readonly reverse?: boolean
}

/** Rows on their way into the store, copied one by one out of bytes that lie anywhere; what is given at one `apply` is one batch. Nobody
 *  else writes to the store meanwhile. */
export interface Loader {
  /** Of what the next `apply` writes, about. */
  readonly bytes: number
  /** Key and value with where they lie; a null value deletes. Of several rows of a key the last counts. */
  put(key: Buffer, keyAt: number, keyLength: number, value: Buffer | null, valueAt: number, valueLength: number, timestamp: number): void
  /** Writes what was put since the call before, as the store's `apply` does; rows put from now on belong to the next one. */
  apply(checkpoint: Checkpoint): Promise<void>
  /** What was put and not written is lost. After the last `apply` has ended. */
  close(): Promise<void>
}

export interface StateStore {
  readonly name: string
  /** True when the content outlives the process. */
  readonly durable: boolean
  /** Why it refuses every further call (invariant 3); null while it is sound. */
  readonly damaged: string | null
  /** What the last `apply` said; null: an empty, never written store. */
  checkpoint(): Checkpoint | null
  getSync(key: Buffer): Stored | undefined
  /** One answer a key, in their order. */
  getMany(keys: readonly Buffer[]): Promise<(Stored | undefined)[]>
  /** Chunks of at most LIMITS.scanChunkEntries, from a snapshot taken at the call. */
  scan(range: ScanRange): AsyncIterable<readonly (readonly [key: Buffer, stored: Stored])[]>
  apply(writes: readonly Write[], checkpoint: Checkpoint): Promise<void>
  /** For many rows at once. Left out where `apply` is as good. */
  loader?(): Loader
  /** Approximate number of bytes on disk or in memory. */
  sizeBytes(): Promise<number>
  /** A clean close; a durable store remembers that it was clean (R8). */
  close(): Promise<void>
}

export interface OpenedStore {
  readonly store: StateStore
  /** Set when a damaged store was found and moved aside (`*.damaged`): the store is empty and must be restored. */
  readonly rebuilt: string | null
}

/** Opens and sets aside stores of one process. `task` is `<sub-topology>_<partition>`. */
export interface StoreProvider {
  open(task: string, store: string, persistent: boolean): Promise<OpenedStore>
  /** Moves a closed store's files away, so that the next `open` is empty. The reason goes to the log. `keep` false: they are removed,
   *  since nobody has to look at them, and nothing is said. */
  setAside(task: string, store: string, reason: string, keep?: boolean): Promise<void>
}
