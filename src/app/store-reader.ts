// Reads of a running processor's stores: committed rows of the tasks that run in this process.
//
// Invariants
// 1. What one call gives is of one epoch (runtime/reads.ts).
// 2. A store that is being restored is STREAM_STORE_RESTORING, a key whose task is elsewhere STREAM_NOT_LOCAL. A range leaves out the tasks that
//    run elsewhere, never one that is being restored here.
import { asBuffer } from '../base/bytes.ts'
import { MillraceError } from '../base/errors.ts'
import { NotYet, whenThere } from '../base/not-yet.ts'
import type { Windowed } from '../base/window.ts'
import type { VersionReads } from '../operators/index.ts'
import { encodeKey, type QueryableStore, queryableNames, queryableStore, taskPartition } from '../runtime/query.ts'
import {
  type Holder,
  openRows,
  rangeSelection,
  type Selection,
  storeOf,
  versionsIn,
  type WindowAsk,
  windowSelection,
} from '../runtime/reads.ts'
import type { StateStore, Stored } from '../state/store.ts'
import type { Plan } from '../topology/plan-types.ts'
import type { VersionedRecord } from '../topology/processor.ts'

export interface RangeOptions {
  /** From the last key to the first. */
  readonly reverse?: boolean
}

/** Rows under keys: of tables, aggregates, global tables, key-value stores. Of windows: the key is `{key, start, end}`. */
export interface StoreReader<K = any, V = any> {
  /** The committed row; null when there is none. Throws STREAM_NOT_LOCAL for a key whose task is not running here. */
  get(key: K): V | null
  /** The same. With several workers `get` holds up this thread until the worker's answers; this one does not. */
  read(key: K): Promise<V | null>
  /** From and to are inclusive, null for an open end; in the order of the keys' bytes, across the tasks that run here. */
  range(from: K | null, to: K | null, options?: RangeOptions): AsyncIterable<readonly [key: K, value: V]>
  /** Rows whose key, as its serde writes it, begins with these bytes, or with this text. */
  prefix(begin: Uint8Array | string, options?: RangeOptions): AsyncIterable<readonly [key: K, value: V]>
  all(options?: RangeOptions): AsyncIterable<readonly [key: K, value: V]>
}

/** Windows of aggregates (not of sessions), and of window stores. */
export interface WindowReader<K = any, V = any> {
  fetch(key: K, start: number): V | null
  /** Windows of the key whose start lies between, both ends inclusive, ascending. */
  fetch(key: K, from: number, to: number): AsyncIterable<readonly [start: number, value: V]>
  /** Windows of all keys, or of those between two, whose start lies between. Ascending within a key. */
  fetchAll(from: number, to: number, keys?: { readonly from: K | null; readonly to: K | null }): AsyncIterable<readonly [Windowed<K>, V]>
}

export interface SessionReader<K = any, V = any> {
  get(session: Windowed<K>): V | null
  /** Sessions of the key that end at `earliestEnd` or later and start at `latestStart` or earlier, by end. */
  findSessions(key: K, earliestEnd: number, latestStart: number): AsyncIterable<readonly [Windowed<K>, V]>
  /** All sessions of the key. */
  fetch(key: K): AsyncIterable<readonly [Windowed<K>, V]>
  /** Likewise of all keys, or of those between two. */
  findAll(
    earliestEnd: number,
    latestStart: number,
    keys?: { readonly from: K | null; readonly to: K | null },
  ): AsyncIterable<readonly [Windowed<K>, V]>
}

export interface VersionedReader<K = any, V = any> {
  /** The latest version; with `asOf` the one that held at that time, null when that is longer ago than the retention. */
  get(key: K, asOf?: number): Promise<VersionedRecord<V> | null>
  /** Those that held at some time between, the latest first; a null value says that there was no row from then on. */
  versions(key: K, from: number, to: number): Promise<readonly VersionedRecord<V | null>[]>
}

/** A processor as its readers need it. `running` throws when it is not. */
export interface ReadFrom extends Holder {
  readonly plan: Plan
}

export function storeReader<K, V>(holder: ReadFrom, name: string): StoreReader<K, V> {
  const store = named(holder, name)
  const bound = (key: K | null): Buffer | null => (key === null ? null : encodeKey(store, key))
  return {
    get: (key) => rowAt(holder, store, key) as V | null,
    read: (key) => readRow(holder, store, key) as Promise<V | null>,
    range: (from, to, options) =>
      rowsOf(holder, store, () => rangeSelection(store, { from: bound(from), to: bound(to), ...options }), keyOf(store)),
    prefix: (begin, options) => {
      const prefix = Buffer.from(begin)
      return rowsOf(holder, store, () => rangeSelection(store, { from: null, to: null, prefix, ...options }), keyOf(store))
    },
    all: (options) => rowsOf(holder, store, () => rangeSelection(store, { from: null, to: null, ...options }), keyOf(store)),
  }
}

export function windowReader<K, V>(holder: ReadFrom, name: string): WindowReader<K, V> {
  const store = named(holder, name)
  if (store.windows?.isSession !== false) throw otherKind(store, 'no windows')
  function fetch(key: K, start: number): V | null
  function fetch(key: K, from: number, to: number): AsyncIterable<readonly [number, V]>
  function fetch(key: K, from: number, to?: number): unknown {
    if (to === undefined) return rowAt(holder, store, { key, start: from, end: from })
    return rowsOf(
      holder,
      store,
      () => windowSelection(store, { keys: onlyKey(holder, store, key), from, to }),
      (row) => windowAt(store, row).start,
    )
  }
  return {
    fetch,
    fetchAll: (from, to, keys) =>
      rowsOf(
        holder,
        store,
        () => windowSelection(store, { keys: keyBounds(store, keys), from, to }),
        (row) => windowAt<K>(store, row),
      ),
  }
}

export function sessionReader<K, V>(holder: ReadFrom, name: string): SessionReader<K, V> {
  const store = named(holder, name)
  if (store.windows?.isSession !== true) throw otherKind(store, 'no sessions')
  const find = (key: K, from: number, to: number): AsyncIterable<readonly [Windowed<K>, V]> =>
    rowsOf(
      holder,
      store,
      () => windowSelection(store, { keys: onlyKey(holder, store, key), from, to }),
      (row) => windowAt<K>(store, row),
    )
  return {
    get: (session) => rowAt(holder, store, session) as V | null,
    findSessions: find,
    fetch: (key) => find(key, 0, Number.MAX_SAFE_INTEGER),
    findAll: (from, to, keys) =>
      rowsOf(
        holder,
        store,
        () => windowSelection(store, { keys: keyBounds(store, keys), from, to }),
        (row) => windowAt<K>(store, row),
      ),
  }
}

export function versionedReader<K, V>(holder: ReadFrom, name: string): VersionedReader<K, V> {
  const store = named(holder, name)
  const { versions } = store
  if (versions === null) throw otherKind(store, 'no versions')
  const reads = <T>(key: K, bytes: Buffer, read: (of: VersionReads) => T): Promise<T> =>
    versionsIn(holder, store, versions, { partition: partitionOfKey(holder, store, key), bytes }, read)
  const decode = (value: Buffer): V => store.spec.value.decode(value)
  return {
    async get(key, asOf) {
      const bytes = encodeKey(store, key)
      const found = await reads(key, bytes, (rows) => (asOf === undefined ? rows.latest(bytes) : rows.at(bytes, asOf)))
      const value = found?.value ?? null
      return found === undefined || value === null ? null : { value: await whenThere(() => decode(value)), timestamp: found.timestamp }
    },
    async versions(key, from, to) {
      const bytes = encodeKey(store, key)
      const found = await reads(key, bytes, (rows) => rows.between(bytes, from, to))
      return await whenThere(() => found.map(({ value, timestamp }) => ({ value: value === null ? null : decode(value), timestamp })))
    },
  }
}

function named({ plan }: ReadFrom, name: string): QueryableStore {
  const store = queryableStore(plan, name)
  if (store !== null) return store
  const names = queryableNames(plan)
  throw new MillraceError('STREAM_USAGE', `no store ${name} in ${plan.topology}; it has ${names.length === 0 ? 'none' : names.join(', ')}`)
}

function otherKind({ name, windows, versions }: QueryableStore, lacks: string): MillraceError {
  const reader = windows === null ? (versions === null ? 'store' : 'versionedStore') : windows.isSession ? 'sessionStore' : 'windowStore'
  return new MillraceError('STREAM_USAGE', `store ${name} holds ${lacks}; read it by ${reader}('${name}')`)
}

function partitionOfKey(holder: ReadFrom, store: QueryableStore, key: unknown): number {
  if (store.subTopology < 0) return 0
  const tasks = holder.sized()?.tasks[store.subTopology]
  if (tasks === undefined) throw new MillraceError('STREAM_CLOSED', 'the processor is not running')
  return taskPartition(store, key, tasks)
}

function rowAt(holder: ReadFrom, store: QueryableStore, key: unknown): unknown {
  const { held, keys } = placeOf(holder, store, key)
  const rows = keys.map((bytes) => held.getSync(bytes))
  return asked(() => shownRow(store, keys, rows))
}

async function readRow(holder: ReadFrom, store: QueryableStore, key: unknown): Promise<unknown> {
  const { held, keys } = await whenThere(() => placeOf(holder, store, key))
  const rows = await held.getMany(keys)
  return await whenThere(() => shownRow(store, keys, rows))
}

/** Of a window's row, its own and the one that tells whether it is over. */
function placeOf(holder: ReadFrom, store: QueryableStore, key: unknown): { readonly held: StateStore; readonly keys: readonly Buffer[] } {
  const bytes = encodeKey(store, key)
  const own = store.windows?.own ?? null
  return { held: storeOf(holder, store, partitionOfKey(holder, store, key)), keys: own === null ? [bytes] : [bytes, own] }
}

function shownRow(
  store: QueryableStore,
  [bytes]: readonly Buffer[],
  [stored, own = null]: readonly (Stored | undefined | null)[],
): unknown {
  const { windows } = store
  if (stored === undefined || stored === null) return null
  if (windows !== null && windows.own !== null && windows.isOver(windows.parts(bytes as Buffer).time, own)) return null
  return store.rowOf(stored)
}

/** A caller that cannot wait: what is lacking is asked for, so that it is there when the row is read again. */
function asked<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof NotYet) error.need().catch(() => {})
    throw error
  }
}

function onlyKey(holder: ReadFrom, store: QueryableStore, key: unknown): WindowAsk['keys'] {
  const only = asBuffer((store.windows as NonNullable<QueryableStore['windows']>).inner.encode(key))
  return { only, partition: partitionOfKey(holder, store, { key, start: 0, end: 0 }) }
}

function keyBounds<K>(store: QueryableStore, keys: { readonly from: K | null; readonly to: K | null } | undefined): WindowAsk['keys'] {
  const bound = (key: K | null | undefined): Buffer | null =>
    key === null || key === undefined ? null : asBuffer((store.windows as NonNullable<QueryableStore['windows']>).inner.encode(key))
  return { from: bound(keys?.from), to: bound(keys?.to) }
}

const keyOf =
  (store: QueryableStore) =>
  (row: Buffer): any =>
    store.spec.key.decode(row)

function windowAt<K>(store: QueryableStore, row: Buffer): Windowed<K> {
  return store.spec.key.decode(row)
}

async function* rowsOf<T>(
  holder: ReadFrom,
  store: QueryableStore,
  select: () => Selection,
  shown: (row: Buffer) => T,
): AsyncGenerator<readonly [T, any], void, undefined> {
  const rows = await openRows(holder, store, select(), { partly: true })
  try {
    for (let head = rows.head; head !== null; head = rows.head) {
      const [key, stored]: readonly [Buffer, Stored] = head
      if (rows.isTaken) {
        const value = await whenThere(() => store.rowOf(stored))
        if (value !== null) yield [await whenThere(() => shown(key)), value]
      }
      const reading = rows.next()
      if (reading !== null) await reading
    }
  } finally {
    await rows.close()
  }
}
