// The rows of a store as lines of JSON: what `query` shows beside the value of one key. Of a running process, or of the changelogs.
//
// Invariants
// 1. All lines are of one epoch, whatever is committed meanwhile.
// 2. Some hundred rows are in memory at a time.
import { asBuffer } from '../base/bytes.ts'
import { MillraceError } from '../base/errors.ts'
import { whenThere } from '../base/not-yet.ts'
import type { World } from '../base/ports.ts'
import type { Log } from '../log/log.ts'
import { changelogHolder, changelogPartitions } from '../runtime/changelog-holder.ts'
import { encodeKey, type QueryableStore, taskPartition } from '../runtime/query.ts'
import { type Holder, openRows, rangeSelection, type Selection, versionsIn, windowSelection } from '../runtime/reads.ts'
import type { AnySerde } from '../serde/serde.ts'
import type { ScanRange } from '../state/store.ts'
import type { Plan } from '../topology/plan-types.ts'
import { parseKey } from './parse-key.ts'
import { jsonText } from './serdes.ts'

/** Keys are texts, as for `query`; times epoch ms. What is left out is open. */
export type RowsAsk =
  | { readonly form: 'range'; readonly from?: string; readonly to?: string; readonly prefix?: string }
  | {
      readonly form: 'windows'
      readonly key?: string
      readonly keyFrom?: string
      readonly keyTo?: string
      readonly from?: number
      readonly to?: number
    }
  | { readonly form: 'versions'; readonly key: string; readonly from?: number; readonly to?: number }
  | { readonly form: 'asOf'; readonly key: string; readonly at: number }

export interface RowsFrom {
  readonly log: Log
  readonly plan: Plan
  readonly world: World
  /** A running process; null: there is none, the changelogs are read. */
  readonly holder: Holder | null
}

const LINES_AT_ONCE = 200
/** What comes before the key in a row of older versions; shorter rows are the store's own. */
const TIMED_BYTES = 9

export async function* rowLines(from: RowsFrom, store: QueryableStore, ask: RowsAsk, limit: number): AsyncGenerator<readonly string[]> {
  const { log, plan } = from
  const tasks = from.holder?.sized()?.tasks[store.subTopology] ?? (await changelogPartitions(log, plan, store))
  if (tasks === 0 && store.subTopology >= 0) return
  const partitionOfKey = (key: unknown): number => (store.subTopology < 0 ? 0 : taskPartition(store, key, tasks))
  if (ask.form === 'versions' || ask.form === 'asOf') {
    const key = parseKey(ask.key, store.spec.key)
    yield (await versionLines(from, store, { partition: partitionOfKey(key), bytes: encodeKey(store, key) }, ask)).slice(0, limit)
    return
  }
  const selection = selectionOf(store, ask, partitionOfKey)
  const own = store.windows?.own ?? null
  const keeps = (key: Buffer): boolean => own?.equals(key) === true || selection.ranges.some((range) => isIn(key, range))
  const rows = await orFromChangelog(from, store, { partition: selection.partition, keeps }, (holder) => openRows(holder, store, selection))
  let lines: string[] = []
  let left = limit
  try {
    for (let head = rows.head; head !== null && left > 0; head = rows.head) {
      const [key, stored] = head
      const line = rows.isTaken ? await whenThere(() => rowLine(store, key, store.rowOf(stored))) : null
      if (line !== null) {
        left--
        if (lines.push(line) === LINES_AT_ONCE) {
          yield lines
          lines = []
        }
      }
      const reading = rows.next()
      if (reading !== null) await reading
    }
  } finally {
    await rows.close()
  }
  if (lines.length > 0) yield lines
}

function selectionOf(
  store: QueryableStore,
  ask: Extract<RowsAsk, { form: 'range' | 'windows' }>,
  partitionOfKey: (key: unknown) => number,
): Selection {
  const bound = (text: string | undefined, serde: AnySerde): Buffer | null =>
    text === undefined ? null : asBuffer(serde.encode(parseKey(text, serde)))
  if (ask.form === 'range') {
    const prefix = ask.prefix === undefined ? null : Buffer.from(ask.prefix, 'utf8')
    return rangeSelection(store, { from: bound(ask.from, store.spec.key), to: bound(ask.to, store.spec.key), prefix })
  }
  const inner = store.windows?.inner ?? store.spec.key // without windows it is refused below
  const { from = 0, to = Number.MAX_SAFE_INTEGER } = ask
  if (ask.key === undefined)
    return windowSelection(store, { keys: { from: bound(ask.keyFrom, inner), to: bound(ask.keyTo, inner) }, from, to })
  const key = parseKey(ask.key, inner)
  const only = asBuffer(inner.encode(key))
  const partition = store.windows === null ? 0 : partitionOfKey({ key, start: 0, end: 0 })
  return windowSelection(store, { keys: { only, partition }, from, to })
}

async function versionLines(
  from: RowsFrom,
  store: QueryableStore,
  { partition, bytes }: { readonly partition: number; readonly bytes: Buffer },
  ask: Extract<RowsAsk, { form: 'versions' | 'asOf' }>,
): Promise<string[]> {
  const { versions, spec } = store
  if (versions === null) throw new MillraceError('STREAM_USAGE', `store ${store.name} holds no versions`)
  const keepsOlder = (row: Buffer): boolean => row.length < TIMED_BYTES || row.subarray(TIMED_BYTES).equals(bytes)
  const wanted = { partition, keeps: (key: Buffer) => key.equals(bytes), keepsOlder }
  const found = await orFromChangelog(from, store, wanted, (holder) =>
    versionsIn(holder, store, versions, { partition, bytes }, (reads) =>
      ask.form === 'asOf' ? [reads.at(bytes, ask.at)] : reads.between(bytes, ask.from ?? 0, ask.to ?? Number.MAX_SAFE_INTEGER),
    ),
  )
  const shown: string[] = []
  for (const version of found) {
    if (version === undefined || (ask.form === 'asOf' && version.value === null)) continue
    const { value, timestamp } = version
    const json = value === null ? null : await whenThere(() => jsonOf(spec.value, spec.value.decode(value)))
    shown.push(jsonText({ value: json, timestamp }))
  }
  return shown
}

/** A process that does not have the rows, or not yet: then the changelogs tell. */
async function orFromChangelog<T>(
  { log, plan, world, holder }: RowsFrom,
  store: QueryableStore,
  wanted: Parameters<typeof changelogHolder>[4],
  read: (holder: Holder) => Promise<T>,
): Promise<T> {
  if (holder !== null) {
    try {
      return await read(holder)
    } catch (error) {
      if (!isElsewhere(error)) throw error
    }
  }
  return await read(await changelogHolder(log, plan, store, world, wanted))
}

/** The rows are not in this process, or not yet. */
export function isElsewhere(error: unknown): boolean {
  return error instanceof MillraceError && (error.code === 'STREAM_NOT_LOCAL' || error.code === 'STREAM_STORE_RESTORING')
}

function isIn(key: Buffer, { from, to, toExclusive }: ScanRange): boolean {
  if (from !== null && key.compare(from) < 0) return false
  const order = to === null ? -1 : key.compare(to)
  return order < 0 || (order === 0 && toExclusive !== true)
}

function rowLine({ spec }: QueryableStore, key: Buffer, value: unknown): string | null {
  if (value === null || value === undefined) return null
  return jsonText({ key: jsonOf(spec.key, spec.key.decode(key)), value: jsonOf(spec.value, value) })
}

function jsonOf(serde: AnySerde, value: unknown): unknown {
  return serde.toJson === undefined ? value : serde.toJson(value)
}
