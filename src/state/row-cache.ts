// Committed rows of one store of one task, kept in memory: a cache of two generations. What is used moves to the young one; a full
// young one becomes the old one, and the old one is let go. Never grows beyond its bounds, never hands out bytes that change later.
//
// Invariants
// 1. The bytes of a row are copied into slabs that the cache owns: a row kept alone would keep alive whatever buffer it was cut from
//    (a page of Node's pool, a fetched response), and thousands of small buffers cost the collector more than the copy.
// 2. A slab is written once, front to back, and never used again: what was handed out stays as it was. What rows left behind when they
//    changed is thrown away, by copying the others, once it is more than they are.
import type { CacheBudget } from './cache-budget.ts'
import type { Stored } from './store.ts'

/** A row that takes more than a slab has its own. The first ones are smaller: most stores of a process that has just begun hold little. */
const SLAB_BYTES = 64 * 1024
const FIRST_SLAB_BYTES = 2 * 1024
const ROWS = 16
/** Left behind by changed rows without being worth a copy of the others. */
const SLACK_BYTES = 1024 * 1024
const ABSENT = -1
/** Of a row beside its bytes: the key's text, its place in the map and in the arrays. */
const ROW_COST_BYTES = 120

interface Generation {
  /** Key -> number of the row in the arrays. */
  readonly index: Map<string, number>
  slabs: Buffer[]
  /** Bytes used of the last slab. */
  used: number
  slabOf: Uint32Array
  startOf: Uint32Array
  /** ABSENT: the store is known not to have the row. */
  lengthOf: Int32Array
  timestampOf: Float64Array
  /** Of keys and of the rows as they are now. */
  bytes: number
  /** In slabs, of what rows were before. */
  left: number
}

export class RowCache {
  readonly #entriesMax: number
  readonly #bytesMax: number
  readonly #budget: CacheBudget | null
  #young: Generation = generation(ROWS)
  #old: Generation = generation(ROWS)

  /** Bounds of both generations together; `bytesMax` counts keys and values. */
  constructor(entriesMax: number, bytesMax: number, budget: CacheBudget | null = null) {
    this.#budget = budget
    budget?.join(this)
    this.#entriesMax = Math.max(1, entriesMax >> 1)
    this.#bytesMax = bytesMax / 2
  }

  /** Null: the store is known not to have it; undefined: not known. */
  get(key: string): Stored | null | undefined {
    const young = this.#young
    const at = young.index.get(key)
    if (at !== undefined) return row(young, at)
    const old = this.#old
    const before = old.index.get(key)
    if (before === undefined) return undefined
    const stored = row(old, before)
    this.#write(key, undefined, stored)
    return stored
  }

  /** As `get`, and nothing moves. */
  peek(key: string): Stored | null | undefined {
    const at = this.#young.index.get(key)
    if (at !== undefined) return row(this.#young, at)
    const before = this.#old.index.get(key)
    return before === undefined ? undefined : row(this.#old, before)
  }

  /** Whether it is known of; then it counts as used: it is about to be read. */
  touch(key: string): boolean {
    if (this.#young.index.has(key)) return true
    const old = this.#old
    const before = old.index.get(key)
    if (before === undefined) return false
    this.#write(key, undefined, row(old, before))
    return true
  }

  set(key: string, stored: Stored | null): void {
    this.#write(key, this.#young.index.get(key), stored)
  }

  /** `known`: its number in the young generation. */
  #write(key: string, known: number | undefined, stored: Stored | null): void {
    const young = this.#young
    let at = known
    if (at === undefined) {
      at = young.index.size
      if (at === young.lengthOf.length) grow(young, Math.min(this.#entriesMax, 4 * at))
      young.index.set(key, at)
      young.bytes += key.length
    } else forget(young, at)
    if (stored === null) young.lengthOf[at] = ABSENT
    else write(young, at, stored.value, stored.timestamp)
    if (young.left > SLACK_BYTES && young.left > young.bytes) compact(young)
    if (young.index.size >= this.#entriesMax || young.bytes >= this.#bytesMax) this.age()
    this.#budget?.spend(key.length + (stored === null ? 0 : stored.value.length) + ROW_COST_BYTES)
  }

  age(): void {
    this.#old = this.#young
    this.#young = generation(Math.max(ROWS, this.#old.index.size)) // as many as were used: an idle cache costs nothing
  }

  /** Its store is closed. */
  close(): void {
    this.clear()
    this.#budget?.leave(this)
  }

  clear(): void {
    this.#young = generation(ROWS)
    this.#old = generation(ROWS)
  }
}

function generation(rows: number): Generation {
  return {
    index: new Map(),
    slabs: [],
    used: 0,
    slabOf: new Uint32Array(rows),
    startOf: new Uint32Array(rows),
    lengthOf: new Int32Array(rows),
    timestampOf: new Float64Array(rows),
    bytes: 0,
    left: 0,
  }
}

function grow(of: Generation, rows: number): void {
  const { slabOf, startOf, lengthOf, timestampOf } = of
  of.slabOf = new Uint32Array(rows)
  of.slabOf.set(slabOf)
  of.startOf = new Uint32Array(rows)
  of.startOf.set(startOf)
  of.lengthOf = new Int32Array(rows)
  of.lengthOf.set(lengthOf)
  of.timestampOf = new Float64Array(rows)
  of.timestampOf.set(timestampOf)
}

function row(of: Generation, at: number): Stored | null {
  const length = of.lengthOf[at] as number
  if (length === ABSENT) return null
  const start = of.startOf[at] as number
  const slab = of.slabs[of.slabOf[at] as number] as Buffer
  return { value: slab.subarray(start, start + length), timestamp: of.timestampOf[at] as number }
}

function forget(of: Generation, at: number): void {
  const length = of.lengthOf[at] as number
  if (length <= 0) return
  of.bytes -= length
  of.left += length
}

function compact(of: Generation): void {
  const { slabs, lengthOf, slabOf, startOf, timestampOf } = of
  of.slabs = []
  of.used = 0
  of.left = 0
  for (let at = 0; at < of.index.size; at++) {
    const length = lengthOf[at] as number
    if (length === ABSENT) continue
    const start = startOf[at] as number
    of.bytes -= length
    write(of, at, (slabs[slabOf[at] as number] as Buffer).subarray(start, start + length), timestampOf[at] as number)
  }
}

function write(of: Generation, at: number, value: Buffer, timestamp: number): void {
  const { length } = value
  let start = of.used
  let last = of.slabs.at(-1)
  if (last === undefined || start + length > last.length) {
    last = Buffer.allocUnsafeSlow(Math.max(length, Math.min(SLAB_BYTES, FIRST_SLAB_BYTES * 2 ** of.slabs.length)))
    of.slabs.push(last)
    start = 0
  }
  const slab = of.slabs.length - 1
  last.set(value, start)
  of.used = start + length
  of.slabOf[at] = slab
  of.startOf[at] = start
  of.lengthOf[at] = length
  of.timestampOf[at] = timestamp
  of.bytes += length
}
