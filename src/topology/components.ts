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
  for (const node of plan.nodes) {
    for (const parent of node.parents) {
      const [a, b] = [find(node.order), find(parent.order)]
      // The smaller number leads, so that components keep the order of their first nodes.
      root[Math.max(a, b)] = Math.min(a, b)
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
    stores: Object.freeze(nodes.flatMap((node) => node.stores)),
  })
}
