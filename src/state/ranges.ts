// Ranges of one store of one task, read synchronously: rows from the disk, which are fetched in pieces before, merged with what the
// sealed and the open epoch have written. Never writes, never awaits but in `fetch`.
//
// Invariants
// 1. A range shows the store as of its start: what is written while it is read is not seen.
// 2. Rows from the disk hold until the next `apply`; they are kept while the record that asked for them is run again, those of other
//    ranges are forgotten by the next fetch. One record holds at most LIMITS.rangeBytesMax of them.
// 3. A range is used by the record that opened it: later it is refused.
import { keyBytes, keyText } from '../base/bytes.ts'
import { MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { type Ordered, ordered, type TextRange, take } from './ordered.ts'
import type { ScanRange, StateStore, Stored, Write } from './store.ts'

export type RangeRow = readonly [key: Buffer, stored: Stored]
interface Entries {
  get(text: string): Write | undefined
  keys(): Iterable<string>
}

/** What is thrown in the reader's place when rows must be fetched first. */
export type Missing = (fetch: () => Promise<void>) => never

/** Beside its bytes a row costs some objects. */
const ROW_BYTES = 200
const PIECE_ENTRIES = 64

interface Fetched {
  readonly rows: readonly (readonly [text: string, row: RangeRow])[]
  readonly complete: boolean
  readonly bytes: number
}

const NOTHING: Fetched = { rows: [], complete: false, bytes: 0 }

/** The rows of one epoch in a range, in order; null: none is left. */
class Cursor {
  readonly #entries: Entries
  readonly #order: Ordered
  #range: TextRange
  #piece: (readonly [string, Write])[] = []
  #at = 0
  #ended = false

  constructor(entries: Entries, order: Ordered, range: TextRange) {
    this.#entries = entries
    this.#order = order
    this.#range = range
  }

  get head(): readonly [string, Write] | null {
    while (this.#at >= this.#piece.length) {
      if (this.#ended) return null
      this.#piece = this.#take(PIECE_ENTRIES)
      this.#at = 0
    }
    return this.#piece[this.#at] as readonly [string, Write]
  }

  shift(): void {
    this.#at++
  }

  /** Takes all that is left, before something is written. */
  freeze(): void {
    if (this.#ended) return
    this.#piece = [...this.#piece.slice(this.#at), ...this.#take(Number.POSITIVE_INFINITY)]
    this.#at = 0
    this.#ended = true
  }

  #take(limit: number): (readonly [string, Write])[] {
    const texts = take(this.#order, this.#range, limit)
    const last = texts.at(-1)
    if (last === undefined || texts.length < limit) this.#ended = true
    else if (this.#range.reverse) this.#range = { ...this.#range, to: last, toExclusive: true }
    else this.#range = { ...this.#range, from: last, fromExclusive: true }
    return texts.flatMap((text) => {
      const write = this.#entries.get(text)
      return write === undefined ? [] : [[text, write] as const] // rolled back
    })
  }
}

export class Ranges {
  readonly #store: StateStore
  #open: { readonly entries: Entries; readonly order: Ordered }
  #sealed: { readonly entries: Entries; readonly order: Ordered } | null
  readonly #fetched = new Map<string, Fetched>()
  /** Ranges that the present record has looked at. */
  readonly #touched = new Set<string>()
  readonly #live = new Set<Cursor>()
  #record = 0
  #applies = 0

  constructor(store: StateStore, open: Entries, sealed: Entries | null) {
    this.#store = store
    this.#open = indexed(open)
    this.#sealed = sealed === null ? null : indexed(sealed)
  }

  /** A record begins. */
  begin(): void {
    this.#record++
    this.#live.clear()
    this.#touched.clear()
  }

  /** Before a key of the open epoch is written. */
  writing(text: string): void {
    if (this.#live.size > 0) {
      for (const cursor of this.#live) cursor.freeze()
      this.#live.clear()
    }
    this.#open.order.pending.set(text, true)
  }

  /** The open epoch is sealed, another begins. */
  seal(open: Entries): void {
    this.#sealed = this.#open
    this.#open = indexed(open)
  }

  applied(): void {
    this.#applies++
    this.#sealed = null
    this.#fetched.clear()
  }

  forget(): void {
    this.#fetched.clear()
  }

  rows(range: ScanRange, missing: Missing): Generator<RangeRow, void, undefined> {
    const open = new Cursor(this.#open.entries, this.#open.order, textRange(range))
    this.#live.add(open)
    const sealed = this.#sealed === null ? null : new Cursor(this.#sealed.entries, this.#sealed.order, textRange(range))
    this.#touched.add(nameOf(range))
    return this.#merge(range, open, sealed, missing)
  }

  *#merge(range: ScanRange, open: Cursor, sealed: Cursor | null, missing: Missing): Generator<RangeRow, void, undefined> {
    const id = nameOf(range)
    const reverse = range.reverse === true
    const record = this.#record
    let disk = this.#fetched.get(id) ?? NOTHING
    let at = 0
    for (;;) {
      if (record !== this.#record) throw new MillraceError('STREAM_CALLBACK', `store ${this.#store.name}: a range is used after its record`)
      if (at === disk.rows.length && !disk.complete) {
        disk = this.#fetched.get(id) ?? NOTHING
        if (at === disk.rows.length && !disk.complete) missing(() => this.#fetch(id, range))
      }
      const stored = disk.rows[at]
      const heads = [open.head, sealed?.head ?? null, stored ?? null] as const
      let first: string | null = null
      for (const head of heads) if (head !== null && (first === null || head[0] < first !== reverse)) first = head[0]
      if (first === null) break
      const write = heads[0]?.[0] === first ? heads[0][1] : heads[1]?.[0] === first ? heads[1][1] : null
      if (heads[0]?.[0] === first) open.shift()
      if (heads[1]?.[0] === first) sealed?.shift()
      if (stored?.[0] === first) at++
      if (write === null) yield (stored as NonNullable<typeof stored>)[1]
      else if (write.value !== null) yield [write.key, write as Stored]
    }
    this.#live.delete(open)
  }

  /** As many rows again as are there. */
  async #fetch(id: string, range: ScanRange): Promise<void> {
    for (const other of this.#fetched.keys()) if (!this.#touched.has(other)) this.#fetched.delete(other)
    const before = this.#fetched.get(id) ?? NOTHING
    const applies = this.#applies
    const rows = [...before.rows]
    let { bytes } = before
    let complete = true
    const wanted = Math.max(LIMITS.scanChunkEntries, rows.length) + rows.length
    const others = [...this.#fetched].reduce((sum, [name, other]) => sum + (name === id ? 0 : other.bytes), 0)
    for await (const chunk of this.#store.scan(behind(range, rows.at(-1)?.[0]))) {
      for (const row of chunk) {
        rows.push([keyText(row[0]), row])
        bytes += row[0].length + row[1].value.length + ROW_BYTES
      }
      if (bytes + others > LIMITS.rangeBytesMax) {
        const most = `${LIMITS.rangeBytesMax / 1024 / 1024} MiB`
        throw new MillraceError(
          'STREAM_RECORD_TOO_LARGE',
          `store ${this.#store.name}: the ranges that one record reads hold more than ${most}; read narrower ones`,
        )
      }
      if (rows.length >= wanted) {
        complete = false
        break
      }
    }
    // An `apply` came between: what is here is from before, what was there is of another state. The next try begins anew.
    if (applies === this.#applies && (this.#fetched.get(id) ?? NOTHING) === before) this.#fetched.set(id, { rows, complete, bytes })
  }
}

function indexed(entries: Entries): { readonly entries: Entries; readonly order: Ordered } {
  const order = ordered()
  for (const text of entries.keys()) order.pending.set(text, true)
  return { entries, order }
}

function textRange({ from, to, toExclusive = false, reverse = false }: ScanRange): TextRange {
  return { from: from === null ? null : keyText(from), to: to === null ? null : keyText(to), fromExclusive: false, toExclusive, reverse }
}

function nameOf(range: ScanRange): string {
  const { from, to, toExclusive, reverse } = textRange(range)
  return JSON.stringify([from, to, toExclusive, reverse])
}

/** What of the range lies behind a key. */
function behind(range: ScanRange, last: string | undefined): ScanRange {
  if (last === undefined) return range
  if (range.reverse === true) return { ...range, to: keyBytes(last), toExclusive: true }
  return { ...range, from: keyBytes(`${last}\0`) }
}
