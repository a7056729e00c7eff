// Which operators write the values of their sources as those were read: no callback has seen them before that might have changed them in place, so
// that the bytes which came in still say what they are. Pure; looks at the nodes of one sub-topology.
//
// 1. A source with an extractor of timestamps hands on nothing untouched: the extractor is a callback.
// 2. Children are run depth first, in the declared order: what an earlier one does to a value the later ones see.
// 3. The callbacks of `lastWriteWins` must not change a value.
import type { PlanNode } from '../topology/plan-types.ts'

/** Hand on a value as it is, to nobody who may change it. */
const LEAVES_VALUE = new Set(['source', 'lastWriteWins', 'toTable', 'toStream', 'merge'])

/** By node. */
export function untouchedNodes(nodes: readonly PlanNode[]): readonly boolean[] {
  const arrives: boolean[] = []
  // Parents come before their children.
  nodes.forEach((node, index) => {
    const { operator, parents } = node
    arrives[index] =
      operator.kind === 'source'
        ? operator.timestamp === null
        : parents.every((parent) => arrives[parent] === true && handsOn(nodes[parent] as PlanNode, index, nodes))
  })
  return nodes.map((node, index) => arrives[index] === true && (LEAVES_VALUE.has(node.operator.kind) || onlyReads(node)))
}

/** The value, to that child, before anybody else has got it who may change it. */
function handsOn({ operator, children }: PlanNode, child: number, nodes: readonly PlanNode[]): boolean {
  if (!LEAVES_VALUE.has(operator.kind)) return false
  const last = children.findLastIndex(({ index }) => index === child)
  return children.slice(0, last).every(({ index }) => staysUntouched(nodes[index] as PlanNode, nodes))
}

function staysUntouched(node: PlanNode, nodes: readonly PlanNode[]): boolean {
  if (onlyReads(node)) return true
  return LEAVES_VALUE.has(node.operator.kind) && node.children.every(({ index }) => staysUntouched(nodes[index] as PlanNode, nodes))
}

/** It writes the value, and hands none on. */
function onlyReads({ operator }: PlanNode): boolean {
  switch (operator.kind) {
    case 'repartitionSink':
      return true
    case 'sink':
      return typeof operator.topic === 'string' && operator.partition === null
    case 'mapAsync':
      return operator.calling.unordered === null // its other callbacks get what was written
    default:
      return false
  }
}
