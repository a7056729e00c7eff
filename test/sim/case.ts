// What a case of the simulator is: a topology, the input it gets, and what must come of it. An oracle is a fold over the input records as
// they lie in their partitions; it shares no code with the operators.
import type { Guarantee } from '../../src/log/log.ts'
import type { Topology } from '../../src/topology/node.ts'
import { plan } from '../../src/topology/plan.ts'
import type { Plan } from '../../src/topology/plan-types.ts'
import type { Chance } from './chance.ts'
import type { History, Violation } from './history.ts'

/** An input record, as fed and as it lies in its partition. */
export interface Fed {
  readonly topic: string
  readonly key: string
  /** The text of its value; not JSON: poison. */
  readonly value: string
  readonly timestamp: number
}

/** What the records of one partition of one input lead to, in their order. */
export interface Outcome {
  /** Topic -> key -> values in order; null: a tombstone. */
  readonly outputs: ReadonlyMap<string, ReadonlyMap<string, readonly (string | null)[]>>
  /** Store -> key -> value, as a query answers it. */
  readonly tables: ReadonlyMap<string, ReadonlyMap<string, string>>
}

export interface SimCase {
  readonly name: string
  readonly topology: Topology
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** Stores whose registers rise for ever: no delete is forgotten. */
  readonly rising: readonly string[]
  /** Left out: exactly once only. At least once is for tables that a record may be put into again. */
  readonly guarantees?: readonly Guarantee[]
  /** Its stores hold input that is committed. At least once, what was given up and comes back may write over such a row: asked of exactly once only. */
  readonly holdsInput?: boolean
  /** Results may come after their input is committed: the end waits until each task is run by somebody and no call is left. */
  readonly goesOn?: boolean
  /** Dead letters keep their keys waiting, and somebody settles them. */
  readonly blockKey?: { readonly maxRecords: number }
  /** What leaves but a dead letter; left out: what cannot be decoded. */
  poison?(fed: Fed): boolean
  feed(chance: Chance, count: number): Fed[]
  /** What one partition of an input decides alone: outputs and stores of the tasks that read it. */
  ofPartition(topic: string, records: readonly Fed[]): Outcome
  /** What all of the input decides in the end, beside that: topic -> key -> the values in order. */
  inTheEnd(partitions: readonly (readonly Fed[])[]): {
    readonly sequences: ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>
    /** Topic -> key -> the last value; null or absent: a tombstone or nothing. */
    readonly last: ReadonlyMap<string, ReadonlyMap<string, string>>
  }
  /** What else can be said in the end where no oracle knows it all. */
  judge?(history: History): Violation[]
}

export const POISON = '{"cut off'
export const KEYS = ['a', 'b', 'c', 'd', 'e', 'f']
export const NONE = { sequences: new Map(), last: new Map() } as const

export const APPLICATION = 'app'

const plans = new WeakMap<SimCase, Plan>()

/** Frozen, so the same for all runs. */
export function planOf(of: SimCase): Plan {
  let known = plans.get(of)
  if (known === undefined) {
    known = plan(of.topology, APPLICATION, of)
    plans.set(of, known)
  }
  return known
}

const values = new WeakMap<Fed, unknown>()

/** Null: poison. The value is shared: nobody writes into it. */
export function parsed<T>(fed: Fed): T | null {
  let value = values.get(fed)
  if (value === undefined) {
    value = jsonOf(fed.value)
    values.set(fed, value)
  }
  return value as T | null
}

function jsonOf(text: string): unknown {
  if (text === POISON) return null // many oracles look at it, and an error takes its time
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

export const isPoison = (of: SimCase, fed: Fed): boolean => parsed(fed) === null || of.poison?.(fed) === true

export function listsOf<V>(): { add(key: string, value: V): void; readonly map: Map<string, V[]> } {
  const map = new Map<string, V[]>()
  return {
    map,
    add(key, value) {
      const list = map.get(key)
      if (list === undefined) map.set(key, [value])
      else list.push(value)
    },
  }
}
