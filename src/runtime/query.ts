// How a store is read from outside its task: which sub-topology owns it, how its rows look to a person, which partition has a key.
import { asBuffer } from '../base/bytes.ts'
import { partitionOf } from '../base/murmur2.ts'
import type { Windowed } from '../base/window.ts'
import { latestOfRow, rowOfLastWriteWins } from '../operators/index.ts'
import { isPlainJson, writtenJson } from '../serde/json.ts'
import type { AnySerde } from '../serde/serde.ts'
import { isRowSerde } from '../serde/window-rows.ts'
import type { ScanRange, Stored } from '../state/store.ts'
import type { StoreSpec } from '../topology/node.ts'
import type { Plan, PlanGlobal, PlanNode } from '../topology/plan-types.ts'
import { globalKey, globalRange, globalRowKey } from './global-tables.ts'
import { aggregateWindows, declaredWindows, type WindowShape } from './window-shapes.ts'

export interface QueryableStore {
  readonly name: string
  /** -1: a global table, whose rows every process holds, in no task. */
  readonly subTopology: number
  /** `key` reads and writes the keys of the rows. */
  readonly spec: StoreSpec
  /** Where its rows are; a window store keeps other things beside them. */
  readonly range: ScanRange
  /** Its rows are of keys in windows: how they are found. */
  readonly windows: WindowShape | null
  /** Its keys have older versions too, in the store of that name. */
  readonly versions: { readonly history: string; readonly retentionMs: number } | null
  /** The row's value; null when the row is only a remembered delete. */
  rowOf(stored: Stored): unknown
  /** The value as JSON where its bytes are just that; null: it takes `rowOf`. */
  writtenOf(stored: Stored): string | null
  /** Bytes that the row of a key begins with when the key begins with those; null: that is no range here. */
  prefix(bytes: Buffer): Buffer | null
}

/** Operators whose rows are nobody's business. */
const OWN_ROWS: ReadonlySet<string> = new Set([
  'foreignKeyRight',
  'suppress',
  'dedupe',
  'bufferingJoin',
  'holdUntil',
  'holdTable',
  'mapAsync',
  'streamJoin',
  'streamTableJoin',
])
const ALL: ScanRange = { from: null, to: null }

/** Null: no such store (or an internal one whose rows are nobody's business). */
export function queryableStore(plan: Plan, name: string): QueryableStore | null {
  const global = plan.globals.find(({ store }) => store.name === name)
  if (global !== undefined) return globalStore(global)
  for (const sub of plan.subTopologies) {
    for (const node of sub.nodes) {
      const spec = node.stores.find((store) => store.name === name)
      const { kind } = node.operator
      if (spec === undefined || OWN_ROWS.has(kind) || isHistory(node, spec)) continue
      if (kind === 'foreignKeyLeft' && node.operator.state.name === name) continue
      const { form } = spec
      const valued = (bytesOf: (stored: Stored) => Buffer | null): Pick<QueryableStore, 'rowOf' | 'writtenOf'> => ({
        rowOf(stored) {
          const bytes = bytesOf(stored)
          return bytes === null ? null : spec.value.decode(bytes)
        },
        writtenOf(stored) {
          const bytes = isPlainJson(spec.value) ? bytesOf(stored) : null
          return bytes === null ? null : writtenJson(bytes)
        },
      })
      const plain: QueryableStore = {
        name,
        subTopology: sub.id,
        spec,
        range: ALL,
        windows: null,
        versions: null,
        ...valued((stored) => stored.value),
        prefix: (bytes) => bytes,
      }
      if (form?.kind === 'window' || form?.kind === 'session') {
        const { windows, key } = declaredWindows(spec, form.retentionMs, form.kind === 'window' ? form.sizeMs : null)
        return { ...plain, spec: { ...spec, key }, range: windows.range, windows, prefix: () => null }
      }
      if (form?.kind === 'versioned') {
        const versions = { history: (node.stores[historyAt(node, spec)] as StoreSpec).name, retentionMs: form.retentionMs }
        return { ...plain, versions, ...valued((stored) => latestOfRow(stored.value)) }
      }
      if (kind === 'lastWriteWins') return { ...plain, ...valued((stored) => rowOfLastWriteWins(stored.value)) }
      if (kind !== 'windowAggregate') return plain
      const windows = aggregateWindows(node.operator)
      return { ...plain, range: windows.range, windows, prefix: () => null }
    }
  }
  return null
}

function globalStore({ store, key, value }: PlanGlobal): QueryableStore {
  const rows: AnySerde = {
    ...(key.name === undefined ? {} : { name: key.name }),
    ...(key.toJson === undefined ? {} : { toJson: (of: unknown) => key.toJson?.(of) }),
    ...(key.fromJson === undefined ? {} : { fromJson: (json: unknown) => key.fromJson?.(json) }),
    encode: (of) => globalRowKey(asBuffer(key.encode(of))),
    decode: (bytes) => key.decode(globalKey(asBuffer(bytes))),
  }
  return {
    name: store.name,
    subTopology: -1,
    spec: { ...store, key: rows },
    range: globalRange(ALL),
    windows: null,
    versions: null,
    rowOf: (stored) => value.decode(stored.value),
    writtenOf: (stored) => (store.value === value && isPlainJson(value) ? writtenJson(stored.value) : null),
    prefix: globalRowKey,
  }
}

/** Where a versioned store's history is among the node's stores: behind all of them, in their order. */
function historyAt({ operator, stores }: PlanNode, spec: StoreSpec): number {
  const own = 'stores' in operator ? operator.stores : stores.slice(0, 1)
  return own.length + own.filter(({ form }) => form?.kind === 'versioned').indexOf(spec)
}

/** Older versions, beside a versioned store. */
function isHistory({ operator }: PlanNode, spec: StoreSpec): boolean {
  if (operator.kind === 'toTable') return operator.store !== null && operator.store !== spec && operator.store.form?.kind === 'versioned'
  return 'stores' in operator && !operator.stores.includes(spec)
}

export function queryableNames(plan: Plan): string[] {
  const names = [...plan.subTopologies.flatMap((sub) => sub.stores), ...plan.globals.map(({ store }) => store)].map(({ name }) => name)
  return names.filter((name) => queryableStore(plan, name) !== null)
}

export function encodeKey(store: QueryableStore, key: unknown): Buffer {
  return asBuffer(store.spec.key.encode(key))
}

/** A window's partition is its key's. */
export function taskPartition(store: QueryableStore, key: unknown, tasks: number): number {
  const { key: serde } = store.spec
  if (!isRowSerde(serde)) return partitionOf(encodeKey(store, key), tasks)
  return partitionOf(asBuffer(serde.inner.encode((key as Windowed<unknown>).key)), tasks)
}
