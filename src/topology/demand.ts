// Which tables must send their old value along, and which must be kept in a store though the user named none.
//
// Invariants (as Kafka Streams' enableSendingOldValues and its value getters)
// 1. A table group needs old values of its parent, a left or outer join of both, a foreign-key join of its left one; an inner join
//    without a store only when it must send old values itself.
// 2. filter, mapValues and joins without a store pass the demand up. A table at its source (toTable) answers it with a store.
// 3. A filter sends old values also unasked where it costs no further store: then it need not forward deletes of what it never let pass.
// 4. A join of two tables that are made of the same rows must keep what it put out where old values count: one change of a row comes to it
//    by both sides, one after the other, so that what the joiner makes of an old row and a new one was never out.
// 5. A table that a join looks up is in a store, or computed by filter, mapValues or a join from tables that are.
import type { Node } from './node.ts'

export interface Demand {
  /** Ids of nodes whose changes carry the old value. */
  readonly sendsOld: ReadonlySet<number>
  /** Ids of nodes that the plan must give a store. */
  readonly kept: ReadonlySet<number>
}

export function demandOf(nodes: readonly Node[]): Demand {
  const sendsOld = new Set<number>()
  const kept = new Set<number>()
  const readable = new Set<number>()
  const made = new Map<number, ReadonlySet<number>>()

  function demandOld(id: number): void {
    if (sendsOld.has(id)) return
    sendsOld.add(id)
    const node = nodes[id] as Node
    if (lacksStore(node) || meetsItself(id)) kept.add(id)
    else if (isComputed(node)) node.parents.forEach(demandOld)
  }

  function demandRead(id: number): void {
    if (readable.has(id)) return
    readable.add(id)
    const node = nodes[id] as Node
    if (node.kind === 'suppress') demandOld(id) // its row is what it let through last
    if (lacksStore(node)) kept.add(id)
    else if (isComputed(node)) node.parents.forEach(demandRead)
  }

  /** The tables whose stores its rows are made of. */
  function madeOf(id: number): ReadonlySet<number> {
    const node = nodes[id] as Node
    const found = made.get(id) ?? (isComputed(node) ? new Set(node.parents.flatMap((parent) => [...madeOf(parent)])) : new Set([id]))
    made.set(id, found)
    return found
  }

  function meetsItself(id: number): boolean {
    const node = nodes[id] as Node
    if (node.kind !== 'tableJoin' || node.store !== null) return false
    const [left, right] = node.parents as [number, number]
    return [...madeOf(left)].some((table) => madeOf(right).has(table))
  }

  /** Sends old values where that needs no further store. */
  function offerOld(id: number): boolean {
    if (sendsOld.has(id)) return true
    const node = nodes[id] as Node
    if ((lacksStore(node) || meetsItself(id)) && !kept.has(id)) return false
    if (isComputed(node) && !node.parents.map(offerOld).every(Boolean)) return false
    sendsOld.add(id)
    return true
  }

  const usedGroups = new Set(nodes.flatMap((node) => (node.kind === 'tableAggregate' ? node.parents : [])))
  for (const node of nodes) {
    const [first = -1, second = -1] = node.parents
    // What a cache lets go on carries the row from before the first update that waited.
    if ('store' in node && node.store?.cacheBytes !== undefined) demandOld(node.id)
    switch (node.kind) {
      case 'tableGroup':
        if (usedGroups.has(node.id)) demandOld(first)
        break
      case 'tableJoin':
        node.parents.forEach(demandRead)
        if (node.type !== 'inner') node.parents.forEach(demandOld)
        break
      case 'foreignKeyJoin':
        node.parents.forEach(demandRead)
        demandOld(first)
        break
      case 'holdUntil':
        node.parents.slice(1).forEach(demandRead)
        break
      case 'streamTableJoin':
      case 'bufferingJoin':
        demandRead(second)
        break
    }
  }
  for (const node of nodes) if ((node.kind === 'tableFilter' || node.kind === 'tableFilterNot') && !node.ofVersioned) offerOld(node.id)
  return { sendsOld, kept }
}

/** Has no store, and its rows can be found in none. */
function lacksStore(node: Node): boolean {
  return (node.kind === 'toTable' || node.kind === 'foreignKeyJoin') && node.store === null
}

/** Has no store, but its rows follow from its parents' rows. */
function isComputed(node: Node): boolean {
  switch (node.kind) {
    case 'tableFilter':
    case 'tableFilterNot':
    case 'tableMapValues':
    case 'tableJoin':
      return node.store === null
    case 'suppress':
      return true
    default:
      return false
  }
}
