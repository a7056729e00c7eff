// Which topics must have equal partition counts, and why: state is found by partition number alone, so whatever meets in one store
// or one join must be cut the same way. Kafka Streams asks this of joins; we ask it of every store fed by several topics, since
// there a key's records would silently be spread over tasks.
import { MillraceError } from '../base/errors.ts'
import type { DraftNode, DraftPlan } from './draft-plan.ts'
import type { CoPartition } from './plan-types.ts'

export function coPartitionsOf(plan: DraftPlan): readonly CoPartition[] {
  const groups: CoPartition[] = []
  for (const node of plan.nodes) {
    if (!meets(node)) continue
    // Processors that share a store are fed by what feeds any of them.
    const sharing = plan.nodes.filter((other) => other === node || other.stores.some((store) => node.stores.includes(store)))
    const topics = topicsAbove(sharing)
    if (topics.length > 1 || topics[0] instanceof RegExp) groups.push(Object.freeze({ operator: node.name, topics: Object.freeze(topics) }))
  }
  for (const group of groups) checkAsked(plan, group)
  return Object.freeze(groups)
}

function meets(node: DraftNode): boolean {
  if (node.operator.kind === 'blockKey') return false // rows of a partition stay with it
  return node.stores.length > 0 || node.operator.kind === 'tableJoin' || node.operator.kind === 'streamTableJoin'
}

function topicsAbove(nodes: readonly DraftNode[]): (string | RegExp)[] {
  const seen = new Set<DraftNode>()
  const topics = new Map<string, string | RegExp>()
  const walk = (at: DraftNode): void => {
    if (seen.has(at)) return
    seen.add(at)
    if (at.operator.kind === 'source' && at.operator.carries !== 'letters') {
      const names = at.operator.topics instanceof RegExp ? [at.operator.topics] : at.operator.topics
      for (const topic of names) topics.set(String(topic), topic)
    }
    at.parents.forEach(walk)
  }
  nodes.forEach(walk)
  return [...topics.values()]
}

/** Partition counts that the user asked for must agree before any topic is looked at. */
function checkAsked(plan: DraftPlan, group: CoPartition): void {
  const asked = plan.topics.filter((topic) => topic.partitions !== null && group.topics.includes(topic.name))
  const [first] = asked
  const other = asked.find((topic) => topic.partitions !== first?.partitions)
  if (first === undefined || other === undefined) return
  const counts = `"${first.name}" has ${first.partitions} and "${other.name}" has ${other.partitions}`
  throw new MillraceError(
    'STREAM_TOPOLOGY',
    `"${group.operator}" needs equal partition counts, but ${counts}; repartition both to the same number`,
  )
}
