// The node list while a topology is being built, and the names taken so far. The only thing in this room that changes.
//
// Invariants
// 1. A node is frozen when it is added; its id is its index; its parents are there already.
// 2. Node names are unique; store names too, also when they differ only in case (they become directories).
// 3. A closed draft takes no more nodes.
import { MillraceError } from '../base/errors.ts'
import { checkName } from '../base/names.ts'
import type { AnySerde } from '../serde/serde.ts'
import type { Node, StoreSpec } from '../topology/node.ts'
import { given, refuse } from './check.ts'

export interface Draft {
  readonly topology: string
  readonly nodes: Node[]
  readonly names: Set<string>
  readonly counters: Map<string, number>
  /** Lower-case store name -> the name as written. */
  readonly stores: Map<string, string>
  open: boolean
}

/** Where a builder stands: a node of a draft. */
export interface Place {
  readonly draft: Draft
  readonly node: Node
}

/** Hides a builder's place from users. */
export const PLACE: unique symbol = Symbol('millrace.place')

export interface Placed {
  readonly [PLACE]: Place
}

type WithoutName<N> = N extends Node ? Omit<N, 'id' | 'name' | 'parents'> : never
export type NodeInit = WithoutName<Node>

export function newDraft(topology: string): Draft {
  return { topology, nodes: [], names: new Set(), counters: new Map(), stores: new Map(), open: true }
}

/** `count-2`: the first free name of that label. */
export function freshName(draft: Draft, label: string): string {
  for (let n = (draft.counters.get(label) ?? 0) + 1; ; n++) {
    const name = `${label}-${n}`
    if (draft.names.has(name) || draft.stores.has(name.toLowerCase())) continue
    draft.counters.set(label, n)
    draft.names.add(name)
    return name
  }
}

/** The name that the user gave when it is free, else a generated one. */
export function nodeName(draft: Draft, label: string, wanted: string | null): string {
  if (wanted === null || draft.names.has(wanted)) return freshName(draft, label)
  draft.names.add(wanted)
  return wanted
}

export function addNode(draft: Draft, name: string, parents: readonly Place[], init: NodeInit): Place {
  if (!draft.open) {
    throw new MillraceError(
      'STREAM_TOPOLOGY',
      `${name}: the topology "${draft.topology}" is already built; add operators inside its function`,
    )
  }
  for (const parent of parents) {
    if (parent.draft !== draft) {
      refuse(name, `"${parent.node.name}" belongs to another topology ("${parent.draft.topology}"); build both in one topology`)
    }
  }
  const ids = Object.freeze(parents.map((parent) => parent.node.id))
  const node = Object.freeze({ ...init, id: draft.nodes.length, name, parents: ids }) as Node
  draft.nodes.push(node)
  return { draft, node }
}

/** The store of an operator and the operator's name: the user's, or one made of the label and a number. */
export function claimStore(
  draft: Draft,
  label: string,
  wanted: string | undefined,
  key: AnySerde,
  value: AnySerde,
): { readonly name: string; readonly store: StoreSpec } {
  const generated = wanted === undefined
  if (!generated && typeof wanted !== 'string') refuse(label, `store must be a name, not ${given(wanted)}`)
  const storeName = generated ? freshName(draft, label) : checkName(wanted, `${label}: store`)
  const holder = draft.stores.get(storeName.toLowerCase())
  if (holder !== undefined) {
    const why = holder === storeName ? 'is taken' : `differs from "${holder}" only in case`
    refuse(label, `the store name "${storeName}" ${why}; give each store its own name`)
  }
  draft.stores.set(storeName.toLowerCase(), storeName)
  const name = generated ? storeName : nodeName(draft, label, storeName)
  return { name, store: Object.freeze({ name: storeName, key, value, generated, persistent: true, changelog: true }) }
}
