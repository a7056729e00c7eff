// One store of one task: committed bytes below, what the running epochs have written above. Reads go open epoch -> sealed epoch ->
// cache -> disk. Never writes to the disk but in `apply`, with what a commit has made true.
//
// Invariants
// 1. The disk and the cache hold committed values only (R1). `drop` therefore loses exactly what no barrier committed.
// 2. While a sealed epoch is being applied its entries are still read from the sealed map, so no read sees half of it.
// 3. What was read from disk for a key that was written meanwhile is not put into the cache: it may be older than the cache's entry. An
//    `apply` alone changes on the disk only what was open or sealed when the read began, which was not asked of it.
// 4. What is cached is a copy (row-cache.ts): a view of a fetched response would keep all of that alive.
// 5. `rollback` undoes the writes since `mark`, in reverse order.
import { keyBytes, keyText, prefixEnd } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { EpochRows } from './epoch-rows.ts'
import { Front } from './front.ts'
import { type Missing, type RangeRow, Ranges } from './ranges.ts'
import type { CacheBudget } from './cache-budget.ts'
import { RowCache } from './row-cache.ts'
import type { Checkpoint, ScanRange, StateStore, Stored, Write } from './store.ts'

/** What a write costs beside its bytes, at most: the key as text, its place in the map, its numbers. */
export const WRITE_COST_BYTES = 300

export interface OverlayOptions {
  readonly cacheEntriesMax?: number
  readonly cacheBytesMax?: number
  /** What it shares with other stores. */
  readonly cache?: CacheBudget
  readonly frontKeysMax?: number
  /** Length of the part of a key that `prefix` is asked for. Set: the open and sealed entries are indexed by it. */
  readonly prefixLength?: (key: Buffer) => number
}

export class Overlay {
  readonly store: StateStore
  /** Keys of prefetches: in memory already, or asked of the store. Once a batch, not once a read. */
  readonly figures = { hits: 0, misses: 0 }
  #open = new EpochRows()
  #openBytes = 0
  #markedBytes = 0
  #sealed: EpochRows | null = null
  readonly #cache: RowCache
  #applies = 0
  /** Writes and resets: what could make a read that is under way an old one. */
  #changes = 0
  readonly #rows = new Map<string, readonly (readonly [Buffer, Stored])[]>()
  readonly #prefixLength: ((key: Buffer) => number) | undefined
  readonly #openIndex = new Map<string, Set<string>>()
  #sealedIndex = new Map<string, Set<string>>()
  readonly #fronts = new Map<string, Front>()
  readonly #frontKeysMax: number

  /** From the first range on. */
  #ranges: Ranges | null = null

  constructor(store: StateStore, options: OverlayOptions = {}) {
    this.store = store
    this.#cache = new RowCache(
      options.cacheEntriesMax ?? LIMITS.cacheEntriesMax,
      options.cacheBytesMax ?? LIMITS.cacheBytesMax,
      options.cache ?? null,
    )
    this.#prefixLength = options.prefixLength
    this.#frontKeysMax = options.frontKeysMax ?? LIMITS.frontKeysMax
  }

  /** What the rows written in the open epoch cost. */
  get openBytes(): number {
    return this.#openBytes
  }

  get openEntries(): number {
    return this.#open.size
  }

  get(key: Buffer): Stored | undefined {
    const text = keyText(key)
    let written = this.#open.stored(text)
    if (written === undefined && this.#sealed !== null) written = this.#sealed.stored(text)
    if (written !== undefined) return written ?? undefined
    const cached = this.#cache.get(text)
    if (cached !== undefined) return cached === null ? undefined : cached
    const stored = this.store.getSync(key)
    this.#cache.set(text, stored ?? null)
    return stored
  }

  /** The row as it was last committed, for somebody who asks from outside: it does not count as used. Throws as the store's `getSync`. */
  committed(key: Buffer): Stored | undefined {
    const text = keyText(key)
    // What is being applied may be on the disk already: whoever has seen it there must not be answered from the cache behind it.
    const cached = this.#sealed?.has(text) === true ? undefined : this.#cache.peek(text)
    if (cached === undefined) return this.store.getSync(key)
    this.store.checkpoint() // refused where it is damaged or closed, as a read of it is
    return cached ?? undefined
  }

  /** A null value deletes. */
  put(key: Buffer, value: Buffer | null, timestamp: number): void {
    const text = keyText(key)
    this.#changes++
    this.#ranges?.writing(text)
    this.#open.put(text, key, value, timestamp)
    this.#openBytes += 2 * key.length + (value === null ? 0 : value.length) + WRITE_COST_BYTES
    if (this.#prefixLength !== undefined) indexInto(this.#openIndex, text.slice(0, this.#prefixLength(key)), text)
    if (this.#fronts.size > 0 && value !== null) this.#fronts.get(text[0] as string)?.add(text)
  }

  mark(): void {
    this.#ranges?.begin()
    this.#markedBytes = this.#openBytes
    this.#open.mark()
  }

  rollback(): void {
    this.#openBytes = this.#markedBytes // what is tried again and again must not fill the epoch
    this.#open.rollback((text) => {
      if (this.#fronts.size > 0) this.#fronts.get(text[0] as string)?.add(text) // it may have been taken for gone
    })
  }

  /** Reads what of these keys no layer holds, in one getMany, into the cache. */
  async prefetch(keys: readonly Buffer[]): Promise<void> {
    const wanted = new Map<string, Buffer>()
    for (const key of keys) {
      const text = keyText(key)
      if (this.#cache.touch(text) || this.#open.has(text) || this.#sealed?.has(text) === true) continue
      wanted.set(text, key)
    }
    this.figures.hits += keys.length - wanted.size
    this.figures.misses += wanted.size
    if (wanted.size === 0) return
    const changes = this.#changes
    const found = await this.store.getMany([...wanted.values()])
    if (changes !== this.#changes) return // invariant 3; the few keys are read one by one
    let i = 0
    for (const text of wanted.keys()) this.#cache.set(text, found[i++] ?? null)
  }

  /** All rows with this prefix, or null when they must be read from disk first (`fetchRows`). */
  prefix(prefix: Buffer): readonly (readonly [Buffer, Stored])[] | null {
    const text = keyText(prefix)
    const disk = this.#rows.get(text)
    if (disk === undefined) return null
    const merged = new Map<string, readonly [Buffer, Stored]>()
    for (const row of disk) merged.set(keyText(row[0]), row)
    if (this.#sealed !== null) mergeInto(merged, this.#sealed, this.#sealedIndex, text, this.#prefixLength !== undefined)
    mergeInto(merged, this.#open, this.#openIndex, text, this.#prefixLength !== undefined)
    return [...merged.entries()].sort((a, b) => (a[0] < b[0] ? -1 : 1)).map(([, row]) => row)
  }

  async fetchRows(prefix: Buffer): Promise<void> {
    for (;;) {
      const applies = this.#applies
      const rows: (readonly [Buffer, Stored])[] = []
      for await (const chunk of this.store.scan({ from: prefix, to: prefixEnd(prefix), toExclusive: true })) rows.push(...chunk)
      if (applies !== this.#applies) continue
      this.#rows.set(keyText(prefix), rows)
      return
    }
  }

  /** The lowest live key below `below` of the region of keys that begin with that byte; null: there is none; undefined: `fetchFront`
   *  must read from disk first. */
  first(region: number, below: Buffer): Buffer | null | undefined {
    const name = String.fromCharCode(region)
    const front = this.#fronts.get(name)
    if (front === undefined) return undefined
    const text = front.first(keyText(below), (candidate) => this.get(keyBytes(candidate)) !== undefined)
    return text === null || text === undefined ? text : keyBytes(text)
  }

  #newFront(name: string): Front {
    const front = new Front(name, this.#frontKeysMax)
    const addAll = (rows: EpochRows): void => {
      for (const text of rows.keys()) if (text[0] === name && rows.isLive(text)) front.add(text)
    }
    if (this.#sealed !== null) addAll(this.#sealed)
    front.seal()
    addAll(this.#open)
    this.#fronts.set(name, front)
    return front
  }

  /** Brings the next keys of a region to its front. */
  async fetchFront(region: number): Promise<void> {
    const name = String.fromCharCode(region)
    const front = this.#fronts.get(name) ?? this.#newFront(name)
    const from = front.knownTo
    if (from === null) return
    for (;;) {
      const applies = this.#applies
      let texts: string[] = []
      for await (const chunk of this.store.scan({ from: keyBytes(from), to: prefixEnd(Buffer.of(region)), toExclusive: true })) {
        texts = chunk.map(([key]) => keyText(key))
        break
      }
      if (applies !== this.#applies) continue // what was sealed then may be neither in the scan nor in the overlay
      const last = texts.at(-1)
      const to = last === undefined ? null : `${last}\0`
      front.extend(texts, to)
      return
    }
  }

  /** The rows of a range, the open and sealed writes among them. `missing` is called, and must throw, where rows must be fetched first. */
  range(range: ScanRange, missing: Missing): Generator<RangeRow, void, undefined> {
    this.#ranges ??= new Ranges(this.store, this.#open, this.#sealed)
    return this.#ranges.rows(range, missing)
  }

  /** Ranges of the rows as they are now, for somebody who does not write here. */
  ranges(): Ranges {
    return new Ranges(this.store, this.#open, this.#sealed)
  }

  /** Forgets the rows read by `fetchRows`: they hold for one batch only. */
  forgetRows(): void {
    if (this.#rows.size > 0) this.#rows.clear()
    this.#ranges?.forget()
  }

  /** The open epoch becomes the sealed one; its last write per key. */
  seal(): Iterable<Write> {
    if (this.#sealed !== null) throw new Error('an epoch is sealed already')
    this.#sealed = this.#open
    this.#sealed.mark()
    for (const front of this.#fronts.values()) front.seal()
    this.#sealedIndex = new Map(this.#openIndex)
    this.#openIndex.clear()
    this.#open = new EpochRows()
    this.#ranges?.seal(this.#open)
    this.#openBytes = 0
    this.#markedBytes = 0
    return this.#sealed.values()
  }

  /** The sealed epoch was committed: its entries go to the disk with the checkpoint. */
  async apply(checkpoint: Checkpoint): Promise<void> {
    const sealed = this.#sealed
    if (sealed === null) return
    if (sealed.size > 0) await this.store.apply([...sealed.values()], checkpoint)
    this.#applies++
    this.#rows.clear()
    this.#ranges?.applied()
    for (const text of sealed.keys()) this.#cache.set(text, sealed.stored(text) ?? null)
    this.#sealed = null
    this.#sealedIndex.clear()
    for (const front of this.#fronts.values()) front.applied()
  }

  /** Loses the open and the sealed epoch. */
  drop(): void {
    this.#open = new EpochRows()
    this.#openBytes = 0
    this.#markedBytes = 0
    this.#openIndex.clear()
    this.#sealed = null
    this.#sealedIndex.clear()
    this.#rows.clear()
    this.#fronts.clear()
    this.#ranges = null
  }

  /** Also forgets the cache: after the store was restored from its changelog. */
  reset(): void {
    this.drop()
    this.#cache.clear()
    this.#applies++
    this.#changes++
  }

  /** After its store was closed, or handed on. */
  close(): void {
    this.reset()
    this.#cache.close()
  }
}

function indexInto(index: Map<string, Set<string>>, prefix: string, text: string): void {
  const texts = index.get(prefix)
  if (texts === undefined) index.set(prefix, new Set([text]))
  else texts.add(text)
}

function mergeInto(
  rows: Map<string, readonly [Buffer, Stored]>,
  entries: EpochRows,
  index: Map<string, Set<string>>,
  prefix: string,
  indexed: boolean,
): void {
  const texts = indexed ? (index.get(prefix) ?? []) : entries.keys()
  for (const text of texts) {
    if (!text.startsWith(prefix)) continue
    const write = entries.get(text)
    if (write === undefined) continue // rolled back
    if (write.value === null) rows.delete(text)
    else rows.set(text, [write.key, write as Stored])
  }
}
