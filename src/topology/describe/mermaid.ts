// The plan as a mermaid flowchart: sub-topologies as subgraphs, topics and stores as their own shapes.
import { type Graph, type GraphTopic, titleOf } from './graph.ts'

export function mermaidOf({ topology, subTopologies }: Graph): string {
  const ids = new Map<string, string>()
  const idOf = (what: string, name: string): string => {
    const key = `${what} ${name}`
    const id = ids.get(key) ?? `${what}${ids.size}`
    ids.set(key, id)
    return id
  }
  const topics: string[] = []
  const links: string[] = []
  const seen = new Set<string>()
  const topicId = (topic: GraphTopic): string => {
    const id = idOf('topic', topic.name)
    if (!seen.has(id)) topics.push(`  ${id}[[${quoted([topic.name + mark(topic.generated)])}]]`)
    seen.add(id)
    return id
  }

  const lines = [`---`, `title: ${JSON.stringify(topology)}`, `---`, 'flowchart TD']
  for (const { id, nodes } of subTopologies) {
    lines.push(`  subgraph sub${id}[${quoted([`sub-topology ${id}`])}]`)
    for (const node of nodes) {
      const self = idOf('node', node.name)
      lines.push(`    ${self}[${quoted(titleOf(node))}]`)
      for (const store of node.stores) {
        const own = idOf('store', store.name)
        if (!seen.has(own)) lines.push(`    ${own}[(${quoted([store.name + mark(store.generated)])})]`)
        seen.add(own)
        links.push(`  ${self} -.- ${own}`)
      }
      for (const child of node.children) links.push(`  ${self} --> ${idOf('node', child)}`)
      for (const topic of node.reads) links.push(`  ${topicId(topic)} --> ${self}`)
      for (const topic of node.writes) links.push(`  ${self} --> ${topicId(topic)}`)
    }
    lines.push('  end')
  }
  return `${[...lines, ...topics, ...links].join('\n')}\n`
}

function mark(generated: boolean): string {
  return generated ? ' *' : ''
}

/** Mermaid reads text in quotes as HTML: what could be markup, or end the quotes, goes in as an entity. */
function quoted(parts: readonly string[]): string {
  const safe = parts.map((part) => part.replaceAll(/[&<>"#`\\]/g, (c) => `#${c.charCodeAt(0)};`))
  return `"${safe.join('<br/>')}"`
}
