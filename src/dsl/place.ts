// How builders put nodes below other nodes: what a node keeps of its parent, and the wrapping of a place as a builder's own.
import { type ByteSize, sizeBytes } from '../base/byte-size.ts'
import type { AnySerde } from '../serde/serde.ts'
import type { Fn, JoinType, Node, StatelessNode, StoreSpec } from '../topology/node.ts'
import { given, refuse } from './check.ts'
import { addNode, claimStore, freshName, type NodeInit, nodeName, PLACE, type Place } from './draft.ts'

interface Serdes {
  readonly key: AnySerde
  readonly value: AnySerde
}

/** What a node says of errors, beside its serdes. */
type Body = Serdes & Pick<Node, 'onError'>

/** A stateless operator on a stream. */
export function addStateless(parent: Place, kind: StatelessNode['kind'], label: string, fn: Fn, body: Body, keyChanged: boolean): Place {
  return addNode(parent.draft, freshName(parent.draft, label), [parent], { kind, fn, ...body, keyChanged })
}

export function addPlain(parents: readonly Place[], label: string, init: NodeInit): Place {
  const { draft } = parents[0] as Place
  return addNode(draft, freshName(draft, label), parents, init)
}

/** An operator that always has a store. */
export function addStateful(
  parents: readonly Place[],
  label: string,
  wanted: string | undefined,
  serdes: Serdes,
  init: (store: StoreSpec) => NodeInit,
  cache?: ByteSize,
): Place {
  const { draft } = parents[0] as Place
  const cacheBytes = cache === undefined ? 0 : sizeBytes(cache, `${label}: cache`)
  const { name, store } = claimStore(draft, label, wanted, serdes.key, serdes.value)
  return addNode(draft, name, parents, init(cacheBytes === 0 ? store : Object.freeze({ ...store, cacheBytes })))
}

/** A table operator: kept in a store only where the user names one. */
export function addTable(
  parents: readonly Place[],
  label: string,
  wanted: string | undefined,
  serdes: Serdes,
  init: (store: StoreSpec | null) => NodeInit,
  cache?: ByteSize,
): Place {
  if (wanted !== undefined || cache !== undefined) return addStateful(parents, label, wanted, serdes, init, cache)
  return addPlain(parents, label, init(null))
}

/** A node with the name that the user gave, when it is free. */
export function addNamed(parent: Place, label: string, wanted: string | null, init: NodeInit): Place {
  return addNode(parent.draft, nodeName(parent.draft, label, wanted), [parent], init)
}

/** The place of another builder that was handed in; refuses what is none of the wanted class. */
export function placeOf(operator: string, what: string, other: unknown, wanted: abstract new (...args: never[]) => unknown): Place {
  if (other instanceof wanted) return (other as { readonly [PLACE]: Place })[PLACE]
  return refuse(operator, `${what} must be a ${wanted.name}, not ${given(other)}`)
}

export function serdesOf(node: Node): Serdes {
  return { key: node.key, value: node.value }
}

export const joinLabel: Readonly<Record<JoinType, string>> = { inner: 'join', left: 'leftJoin', outer: 'outerJoin' }
