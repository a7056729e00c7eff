// The rows of several tasks as one sequence, in the order of their keys' bytes: a scan a range and task, opened by whoever makes it. Rows come
// in chunks; no promise a row.
import type { Stored } from '../state/store.ts'
import type { Selection } from './reads.ts'

export type Entry = readonly [key: Buffer, stored: Stored]
type Chunks = AsyncIterator<readonly Entry[]>

/** One task's scans, one after the other, and that of the store's own row. */
export interface TaskRows {
  readonly chunks: readonly Chunks[]
  readonly own: Chunks | null
}

export class MergedRows {
  readonly #cursors: readonly Cursor[]
  readonly #takes: Selection['takes']
  readonly #reverse: boolean
  #least: Cursor | null = null

  constructor(tasks: readonly TaskRows[], { takes, reverse }: Selection) {
    this.#cursors = tasks.map((task) => new Cursor(task))
    this.#takes = takes
    this.#reverse = reverse
  }

  async begin(): Promise<void> {
    for (const cursor of this.#cursors) await cursor.begin()
    this.#choose()
  }

  /** The row that is next; null at the end. */
  get head(): Entry | null {
    return this.#least?.head ?? null
  }

  /** Whether the head is one of those asked for. */
  get isTaken(): boolean {
    const { head, own } = this.#least as Cursor
    return this.#takes((head as Entry)[0], own)
  }

  /** Goes on to the next row: at once (null), or when it has been read. */
  next(): Promise<void> | null {
    const cursor = this.#least as Cursor
    if (!cursor.more()) return cursor.advance().then(() => this.#choose())
    cursor.step()
    this.#choose()
    return null
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#cursors.map((cursor) => cursor.close()))
  }

  #choose(): void {
    let least: Cursor | null = null
    for (const cursor of this.#cursors) {
      if (cursor.head === null) continue
      if (least?.head == null || cursor.head[0].compare(least.head[0]) < 0 !== this.#reverse) least = cursor
    }
    this.#least = least
  }
}

/** One task's rows. */
class Cursor {
  head: Entry | null = null
  own: Stored | null = null
  readonly #rows: TaskRows
  #range = 0
  #chunk: readonly Entry[] = []
  #at = 0

  constructor(rows: TaskRows) {
    this.#rows = rows
  }

  async begin(): Promise<void> {
    const found = await this.#rows.own?.next()
    this.own = found === undefined || found.done === true ? null : (found.value[0]?.[1] ?? null)
    await this.advance()
  }

  more(): boolean {
    return this.#at + 1 < this.#chunk.length
  }

  step(): void {
    this.head = this.#chunk[++this.#at] as Entry
  }

  /** To the next chunk's first row; none: `head` is null. */
  async advance(): Promise<void> {
    this.#chunk = []
    this.#at = 0
    while (this.#chunk.length === 0) {
      const chunks = this.#rows.chunks[this.#range]
      if (chunks === undefined) break
      const { value, done } = await chunks.next()
      if (done === true) this.#range++
      else this.#chunk = value
    }
    this.head = this.#chunk[0] ?? null
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#rows.chunks, this.#rows.own].map((chunks) => chunks?.return?.()))
  }
}
