// What one epoch has written to one store: the last write of each key. It lives as long as the epoch, which is longer than the
// collector's young generation lasts: so keys and values lie in slabs, and of a row the collector sees its text in the map only.
// Never touches a disk.
//
// Invariants
// 1. Bytes are copied in and are never changed afterwards, but for those of an undone piece: they are written over. A row of the piece
//    that runs is therefore handed out as a copy.
// 2. `rollback` undoes the writes since `mark`, in reverse order; what is tried again and again takes no more memory than once.
// 3. What rows left behind that were written again is let go, by copying the others, once it is more than they are: a long row that every record
//    writes must not be there a thousand times.
// 4. `values` has the keys in the order in which they were written first, as a Map has.
import type { Stored, Write } from './store.ts'

/** The first slab, of an epoch that writes little; each one has twice as much as the one before, up to 64 KiB. */
const SLAB_BYTES_MIN = 2 * 1024
const DOUBLINGS = 5
const ROWS_MIN = 64
const NO_VALUE = -1
/** Left behind without being worth a copy of the others. */
const SLACK_BYTES = 1024 * 1024
/** Numbers of a row: slab, where it begins, length of the key, of the value. */
const STRIDE = 4
/** Each store has a new one with each epoch, and most write nothing. */
const NO_NUMBERS = new Int32Array(0)
const NO_TIMESTAMPS = new Float64Array(0)

export class EpochRows {
  readonly #index = new Map<string, number>()
  /** Texts and what they stood for, since `mark`. */
  readonly #journal: (string | number)[] = []
  #rows = NO_NUMBERS
  #timestamps = NO_TIMESTAMPS
  #count = 0
  #slabs: Buffer[] = []
  /** Of the last slab. */
  #used = 0
  /** Of keys and values of all rows, and of those that were written again since. */
  #bytes = 0
  #left = 0
  #marked = { count: 0, slabs: 0, used: 0, bytes: 0, left: 0 }
  readonly #slackBytes: number

  constructor(slackBytes = SLACK_BYTES) {
    this.#slackBytes = slackBytes
  }

  /** What its keys and values take, those that were written again among them. */
  get bytes(): number {
    return this.#bytes
  }

  get size(): number {
    return this.#index.size
  }

  has(text: string): boolean {
    return this.#index.has(text)
  }

  keys(): IterableIterator<string> {
    return this.#index.keys()
  }

  get(text: string): Write | undefined {
    const row = this.#index.get(text)
    return row === undefined ? undefined : this.#at(row)
  }

  /** Written, and not deleted. */
  isLive(text: string): boolean {
    const row = this.#index.get(text)
    return row !== undefined && this.#rows[row * STRIDE + 3] !== NO_VALUE
  }

  /** Without its key. Null: deleted; undefined: not written. */
  stored(text: string): Stored | null | undefined {
    const row = this.#index.get(text)
    if (row === undefined) return undefined
    const at = row * STRIDE
    const length = this.#rows[at + 3] as number
    if (length === NO_VALUE) return null
    const start = (this.#rows[at + 1] as number) + (this.#rows[at + 2] as number)
    const value = (this.#slabs[this.#rows[at] as number] as Buffer).subarray(start, start + length)
    return { value: row < this.#marked.count ? value : Buffer.from(value), timestamp: this.#timestamps[row] as number }
  }

  put(text: string, key: Buffer, value: Buffer | null, timestamp: number): void {
    const before = this.#index.get(text)
    this.#journal.push(text, before ?? -1)
    if (before !== undefined) this.#left += this.#lengthOf(before)
    this.#index.set(text, this.#write(key, value, timestamp))
  }

  *values(): Generator<Write, void, undefined> {
    for (const row of this.#index.values()) yield this.#at(row)
  }

  mark(): void {
    this.#journal.length = 0
    if (this.#left > this.#slackBytes && this.#left > this.#bytes - this.#left) this.#compact()
    const marked = this.#marked
    marked.count = this.#count
    marked.slabs = this.#slabs.length
    marked.used = this.#used
    marked.bytes = this.#bytes
    marked.left = this.#left
  }

  /** `undone` hears of each key whose write is taken back. */
  rollback(undone: (text: string) => void): void {
    const journal = this.#journal
    for (let i = journal.length - 2; i >= 0; i -= 2) {
      const text = journal[i] as string
      const before = journal[i + 1] as number
      if (before < 0) this.#index.delete(text)
      else this.#index.set(text, before)
      undone(text)
    }
    journal.length = 0
    const { count, slabs, used, bytes, left } = this.#marked
    this.#count = count
    this.#slabs.length = slabs
    this.#used = used
    this.#bytes = bytes
    this.#left = left
  }

  #at(row: number): Write {
    const rows = this.#rows
    const at = row * STRIDE
    const slab = this.#slabs[rows[at] as number] as Buffer
    const start = rows[at + 1] as number
    const end = start + (rows[at + 2] as number)
    const length = rows[at + 3] as number
    const timestamp = this.#timestamps[row] as number
    const key = slab.subarray(start, end)
    const value = length === NO_VALUE ? null : slab.subarray(end, end + length)
    if (row < this.#marked.count) return { key, value, timestamp }
    return { key: Buffer.from(key), value: value === null ? null : Buffer.from(value), timestamp }
  }

  #lengthOf(row: number): number {
    const at = row * STRIDE
    return (this.#rows[at + 2] as number) + Math.max(0, this.#rows[at + 3] as number)
  }

  /** Between two pieces. What was handed out keeps its slab. */
  #compact(): void {
    const live = [...this.#index]
    const writes = live.map(([, row]) => this.#at(row))
    this.#rows = NO_NUMBERS
    this.#timestamps = NO_TIMESTAMPS
    this.#slabs = []
    this.#count = 0
    this.#used = 0
    this.#bytes = 0
    this.#left = 0
    live.forEach(([text], i) => {
      const { key, value, timestamp } = writes[i] as Write
      this.#index.set(text, this.#write(key, value, timestamp))
    })
  }

  /** The number of the row. */
  #write(key: Buffer, value: Buffer | null, timestamp: number): number {
    const row = this.#count++
    if (row === this.#timestamps.length) this.#grow()
    const length = value === null ? 0 : value.length
    const bytes = key.length + length
    let start = this.#used
    let last = this.#slabs.length - 1
    let slab = this.#slabs[last]
    if (slab === undefined || start + bytes > slab.length) {
      slab = Buffer.allocUnsafeSlow(Math.max(bytes, SLAB_BYTES_MIN << Math.min(++last, DOUBLINGS)))
      this.#slabs.push(slab)
      start = 0
    }
    slab.set(key, start)
    if (value !== null) slab.set(value, start + key.length)
    this.#used = start + bytes
    this.#bytes += bytes
    const rows = this.#rows
    const at = row * STRIDE
    rows[at] = last
    rows[at + 1] = start
    rows[at + 2] = key.length
    rows[at + 3] = value === null ? NO_VALUE : length
    this.#timestamps[row] = timestamp
    return row
  }

  #grow(): void {
    const count = Math.max(ROWS_MIN, this.#timestamps.length * 2)
    const rows = new Int32Array(count * STRIDE)
    rows.set(this.#rows)
    this.#rows = rows
    const timestamps = new Float64Array(count)
    timestamps.set(this.#timestamps)
    this.#timestamps = timestamps
  }
}
