// The stores of tables as a processor sees them: their rows, and nothing that changes them.
//
// Invariants
// 1. What a table does not show is not there: a delete that `lastWriteWins` remembers, an absence among versions.
// 2. A window whose store has forgotten it is not there; until then it is, also where its time is over.
import { asBuffer, prefixEnd } from '../../base/bytes.ts'
import { isRowSerde, rowInner, rowKey, rowTime, sessionInner, sessionKey, sessionStart, WINDOW } from '../../serde/window-rows.ts'
import type { ScanRange } from '../../state/store.ts'
import type { Borrowed } from '../../topology/node.ts'
import type { ReadOnlyKeyValueStore, ReadOnlySessionStore, ReadOnlyWindowStore, SessionKey } from '../../topology/processor.ts'
import { rowOfLastWriteWins } from '../last-write-wins-row.ts'
import type { Row, Site, StoreView } from '../operator.ts'
import { checkTime, lazily, type ReadSite, type StoreSite } from './site.ts'

type Rows = IterableIterator<readonly [key: Buffer, row: Row<Buffer>]>

interface Source {
  readonly name: string
  get(key: Buffer): Buffer | null
  scan(range: ScanRange): Rows
  decodeKey(bytes: Buffer): unknown
  decodeValue(bytes: Buffer): unknown
  /** Null: the row is not shown. */
  shown(bytes: Buffer): Buffer | null
}

export function tableStore(site: StoreSite, rows: Borrowed['rows']): ReadOnlyKeyValueStore<unknown, unknown> {
  const { view } = site
  return keyValueOver(site, {
    name: view.name,
    get: (key) => view.getBytes(key)?.value ?? null,
    scan: (range) => view.scan(range),
    decodeKey: (bytes) => view.decodeKey(bytes),
    decodeValue: (bytes) => view.decodeValue(bytes),
    shown: rows === 'lastWriteWins' ? rowOfLastWriteWins : (bytes) => bytes,
  })
}

export function globalStore(site: ReadSite, { globalRows }: Site, { spec }: Borrowed): ReadOnlyKeyValueStore<unknown, unknown> {
  const rows = globalRows(spec.name)
  return keyValueOver(site, {
    name: spec.name,
    get: rows.get,
    scan: rows.scan,
    decodeKey: (bytes) => spec.key.decode(bytes),
    decodeValue: (bytes) => spec.value.decode(bytes),
    shown: (bytes) => bytes,
  })
}

function keyValueOver(site: ReadSite, source: Source): ReadOnlyKeyValueStore<unknown, unknown> {
  const { life } = site
  const rows = (range: ScanRange): IterableIterator<readonly [unknown, unknown]> =>
    lazily(
      life,
      `range of ${source.name}`,
      () => source.scan(range),
      ([key, row]) => {
        const value = source.shown(row.value)
        return value === null ? null : ([source.decodeKey(key), source.decodeValue(value)] as const)
      },
    )
  const between = (from: unknown, to: unknown, reverse: boolean): IterableIterator<readonly [unknown, unknown]> =>
    rows({ from: site.bound(from), to: site.bound(to), reverse })
  return {
    name: source.name,
    get: (key) =>
      life.within('get', () => {
        const row = source.get(site.key(key))
        const value = row === null ? null : source.shown(row)
        return value === null ? null : source.decodeValue(value)
      }),
    range: (from, to) => between(from, to, false),
    reverseRange: (from, to) => between(from, to, true),
    all: () => between(null, null, false),
    reverseAll: () => between(null, null, true),
    prefix(bytes) {
      const from = Buffer.from(bytes)
      return rows({ from, to: prefixEnd(from), toExclusive: true })
    },
  }
}

const NO_KEY = Buffer.alloc(0)

/** WINDOW rows whose first time (a window's start, a session's end) lies between, both ends inclusive. */
function windowRange(from: number, to: number): ScanRange {
  const bound = (time: number): number => Math.min(Math.max(0, Math.floor(time)), Number.MAX_SAFE_INTEGER - 1)
  return { from: rowKey(WINDOW, bound(from), NO_KEY), to: rowKey(WINDOW, bound(to) + 1, NO_KEY), toExclusive: true }
}

/** The key's bytes in a window's row: not the row's own serde. */
function innerKey(view: StoreView, spec: Borrowed['spec'], key: unknown): Buffer {
  if (key === null || key === undefined || !isRowSerde(spec.key)) return view.encodeKey(key) // which refuses it
  return asBuffer(spec.key.inner.encode(key))
}

export function tableWindows(site: StoreSite, borrowed: Borrowed & { rows: 'windows' }): ReadOnlyWindowStore<unknown, unknown> {
  const { view, life } = site
  const { spec, spanMs, advanceMs } = borrowed

  function fetch(key: unknown, start: number): unknown
  function fetch(key: unknown, from: number, to: number): IterableIterator<readonly [number, unknown]>
  function fetch(key: unknown, from: number, to?: number): unknown {
    const bytes = innerKey(view, spec, key)
    if (to === undefined) {
      return life.within('fetch', () => {
        const row = view.getBytes(rowKey(WINDOW, checkTime(view.name, 'start', from), bytes))
        return row === null ? null : view.decodeValue(row.value)
      })
    }
    const rows = (): Rows =>
      isFew(from, to, advanceMs) ? byStarts(view, bytes, from, to, advanceMs as number) : view.scan(windowRange(from, to))
    return lazily(life, 'fetch', from > to ? none : rows, ([row, { value }]) =>
      rowInner(row).equals(bytes) ? ([rowTime(row), view.decodeValue(value)] as const) : null,
    )
  }

  return {
    name: view.name,
    fetch,
    fetchAll: (from, to) =>
      lazily(life, 'fetchAll', from > to ? none : () => view.scan(windowRange(from, to)), ([row, { value }]) => {
        const { key } = view.decodeKey(row)
        return [{ key, start: rowTime(row), end: rowTime(row) + spanMs }, view.decodeValue(value)] as const
      }),
  }
}

function* none(): Generator<never, void, undefined> {}

/** Windows that are read one by one; more are looked for in their range. */
const POINT_READS_MAX = 200

function isFew(from: number, to: number, advanceMs: number | null): boolean {
  return advanceMs !== null && Number.isFinite(to - from) && (to - from) / advanceMs < POINT_READS_MAX
}

function byStarts(view: StoreView, key: Buffer, from: number, to: number, advanceMs: number): Rows {
  const rows: (readonly [Buffer, Row<Buffer>])[] = []
  for (let start = Math.ceil(Math.max(0, from) / advanceMs) * advanceMs; start <= to; start += advanceMs) {
    const at = rowKey(WINDOW, start, key)
    const row = view.getBytes(at)
    if (row !== null) rows.push([at, row])
  }
  return rows.values()
}

export function tableSessions(site: StoreSite, { spec }: Borrowed): ReadOnlySessionStore<unknown, unknown> {
  const { view, life } = site
  const find = (key: unknown, earliestEnd: number, latestStart: number): IterableIterator<readonly [SessionKey<unknown>, unknown]> => {
    const bytes = innerKey(view, spec, key)
    return lazily(
      life,
      'findSessions',
      () => view.scan(windowRange(earliestEnd, Number.MAX_SAFE_INTEGER)),
      ([row, { value }]) => {
        const start = sessionStart(row)
        if (start > latestStart || !sessionInner(row).equals(bytes)) return null
        return [{ key, start, end: rowTime(row) }, view.decodeValue(value)] as const
      },
    )
  }
  return {
    name: view.name,
    get: ({ key, start, end }) =>
      life.within('get', () => {
        const row = view.getBytes(
          sessionKey(checkTime(view.name, 'start', start), checkTime(view.name, 'end', end), innerKey(view, spec, key)),
        )
        return row === null ? null : view.decodeValue(row.value)
      }),
    findSessions: find,
    fetch: (key) => find(key, 0, Number.MAX_SAFE_INTEGER),
  }
}
