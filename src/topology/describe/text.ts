// The plan as text for a terminal: one block a sub-topology, its nodes in the order in which records meet them, what is generated
// marked, and the internal topics at the end.
import type { Graph, GraphNode, GraphStore, GraphTopic } from './graph.ts'

export function textOf(graph: Graph): string {
  const { topology, applicationId, subTopologies, internalTopics } = graph
  const lines = [`topology ${topology}${applicationId === topology ? '' : `, application ${applicationId}`}`]
  for (const { id, nodes } of subTopologies) {
    lines.push('', `sub-topology ${id}`)
    for (const node of nodes) lines.push(...blockOf(node))
  }
  if (internalTopics.length > 0) {
    lines.push('', 'internal topics')
    const width = Math.max(...internalTopics.map(({ name }) => name.length))
    for (const { name, kind, partitions, generated } of internalTopics) {
      const count = partitions === null ? '' : `, ${partitions} partitions`
      lines.push(`  ${name.padEnd(width)}  ${kind}${count}${mark(generated)}`)
    }
  }
  if (isMarked(graph)) {
    lines.push('', '* the name is generated: it may change when operators are added; give the operator a store or a name to fix it')
  }
  return `${lines.join('\n')}\n`
}

function blockOf(node: GraphNode): string[] {
  const title = node.operator === node.name.replace(/-\d+$/, '') ? node.name : `${node.name} (${node.operator})`
  const lines = [`  ${title}`]
  for (const topic of node.reads) lines.push(`      reads   ${topicText(topic)}`)
  for (const store of node.stores) lines.push(`      store   ${storeText(store)}`)
  for (const topic of node.writes) lines.push(`      writes  ${topicText(topic)}`)
  if (node.onError !== undefined) lines.push(`      onError ${node.onError}`)
  if (node.parents.length > 0) lines.push(`      <--     ${node.parents.join(', ')}`)
  if (node.children.length > 0) lines.push(`      -->     ${node.children.join(', ')}`)
  return lines
}

function topicText({ name, key, value, generated }: GraphTopic): string {
  return `${name}${mark(generated)}  [${key}, ${value}]`
}

function storeText({ name, key, value, generated, persistent, changelog, source }: GraphStore): string {
  const kept = [
    persistent ? [] : ['in memory'],
    changelog === null ? ['no changelog'] : [`changelog ${changelog}${source ? ', its own topic' : ''}`],
  ].flat()
  return `${name}${mark(generated)}  [${key}, ${value}]  ${kept.join(', ')}`
}

function mark(generated: boolean): string {
  return generated ? ' *' : ''
}

function isMarked(graph: Graph): boolean {
  const stores = graph.subTopologies.flatMap(({ nodes }) => nodes.flatMap((node) => node.stores))
  return [...stores, ...graph.internalTopics].some(({ generated }) => generated)
}
