// Sub-topologies: the connected components of a draft plan, numbered in the order of their first node.
import type { DraftNode, DraftPlan } from './draft-plan.ts'
import type { PlanNode, SubTopology } from './plan-types.ts'

export interface Components {
  readonly subTopologies: readonly SubTopology[]
  /** By DraftNode.order. */
  readonly idOf: readonly number[]
}

export function componentsOf(plan: DraftPlan): Components {
  const root = plan.nodes.map((_, i) => i)
  const find = (i: number): number => {
    let at = i
    while (root[at] !== at) at = root[at] as number
    return at
  }
  const unite = (node: DraftNode, other: DraftNode): void => {
    const [a, b] = [find(node.order), find(other.order)]
    // The smaller number leads, so that components keep the order of their first nodes.
    root[Math.max(a, b)] = Math.min(a, b)
  }
  for (const node of plan.nodes) {
    for (const parent of node.parents) unite(node, parent)
  }
  // What shares a store shares its tasks.
  const holders = new Map<string, DraftNode>()
  for (const node of plan.nodes) {
    for (const { name } of node.stores) {
      const holder = holders.get(name)
      if (holder === undefined) holders.set(name, node)
      else unite(node, holder)
    }
  }
  const roots = [...new Set(plan.nodes.map((node) => find(node.order)))].sort((a, b) => a - b)
  const idOf = plan.nodes.map((node) => roots.indexOf(find(node.order)))
  const subTopologies = roots.map((_, id) =>
    subTopology(
      id,
      plan.nodes.filter((node) => idOf[node.order] === id),
    ),
  )
  return { subTopologies, idOf }
}

function subTopology(id: number, members: readonly DraftNode[]): SubTopology {
  const indexOf = new Map(members.map((node, index) => [node, index]))
  const nodes = members.map((node, index): PlanNode => {
    const children = members.flatMap((child) =>
      child.parents.flatMap((parent, input) => (parent === node ? [{ index: indexOf.get(child) as number, input }] : [])),
    )
    const { name, operator, key, value, sendsOld, stores } = node
    const parents = node.parents.map((parent) => indexOf.get(parent) as number)
    return Object.freeze({
      index,
      name,
      operator,
      key,
      value,
      children: Object.freeze(children),
      parents: Object.freeze(parents),
      sendsOld,
      stores,
    })
  })
  return Object.freeze({
    id,
    nodes: Object.freeze(nodes),
    sources: Object.freeze(nodes.filter((node) => node.operator.kind === 'source').map((node) => node.index)),
    stores: Object.freeze([...new Map(nodes.flatMap((node) => node.stores.map((store) => [store.name, store] as const))).values()]),
  })
}
