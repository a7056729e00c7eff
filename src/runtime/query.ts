// How a store is read from outside its task: which sub-topology owns it, how its rows look to a person, which partition has a key.
import { asBuffer } from '../base/bytes.ts'
import { partitionOf } from '../base/murmur2.ts'
import type { Windowed } from '../base/window.ts'
import { latestOfRow, rowOfLastWriteWins } from '../operators/index.ts'
import { isRowSerde, WINDOW } from '../serde/window-rows.ts'
import type { ScanRange, Stored } from '../state/store.ts'
import type { StoreSpec } from '../topology/node.ts'
import type { Plan, PlanNode } from '../topology/plan-types.ts'

export interface QueryableStore {
  readonly name: string
  readonly subTopology: number
  readonly spec: StoreSpec
  /** Where its rows are; a window store keeps other things beside them. */
  readonly range: ScanRange
  /** The row's value; null when the row is only a remembered delete. */
  rowOf(stored: Stored): unknown
}

/** Operators whose rows are nobody's business. */
const OWN_ROWS: ReadonlySet<string> = new Set(['foreignKeyRight', 'suppress', 'dedupe', 'bufferingJoin', 'streamJoin', 'streamTableJoin'])
const ALL: ScanRange = { from: null, to: null }
const WINDOWS: ScanRange = { from: Buffer.of(WINDOW), to: Buffer.of(WINDOW + 1), toExclusive: true }

/** Null: no such store (or an internal one whose rows are nobody's business). */
export function queryableStore(plan: Plan, name: string): QueryableStore | null {
  for (const sub of plan.subTopologies) {
    for (const node of sub.nodes) {
      const spec = node.stores.find((store) => store.name === name)
      const { kind } = node.operator
      if (spec === undefined || OWN_ROWS.has(kind)) continue
      if (kind === 'foreignKeyLeft' && node.operator.state.name === name) continue
      if (spec.form?.kind === 'window' || spec.form?.kind === 'session') continue // their rows have no key alone
      if (spec.form?.kind === 'versioned') {
        const rowOf = (stored: Stored): unknown => {
          const latest = latestOfRow(stored.value)
          return latest === null ? null : spec.value.decode(latest)
        }
        return { name, subTopology: sub.id, spec, range: ALL, rowOf }
      }
      if (isHistory(node, spec)) continue
      if (kind === 'lastWriteWins') {
        const rowOf = (stored: Stored): unknown => {
          const row = rowOfLastWriteWins(stored.value)
          return row === null ? null : spec.value.decode(row)
        }
        return { name, subTopology: sub.id, spec, range: ALL, rowOf }
      }
      const range = isRowSerde(spec.key) ? WINDOWS : ALL
      return { name, subTopology: sub.id, spec, range, rowOf: (stored) => spec.value.decode(stored.value) }
    }
  }
  return null
}

/** Older versions, beside a versioned store. */
function isHistory({ operator }: PlanNode, spec: StoreSpec): boolean {
  if (operator.kind === 'toTable') return operator.store !== null && operator.store !== spec && operator.store.form?.kind === 'versioned'
  return 'stores' in operator && !operator.stores.includes(spec)
}

export function queryableNames(plan: Plan): string[] {
  const names = plan.subTopologies.flatMap((sub) => sub.stores.map((store) => store.name))
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
