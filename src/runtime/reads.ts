// Reads of committed rows across the tasks of a process: which rows are asked for, and those rows in the order of their keys' bytes.
//
// Invariants
// 1. What one read gives is of one epoch: the snapshots of all its tasks and ranges are taken in one turn, while no epoch is being applied.
// 2. A store that is being restored is an error that says how far it is, never an empty answer.
import { prefixEnd } from '../base/bytes.ts'
import { MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'
import { type VersionBytes, VersionReads, VERSIONS_CLOCK } from '../operators/index.ts'
import type { ScanRange, StateStore, Stored } from '../state/store.ts'
import type { SizedPlan } from '../topology/plan-types.ts'
import { MergedRows, type TaskRows } from './merged-rows.ts'
import type { QueryableStore } from './query.ts'
import { type RestoreProgress, taskId } from './recover.ts'

export type { VersionReads }

/** A process whose stores are read. */
export interface Holder {
  readonly world: Pick<World, 'clock' | 'timers'>
  ready(): boolean
  /** Null until the topics are known. */
  sized(): SizedPlan | null
  tasks(): ReadonlyMap<string, { readonly stores: readonly HeldStore[] }>
  /** Of a global table that has been read to its end. */
  globalStore(name: string): StateStore | undefined
  applying(): boolean
  figures(): { readonly restores: readonly RestoreProgress[] }
}

export interface HeldStore {
  readonly name: string
  readonly overlay: {
    readonly store: StateStore
    /** A row as it was last committed; left out where it lies in another thread. */
    readonly committed?: (key: Buffer) => Stored | undefined
  }
}

/** Which rows. */
export interface Selection {
  /** Of one task; null: of all. */
  readonly partition: number | null
  /** Ascending and disjoint. */
  readonly ranges: readonly ScanRange[]
  readonly reverse: boolean
  /** Whether a row of the ranges is one of them. */
  takes(key: Buffer, own: Stored | null): boolean
}

export interface RangeAsk {
  /** Keys of rows, both ends inclusive; null: open. */
  readonly from: Buffer | null
  readonly to: Buffer | null
  /** What the bytes of the key begin with. */
  readonly prefix?: Buffer | null
  readonly reverse?: boolean
}

/** Windows whose start lies between, sessions that overlap what is between: both ends inclusive, epoch ms. */
export interface WindowAsk {
  /** The bytes of one key, with its partition; or of the first and the last key, null for open ends. */
  readonly keys: { readonly only: Buffer; readonly partition: number } | { readonly from: Buffer | null; readonly to: Buffer | null }
  readonly from: number
  readonly to: number
}

export class StoreRestoring extends MillraceError {
  readonly restored: number
  readonly remaining: number

  constructor({ task, store, restored, remaining }: RestoreProgress) {
    super(
      'STREAM_STORE_RESTORING',
      `store ${store}: task ${task} is being restored (${restored} records are there, up to ${remaining} to come); ask again when it is ready`,
    )
    this.restored = restored
    this.remaining = remaining
  }
}

export function rangeSelection(store: QueryableStore, { from, to, prefix = null, reverse = false }: RangeAsk): Selection {
  const asked: ScanRange[] = [store.range, { from, to }] // other things may lie beside the rows
  if (prefix !== null) {
    const start = store.prefix(prefix)
    if (start === null)
      throw new MillraceError('STREAM_USAGE', `store ${store.name} holds windows: they have no prefix; ask for keys and times`)
    asked.push({ from: start, to: prefixEnd(start), toExclusive: true })
  }
  const { windows } = store
  return {
    partition: null,
    ranges: [asked.reduce(meet)],
    reverse,
    takes: (key, own) => windows === null || !windows.isOver(windows.parts(key).time, own),
  }
}

export function windowSelection({ windows, name }: QueryableStore, { keys, from, to }: WindowAsk): Selection {
  if (windows === null) throw new MillraceError('STREAM_USAGE', `store ${name} holds no windows`)
  const only = 'only' in keys ? keys.only : null
  const last = windows.isSession ? Number.MAX_SAFE_INTEGER : to
  return {
    partition: 'only' in keys ? keys.partition : null,
    ranges: from > to ? [] : windows.ranges(only, from, last),
    reverse: false,
    takes(row, own) {
      const { key, start, time } = windows.parts(row)
      if (time < from || start > to || windows.isOver(time, own)) return false
      if ('only' in keys) return key.equals(keys.only)
      return (keys.from === null || key.compare(keys.from) >= 0) && (keys.to === null || key.compare(keys.to) <= 0)
    },
  }
}

/** What lies in both. */
function meet(a: ScanRange, b: ScanRange): ScanRange {
  const from = a.from === null || (b.from !== null && b.from.compare(a.from) > 0) ? b.from : a.from
  if (a.to === null) return { ...b, from }
  if (b.to === null) return { ...a, from }
  const order = a.to.compare(b.to)
  return order < 0 || (order === 0 && a.toExclusive === true) ? { ...a, from } : { ...b, from }
}

/** The rows of a selection, from a key of a row on. `partly`: of the tasks that are here; `partitions`: of the tasks of these. The caller
 *  closes them. */
export async function openRows(
  holder: Holder,
  store: QueryableStore,
  selection: Selection,
  {
    resume = null,
    partly = false,
    partitions = null,
  }: { readonly resume?: Buffer | null; readonly partly?: boolean; readonly partitions?: readonly number[] | null } = {},
): Promise<MergedRows> {
  await untilApplied(holder)
  const stores =
    partitions === null
      ? storesOf(holder, store, selection.partition, partly)
      : partitions.map((partition) => storeOf(holder, store, partition))
  const ranges = selection.ranges
    .map((range) => ({ ...(resume === null ? range : meet(range, { from: resume, to: null })), reverse: selection.reverse }))
    .filter(isSome)
  if (selection.reverse) ranges.reverse()
  const own = store.windows?.own ?? null
  const tasks = stores.map(
    (held): TaskRows => ({
      chunks: ranges.map((range) => held.scan(range)[Symbol.asyncIterator]()),
      own: own === null ? null : held.scan({ from: own, to: own })[Symbol.asyncIterator](),
    }),
  )
  const rows = new MergedRows(tasks, selection)
  try {
    await rows.begin()
  } catch (error) {
    await rows.close()
    throw error
  }
  return rows
}

function isSome({ from, to, toExclusive }: ScanRange): boolean {
  if (from === null || to === null) return true
  const order = from.compare(to)
  return order < 0 || (order === 0 && toExclusive !== true)
}

/** Until no committed epoch is on its way to the stores; what is read in this turn is of one. */
export async function untilApplied({ world, applying }: Holder): Promise<void> {
  const giveUp = world.clock.monotonic() + LIMITS.answerWaitMs
  while (applying()) {
    if (world.clock.monotonic() > giveUp) throw new MillraceError('STREAM_NOT_LOCAL', 'the stores are just being written to; ask again')
    await world.timers.sleep(1)
  }
}

/** The partitions whose tasks are here, of a store that has tasks. Throws STREAM_STORE_RESTORING while one is being restored here. */
export function heldPartitions(holder: Holder, store: QueryableStore): readonly number[] {
  return partitionsOf(holder, store).filter((partition) => {
    const task = taskId(store.subTopology, partition)
    if (heldStore(holder, task, store.name) !== null) return true
    const restore = restoreOf(holder, task, store.name)
    if (restore !== null) throw new StoreRestoring(restore)
    return false
  })
}

/** Throws STREAM_NOT_LOCAL while the topics are not known. */
export function partitionsOf(holder: Pick<Holder, 'sized'>, store: QueryableStore): readonly number[] {
  const count = holder.sized()?.tasks[store.subTopology]
  if (count === undefined) throw notLocal(store.name, 'its topics are not known yet')
  return Array.from({ length: count }, (_, i) => i)
}

function storesOf(holder: Holder, store: QueryableStore, partition: number | null, partly: boolean): StateStore[] {
  if (store.subTopology < 0) return [storeOf(holder, store, 0)]
  const known = partitionsOf(holder, store)
  const partitions = partition === null ? known : [partition]
  return partitions.flatMap((each) => {
    const held = heldStore(holder, taskId(store.subTopology, each), store.name)
    return held === null && partly && restoreOf(holder, taskId(store.subTopology, each), store.name) === null
      ? []
      : [storeOf(holder, store, each)]
  })
}

/** The committed row of a key; for one row alone: of several, some would be of the epoch that is being applied. Throws as `storeOf`. */
export function rowIn(holder: Holder, store: QueryableStore, partition: number, key: Buffer): Stored | undefined {
  const overlay = store.subTopology < 0 ? null : heldOverlay(holder, taskId(store.subTopology, partition), store.name)
  return overlay?.committed === undefined ? storeOf(holder, store, partition).getSync(key) : overlay.committed(key)
}

/** The store of one task. Throws STREAM_STORE_RESTORING or STREAM_NOT_LOCAL where it cannot be read here. */
export function storeOf(holder: Holder, store: QueryableStore, partition: number, name: string = store.name): StateStore {
  if (store.subTopology < 0) {
    const global = holder.globalStore(name)
    if (global !== undefined) return global
    throw notLocal(name, 'the global table is still being read')
  }
  const task = taskId(store.subTopology, partition)
  const held = heldStore(holder, task, name)
  if (held !== null) return held
  const restore = restoreOf(holder, task, name)
  if (restore !== null) throw new StoreRestoring(restore)
  throw notLocal(
    name,
    `the task of this key, ${task}, does not run in this process or is still being restored; ask the instance that runs it, or again when it is ready`,
  )
}

/** The committed row of a key, shown; null: there is none. */
export function committedValue(holder: Holder, store: QueryableStore, partition: number, key: Buffer): unknown {
  const held = storeOf(holder, store, partition)
  const stored = held.getSync(key)
  if (stored === undefined) return null
  const { windows } = store
  const isOver = windows?.isOver(windows.parts(key).time, windows.own === null ? null : (held.getSync(windows.own) ?? null)) === true
  return isOver ? null : store.rowOf(stored)
}

/** What `read` finds of a key's versions. They lie in two stores: where another thread writes them, an epoch may come between, and it is read
 *  again. */
export async function versionsIn<T>(
  holder: Holder,
  store: QueryableStore,
  { history, retentionMs }: NonNullable<QueryableStore['versions']>,
  { partition, bytes }: { readonly partition: number; readonly bytes: Buffer },
  read: (versions: VersionReads) => T,
): Promise<T> {
  for (let tries = 0; ; tries++) {
    await untilApplied(holder)
    const seen: string[] = []
    const [heads, older] = [store.name, history].map((name): VersionBytes => {
      const held = storeOf(holder, store, partition, name)
      return { getBytes: (key) => held.getSync(key) ?? null }
    }) as [VersionBytes, VersionBytes]
    const look = (): void => {
      seen.push(`${heads.getBytes(bytes)?.value.toString('latin1')}`, `${older.getBytes(VERSIONS_CLOCK)?.value.toString('latin1')}`)
    }
    look()
    const found = read(new VersionReads(heads, older, retentionMs))
    look()
    if (seen[0] === seen[2] && seen[1] === seen[3]) return found
    if (tries === READ_TRIES) throw new MillraceError('STREAM_NOT_LOCAL', `store ${store.name}: the key is just being written; ask again`)
  }
}

const READ_TRIES = 20

export function heldStore(holder: Pick<Holder, 'tasks'>, task: string, name: string): StateStore | null {
  return heldOverlay(holder, task, name)?.store ?? null
}

function heldOverlay(holder: Pick<Holder, 'tasks'>, task: string, name: string): HeldStore['overlay'] | null {
  return (
    holder
      .tasks()
      .get(task)
      ?.stores.find((held) => held.name === name)?.overlay ?? null
  )
}

function restoreOf(holder: Holder, task: string, store: string): RestoreProgress | null {
  if (holder.ready()) return null // what is left of a restore that was called off
  return (
    holder
      .figures()
      .restores.find((one) => one.task === task && (one.store === store || one.store === `${task}/${store}`) && one.remaining > 0) ?? null
  )
}

function notLocal(store: string, why: string): MillraceError {
  return new MillraceError('STREAM_NOT_LOCAL', `store ${store}: ${why}`)
}
