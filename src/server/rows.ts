// Rows of stores as HTTP answers: a key, a range, windows, versions. From committed state only.
//
// Invariants
// 1. An answer is of one epoch of each worker that gives rows (runtime/reads.ts).
// 2. A range is whole: what is not here is asked of the processes that have it (gather.ts), or it is refused; never answered without its rows.
// 3. Both ends are inclusive, the order is that of the bytes of the rows' keys across all tasks. `next` is where the following answer begins.
import { LIMITS } from '../base/limits.ts'
import { partitionOf } from '../base/murmur2.ts'
import { nowOrWhenThere, whenThere } from '../base/not-yet.ts'
import { parseKeyBytes } from '../control/parse-key.ts'
import { jsonText } from '../control/serdes.ts'
import type { RowPart } from './gather.ts'
import { type QueryableStore, taskPartition } from '../runtime/query.ts'
import {
  openRows,
  rangeSelection,
  rowIn,
  type Selection,
  storeOf,
  type VersionReads,
  versionsIn,
  type WindowAsk,
  windowSelection,
} from '../runtime/reads.ts'
import type { AnySerde } from '../serde/serde.ts'
import { isRowSerde } from '../serde/window-rows.ts'
import type { Stored } from '../state/store.ts'
import { NOT_FOUND, Refusal } from './refusal.ts'
import type { Served } from './served.ts'

export interface RangeQuery {
  readonly from: string | null
  readonly to: string | null
  /** Of the key's bytes, as UTF-8 text. */
  readonly prefix: string | null
  readonly limit: number
}

export interface WindowQuery {
  /** One key, or those between two; null: open. */
  readonly key: string | null
  readonly keyFrom: string | null
  readonly keyTo: string | null
  /** Epoch ms. */
  readonly from: number
  readonly to: number
  readonly cursor: string | null
  readonly limit: number
}

export interface VersionQuery {
  readonly from: number
  readonly to: number
  readonly limit: number
}

export interface KeyPlace {
  readonly partition: number
  readonly bytes: Buffer
}

/** The partition of a key, and the key's bytes. Throws a Refusal while the topics are not known. */
export function placeOf(served: Served, store: QueryableStore, keyText: string): KeyPlace {
  return placed(served, store, keyText, store.spec.key)
}

function placed(served: Served, store: QueryableStore, text: string, serde: AnySerde): KeyPlace {
  const sized = served.sized()
  if (sized === null) throw new Refusal('NOT_READY')
  try {
    const { key, bytes } = parseKeyBytes(text, serde)
    if (store.subTopology < 0) return { partition: 0, bytes }
    const tasks = sized.tasks[store.subTopology] as number
    if (serde !== store.spec.key) return { partition: taskPartition(store, { key, start: 0, end: 0 }, tasks), bytes }
    return { partition: isRowSerde(serde) ? taskPartition(store, key, tasks) : partitionOf(bytes, tasks), bytes }
  } catch {
    throw new Refusal('BAD_REQUEST')
  }
}

/** Likewise of a key whose windows are asked for. */
export function windowPlaceOf(served: Served, store: QueryableStore, keyText: string): KeyPlace {
  const { windows } = store
  if (windows === null) throw new Refusal('NOT_FOUND')
  return placed(served, store, keyText, windows.inner)
}

/** The answer's JSON, at once where nothing is lacking: a store of this thread is not worth a promise. Refused where the key's task is not here. */
export function keyAnswer(served: Served, store: QueryableStore, { partition, bytes }: KeyPlace): string | Promise<string> {
  const { windows } = store
  const own = windows?.own ?? null
  const answer = (stored: Stored | undefined, clock: Stored | undefined): string => {
    const isOver = windows?.isOver(windows.parts(bytes).time, clock ?? null) === true
    const row = stored === undefined || isOver ? null : rowText(store, bytes, stored)
    if (row === null) throw NOT_FOUND
    return row
  }
  if (own === null && served.remote !== true) {
    const row = rowIn(served, store, partition, bytes)
    return nowOrWhenThere(() => answer(row, undefined))
  }
  const held = storeOf(served, store, partition)
  const keys = own === null ? [bytes] : [bytes, own]
  // A thread's answer is not waited for with the event loop held up.
  if (served.remote === true) return held.getMany(keys).then(([row, clock]) => whenThere(() => answer(row, clock)))
  const [row, clock] = keys.map((key) => held.getSync(key))
  return nowOrWhenThere(() => answer(row, clock))
}

/** Which rows a request asks for, and how its answer goes on. */
export interface RowsQuery {
  readonly selection: Selection
  readonly resume: Buffer | null
  readonly limit: number
  /** Of the key of the first row that is left out, for the following request. */
  nextOf(key: Buffer): string
}

export function rangeRows(store: QueryableStore, query: RangeQuery): RowsQuery {
  const prefix = query.prefix === null ? null : Buffer.from(query.prefix, 'utf8')
  const bound = (text: string | null): Buffer | null => (text === null ? null : keyBytesOf(text, store.spec.key))
  const selection = rangeSelection(store, { from: bound(query.from), to: bound(query.to), prefix })
  return { selection, resume: null, limit: query.limit, nextOf: (key) => cursorText(key, store.spec.key) }
}

/** Windows by start and key; of a store that a processor writes by key within a time that it chooses. */
export function windowRows(served: Served, store: QueryableStore, query: WindowQuery): RowsQuery {
  const { windows } = store
  if (windows === null) throw new Refusal('NOT_FOUND')
  const bound = (text: string | null): Buffer | null => (text === null ? null : keyBytesOf(text, windows.inner))
  const keysOf = (): WindowAsk['keys'] => {
    if (query.key === null) return { from: bound(query.keyFrom), to: bound(query.keyTo) }
    const { bytes, partition } = windowPlaceOf(served, store, query.key)
    return { only: bytes, partition }
  }
  const selection = windowSelection(store, { keys: keysOf(), from: query.from, to: query.to })
  const resume = query.cursor === null ? null : Buffer.from(query.cursor, 'base64url')
  return { selection, resume, limit: query.limit, nextOf: (key) => key.toString('base64url') }
}

export async function asOfAnswer(served: Served, store: QueryableStore, place: KeyPlace, asOf: number): Promise<string> {
  const found = await versionsOf(served, store, place, (versions) => versions.at(place.bytes, asOf))
  if (found === undefined || found.value === null) throw new Refusal('NOT_FOUND')
  const { value: stored, timestamp } = found
  const value = await whenThere(() => store.spec.value.decode(stored))
  return jsonText({ ...shownRow(store, place.bytes, value), timestamp })
}

/** A key's versions, the latest first; null says that there was no row from then on. */
export async function versionsAnswer(served: Served, store: QueryableStore, place: KeyPlace, query: VersionQuery): Promise<string> {
  const { value } = store.spec
  const rows: string[] = []
  let bytes = 0
  let next: string | null = null
  let until = 0
  for (const version of await versionsOf(served, store, place, (of) => of.between(place.bytes, query.from, query.to))) {
    const { value: stored } = version
    const shown = stored === null ? null : await whenThere(() => jsonOf(value, value.decode(stored)))
    const row = jsonText({ value: shown, timestamp: version.timestamp })
    if (rows.length >= query.limit || (rows.length > 0 && bytes + row.length > LIMITS.answerBytesMax)) {
      next = String(until - 1) // when it still held: at its own time it may be forgotten
      break
    }
    rows.push(row)
    bytes += row.length + 1
    until = version.timestamp
  }
  return entries(rows, next)
}

async function versionsOf<T>(served: Served, store: QueryableStore, place: KeyPlace, read: (versions: VersionReads) => T): Promise<T> {
  if (store.versions === null) throw new Refusal('NOT_FOUND')
  return await versionsIn(served, store, store.versions, place, read)
}

/** The rows that are here; `partitions`: of the tasks of these, and of no others. */
export async function rowsHere(
  served: Served,
  store: QueryableStore,
  { selection, resume, limit }: RowsQuery,
  partitions: readonly number[] | null,
): Promise<RowPart> {
  const merged = await openRows(served, store, selection, { resume, partitions })
  const rows: [Buffer, string][] = []
  let bytes = 0
  let seen = 0
  let next: Buffer | null = null
  try {
    for (let head = merged.head; head !== null; head = merged.head) {
      const [key, stored] = head
      seen++
      const row = merged.isTaken ? await whenThere(() => rowText(store, key, stored)) : null
      const full = rows.length >= limit || (row !== null && rows.length > 0 && bytes + row.length > LIMITS.answerBytesMax)
      if ((row !== null && full) || seen > LIMITS.answerScanRowsMax) {
        next = key
        break
      }
      if (row !== null) {
        rows.push([key, row])
        bytes += row.length + 1
      }
      const reading = merged.next()
      if (reading !== null) await reading
    }
  } finally {
    await merged.close()
  }
  return { partitions: partitions ?? [], rows, next }
}

/** The answer's JSON. The key of the next page may be another process's, of a schema that was not met here before. */
export function rowsAnswer({ rows, next }: Pick<RowPart, 'rows' | 'next'>, { nextOf }: Pick<RowsQuery, 'nextOf'>): Promise<string> {
  return whenThere(() =>
    entries(
      rows.map(([, row]) => row),
      next === null ? null : nextOf(next),
    ),
  )
}

function entries(rows: readonly string[], next: string | null): string {
  return `{"entries":[${rows.join(',')}]${next === null ? '' : `,"next":${JSON.stringify(next)}`}}`
}

/** Null: the row is only a remembered delete. */
function rowText(store: QueryableStore, key: Buffer, stored: Stored): string | null {
  const written = store.writtenOf(stored)
  if (written !== null) {
    const shown = jsonOf(store.spec.key, store.spec.key.decode(key))
    if (typeof shown === 'string') return `{"key":${JSON.stringify(shown)},"value":${written}}`
  }
  const value = store.rowOf(stored)
  return value === null || value === undefined ? null : jsonText(shownRow(store, key, value))
}

function shownRow({ spec }: QueryableStore, key: Buffer, value: unknown): object {
  return { key: jsonOf(spec.key, spec.key.decode(key)), value: jsonOf(spec.value, value) }
}

function jsonOf(serde: AnySerde, value: unknown): unknown {
  return serde.toJson === undefined ? value : serde.toJson(value)
}

function keyBytesOf(text: string, serde: AnySerde): Buffer {
  try {
    return parseKeyBytes(text, serde).bytes
  } catch {
    throw new Refusal('BAD_REQUEST')
  }
}

/** A text that `from` understands as this very key. */
function cursorText(key: Buffer, serde: AnySerde): string {
  const json = jsonOf(serde, serde.decode(key))
  for (const text of [typeof json === 'string' ? json : null, jsonText(json)]) {
    if (text !== null && parseKeyBytes(text, serde).bytes.equals(key)) return text
  }
  throw new Refusal('INTERNAL')
}
