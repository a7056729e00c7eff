// Global tables: each process holds all rows of a topic, of all its partitions. Not part of any transaction: a row is there when the
// process has read it, whatever the tasks have done.
//
// Rows of a table's store: POSITION, partition: the next offset to read; ROW, key: the value with its record's timestamp.
//
// Invariants
// 1. Rows and the positions behind them are applied together, so what is on disk is a state that the topic once had, or nearly:
//    partitions are read side by side.
// 2. What can't be decoded is counted and left out; the row before stays. A record without a key too.
import { asBuffer } from '../base/bytes.ts'
import { NotYet, whenThere } from '../base/not-yet.ts'
import type { World } from '../base/ports.ts'
import type { TopicPartition } from '../base/record.ts'
import type { Chunk } from '../log/log.ts'
import type { Row, TableGetter } from '../operators/operator.ts'
import { Overlay } from '../state/overlay.ts'
import type { Ranges } from '../state/ranges.ts'
import type { Checkpoint, ScanRange, StateStore, StoreProvider } from '../state/store.ts'
import type { PlanGlobal } from '../topology/plan-types.ts'
import { caughtUp, sinceOf } from './missed-deletes.ts'

/** The directory beside those of the tasks. */
const OWNER = 'global'
const POSITION = 0
const ROW = 1

export class GlobalTable {
  readonly spec: PlanGlobal
  readonly store: StateStore
  skipped = 0
  readonly #overlay: Overlay
  readonly #world: World
  /** As it was found. */
  readonly #since: Pick<Checkpoint, 'caughtUpAtMs'>
  /** By partition: when it was up to date last, since it was opened. */
  readonly #caughtUpAtMs = new Map<number, number>()

  constructor(spec: PlanGlobal, store: StateStore, world: World) {
    this.spec = spec
    this.store = store
    this.#since = sinceOf(store.checkpoint(), world.clock.now())
    this.#overlay = new Overlay(store)
    this.#world = world
  }

  /** The next offset to read; -1: nothing was read yet. */
  position(partition: number): number {
    return this.#overlay.get(positionKey(partition))?.value.readDoubleBE(0) ?? -1
  }

  /** May throw a NotYet; the chunk is accepted again then. */
  accept(chunk: Chunk): void {
    this.#overlay.mark()
    for (const { key, value, timestamp, offset } of chunk.records) {
      if (key !== null && this.#isSound(key, value, chunk, offset)) this.#overlay.put(globalRowKey(key), value, timestamp)
      else this.skipped++
    }
    const position = Buffer.allocUnsafe(8)
    position.writeDoubleBE(chunk.position, 0)
    this.#overlay.put(positionKey(chunk.partition), position, 0)
    const begun = this.#caughtUpAtMs.size > 0 // before the first time the others are not known to be up to date
    if (begun && chunk.position >= chunk.endOffset) this.#caughtUpAtMs.set(chunk.partition, this.#world.clock.now())
  }

  /** How far one partition is, and since when for certain. */
  checkpointOf(partition: number): Checkpoint {
    const caughtUpAtMs = this.#caughtUpAtMs.get(partition)
    return { changelogOffset: this.position(partition), ...(caughtUpAtMs === undefined ? this.#since : { caughtUpAtMs }) }
  }

  /** Of these all was read that was in the topic then. */
  async caughtUp(partitions: readonly number[], atMs: number): Promise<void> {
    for (const partition of partitions) this.#caughtUpAtMs.set(partition, atMs)
    const { caughtUpAtMs } = this.#wholeSince()
    if (caughtUpAtMs !== undefined) await caughtUp(this.store, caughtUpAtMs)
  }

  #wholeSince(): Pick<Checkpoint, 'caughtUpAtMs'> {
    return this.#caughtUpAtMs.size === 0 ? this.#since : { caughtUpAtMs: Math.min(...this.#caughtUpAtMs.values()) }
  }

  /** What was accepted goes to disk. */
  async apply(): Promise<void> {
    if (this.#overlay.openEntries === 0) return
    this.#overlay.seal()
    await this.#overlay.apply({ changelogOffset: -1, ...this.#wholeSince() })
  }

  /** Loses what was not applied. */
  drop(): void {
    this.#overlay.drop()
  }

  readonly row: TableGetter = (key): Row<unknown> | null => {
    const stored = this.#overlay.get(globalRowKey(asBuffer(this.spec.key.encode(key))))
    return stored === undefined ? null : { value: this.spec.value.decode(stored.value), timestamp: stored.timestamp }
  }

  rowBytes(key: Buffer): Buffer | null {
    return this.#overlay.get(globalRowKey(key))?.value ?? null
  }

  /** For ranges of its rows, as they are now. */
  ranges(): Ranges {
    return this.#overlay.ranges()
  }

  /** All rows on disk, in the order of the keys' bytes. */
  async *all(): AsyncIterable<readonly [unknown, unknown]> {
    const { key, value } = this.spec
    for await (const chunk of this.store.scan(globalRange({ from: null, to: null }))) {
      for (const [row, stored] of chunk) yield await whenThere(() => [key.decode(row.subarray(1)), value.decode(stored.value)] as const)
    }
  }

  #isSound(key: Buffer, value: Buffer | null, { partition }: TopicPartition, offset: number): boolean {
    try {
      this.spec.key.decode(key)
      if (value !== null) this.spec.value.decode(value)
      return true
    } catch (error) {
      if (error instanceof NotYet) throw error
      const at = `${this.spec.topic}-${partition}@${offset}`
      this.#world.logger.warn({ at, store: this.spec.store.name, error }, 'a record of a global table can not be decoded, it is left out')
      return false
    }
  }
}

export type GlobalTables = readonly GlobalTable[]

export async function openGlobals(specs: readonly PlanGlobal[], provider: StoreProvider, world: World): Promise<GlobalTables> {
  const tables: GlobalTable[] = []
  try {
    for (const spec of specs) tables.push(await openGlobal(spec, provider, world))
  } catch (error) {
    await closeGlobals(tables).catch(() => {})
    throw error
  }
  return tables
}

export async function openGlobal(spec: PlanGlobal, provider: StoreProvider, world: World): Promise<GlobalTable> {
  const { name, persistent } = spec.store
  const { store, rebuilt } = await provider.open(OWNER, name, persistent)
  if (rebuilt !== null) world.logger.warn({ store: name, reason: rebuilt }, 'store set aside, reading the global table anew')
  return new GlobalTable(spec, store, world)
}

/** The same table, empty. `keep`: what it held may be worth looking at. */
export async function emptied(
  table: GlobalTable,
  provider: StoreProvider,
  world: World,
  { reason, keep }: { readonly reason: string; readonly keep: boolean },
): Promise<GlobalTable> {
  await table.store.close()
  await provider.setAside(OWNER, table.spec.store.name, reason, keep)
  const told = { store: table.spec.store.name, reason }
  if (keep) world.logger.warn(told, 'store set aside, reading the global table anew')
  else world.logger.info(told, 'store removed, reading the global table anew')
  return openGlobal(table.spec, provider, world)
}

export async function closeGlobals(tables: GlobalTables): Promise<void> {
  const results = await Promise.allSettled(tables.map((table) => table.store.close()))
  for (const [i, result] of results.entries()) {
    if (result.status === 'rejected' && tables[i]?.store.damaged === null) throw result.reason
  }
}

export function globalNamed(tables: GlobalTables, name: string): GlobalTable | undefined {
  return tables.find(({ spec }) => spec.store.name === name)
}

/** Where a range of keys lies in the table's store. */
export function globalRange({ from, to, ...rest }: ScanRange): ScanRange {
  const first = from === null ? Buffer.of(ROW) : globalRowKey(from)
  return to === null ? { ...rest, from: first, to: Buffer.of(ROW + 1), toExclusive: true } : { ...rest, from: first, to: globalRowKey(to) }
}

/** The key of a row found there. */
export function globalKey(row: Buffer): Buffer {
  return row.subarray(1)
}

/** Of a key's bytes, in the table's store. */
export function globalRowKey(key: Buffer): Buffer {
  return Buffer.concat([Buffer.of(ROW), key])
}

function positionKey(partition: number): Buffer {
  const bytes = Buffer.alloc(5, POSITION)
  bytes.writeUInt32BE(partition, 1)
  return bytes
}
