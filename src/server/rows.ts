// Rows of stores as HTTP answers: a key, a range. From committed state only.
//
// Invariants
// 1. A range is of one epoch: the snapshots of all its tasks are taken in one turn, while no epoch is being applied.
// 2. A range is whole: it is refused while a task of the store is not here, never answered without its rows.
// 3. Both ends are inclusive, the order is that of the keys' bytes across all tasks. `next` is the first key that is not in the answer.
import { asBuffer, prefixEnd } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { whenThere } from '../base/not-yet.ts'
import { parseKey } from '../control/records.ts'
import { exactBigint } from '../control/serdes.ts'
import { encodeKey, type QueryableStore, taskPartition } from '../runtime/query.ts'
import { taskId } from '../runtime/recover.ts'
import type { AnySerde } from '../serde/serde.ts'
import { isRowSerde, WINDOW } from '../serde/window-rows.ts'
import type { ScanRange, StateStore, Stored } from '../state/store.ts'
import { Refusal } from './refusal.ts'
import type { Served } from './served.ts'

export interface RangeQuery {
  readonly from: string | null
  readonly to: string | null
  /** Of the key's bytes, as UTF-8 text. */
  readonly prefix: string | null
  readonly limit: number
}

/** The task of a key, and the key's bytes. Throws a Refusal while the topics are not known. */
export function placeOf(served: Served, store: QueryableStore, keyText: string): { readonly task: string; readonly bytes: Buffer } {
  const sized = served.sized()
  if (sized === null) throw new Refusal('NOT_READY')
  try {
    const key = parseKey(keyText, store.spec.key)
    const partition = taskPartition(store, key, sized.tasks[store.subTopology] as number)
    return { task: taskId(store.subTopology, partition), bytes: encodeKey(store, key) }
  } catch {
    throw new Refusal('BAD_REQUEST')
  }
}

/** The answer's JSON. Refused with NOT_READY where the key's task is not here. */
export function keyAnswer(served: Served, store: QueryableStore, task: string, bytes: Buffer): string {
  const held = heldStore(served, task, store.name)
  if (held === null) throw new Refusal('NOT_READY')
  const stored = held.getSync(bytes)
  const row = stored === undefined ? null : rowText(store, bytes, stored)
  if (row === null) throw new Refusal('NOT_FOUND')
  return row
}

export async function rangeAnswer(served: Served, store: QueryableStore, query: RangeQuery): Promise<string> {
  const range = scanRange(store, query)
  const cursors = await snapshots(served, store, range)
  const rows: string[] = []
  let bytes = 0
  let seen = 0
  let next: string | null = null
  try {
    for (const cursor of cursors) await cursor.advance()
    for (;;) {
      const least = leastOf(cursors)
      if (least === null) break
      const [key, stored] = least.head as Entry
      seen++
      const row = await whenThere(() => rowText(store, key, stored))
      const full = rows.length >= query.limit || (row !== null && rows.length > 0 && bytes + row.length > LIMITS.answerBytesMax)
      if ((row !== null && full) || seen > LIMITS.answerScanRowsMax) {
        next = cursorText(key, store.spec.key)
        break
      }
      if (row !== null) {
        rows.push(row)
        bytes += row.length + 1
      }
      if (least.more()) least.step()
      else await least.advance()
    }
  } finally {
    await Promise.allSettled(cursors.map((cursor) => cursor.close()))
  }
  return `{"entries":[${rows.join(',')}]${next === null ? '' : `,"next":${JSON.stringify(next)}`}}`
}

export function heldStore(served: Served, task: string, name: string): StateStore | null {
  return (
    served
      .tasks()
      .get(task)
      ?.stores.find((held) => held.name === name)?.overlay.store ?? null
  )
}

/** Null: the row is only a remembered delete. */
function rowText(store: QueryableStore, key: Buffer, stored: Stored): string | null {
  const value = store.rowOf(stored)
  if (value === null || value === undefined) return null
  const { key: keySerde, value: valueSerde } = store.spec
  return JSON.stringify({ key: jsonOf(keySerde, keySerde.decode(key)), value: jsonOf(valueSerde, value) }, exactBigint)
}

function jsonOf(serde: AnySerde, value: unknown): unknown {
  return serde.toJson === undefined ? value : serde.toJson(value)
}

function keyBytesOf(store: QueryableStore, text: string): Buffer {
  try {
    return encodeKey(store, parseKey(text, store.spec.key))
  } catch {
    throw new Refusal('BAD_REQUEST')
  }
}

/** A text that `from` understands as this very key. */
function cursorText(key: Buffer, serde: AnySerde): string {
  const json = jsonOf(serde, serde.decode(key))
  for (const text of [typeof json === 'string' ? json : null, JSON.stringify(json, exactBigint)]) {
    if (text !== null && asBuffer(serde.encode(parseKey(text, serde))).equals(key)) return text
  }
  throw new Refusal('INTERNAL')
}

function scanRange(store: QueryableStore, { from, to, prefix }: RangeQuery): ScanRange {
  const ranges: ScanRange[] = [
    store.range, // other things may lie beside the rows
    { from: from === null ? null : keyBytesOf(store, from), to: to === null ? null : keyBytesOf(store, to) },
  ]
  if (prefix !== null) {
    const text = Buffer.from(prefix, 'utf8')
    const start = isRowSerde(store.spec.key) ? Buffer.concat([Buffer.of(WINDOW), text]) : text
    ranges.push({ from: start, to: prefixEnd(start), toExclusive: true })
  }
  return ranges.reduce(meet)
}

/** What lies in both. */
function meet(a: ScanRange, b: ScanRange): ScanRange {
  const from = a.from === null || (b.from !== null && b.from.compare(a.from) > 0) ? b.from : a.from
  if (a.to === null) return { ...b, from }
  if (b.to === null) return { ...a, from }
  const order = a.to.compare(b.to)
  return order < 0 || (order === 0 && a.toExclusive === true) ? { ...a, from } : { ...b, from }
}

type Entry = readonly [key: Buffer, stored: Stored]

/** One task's scan. */
class Cursor {
  head: Entry | null = null
  readonly #chunks: AsyncIterator<readonly Entry[]>
  #chunk: readonly Entry[] = []
  #at = 0

  constructor(chunks: AsyncIterator<readonly Entry[]>) {
    this.#chunks = chunks
  }

  more(): boolean {
    return this.#at + 1 < this.#chunk.length
  }

  step(): void {
    this.head = this.#chunk[++this.#at] as Entry
  }

  /** To the next chunk's first row; none: `head` is null. */
  async advance(): Promise<void> {
    const { value, done } = await this.#chunks.next()
    this.#chunk = done === true ? [] : value
    this.#at = 0
    this.head = this.#chunk[0] ?? null
  }

  async close(): Promise<void> {
    await this.#chunks.return?.()
  }
}

function leastOf(cursors: readonly Cursor[]): Cursor | null {
  let least: Cursor | null = null
  for (const cursor of cursors) {
    if (cursor.head !== null && (least?.head == null || cursor.head[0].compare(least.head[0]) < 0)) least = cursor
  }
  return least
}

/** Invariants 1 and 2. */
async function snapshots(served: Served, store: QueryableStore, range: ScanRange): Promise<Cursor[]> {
  const { clock, timers } = served.world
  const giveUp = clock.monotonic() + LIMITS.answerWaitMs
  while (served.applying()) {
    if (clock.monotonic() > giveUp) throw new Refusal('NOT_READY')
    await timers.sleep(1)
  }
  const sized = served.sized()
  if (sized === null) throw new Refusal('NOT_READY')
  const held: StateStore[] = []
  for (let partition = 0; partition < (sized.tasks[store.subTopology] as number); partition++) {
    const one = heldStore(served, taskId(store.subTopology, partition), store.name)
    if (one === null) throw new Refusal('NOT_READY')
    held.push(one)
  }
  if (range.from !== null && range.to !== null) {
    const order = range.from.compare(range.to)
    if (order > 0 || (order === 0 && range.toExclusive === true)) return []
  }
  return held.map((one) => new Cursor(one.scan(range)[Symbol.asyncIterator]()))
}
