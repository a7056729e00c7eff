// Refuses a topology that can't mean what it says. Looks at the whole; what one operator gets is checked by its builder.
import { MillraceError } from '../base/errors.ts'
import type { Node, SinkNode, SourceNode, Topology } from './node.ts'
import { matchesTopic, readsTopic } from './pattern.ts'

function refuse(topology: Topology, message: string): never {
  throw new MillraceError('STREAM_TOPOLOGY', `topology "${topology.name}": ${message}`)
}

/** Whether a value is what `topology()` gives; a topology file may export anything. */
export function isTopology(value: unknown): value is Topology {
  return typeof value === 'object' && value !== null && 'brand' in value && value.brand === 'millrace/topology'
}

export function sourcesOf(nodes: readonly Node[]): SourceNode[] {
  return nodes.filter((node) => node.kind === 'source')
}

/** Two declarations of one source: they are read once. */
export function sameSource(a: SourceNode, b: SourceNode): boolean {
  return (
    sameTopics(a.topics, b.topics) &&
    a.key === b.key &&
    a.value === b.value &&
    a.timestamp === b.timestamp &&
    a.offsetReset === b.offsetReset &&
    a.onError === b.onError
  )
}

function sameTopics(a: SourceNode['topics'], b: SourceNode['topics']): boolean {
  if (a instanceof RegExp || b instanceof RegExp) return String(a) === String(b)
  return a.length === b.length && a.every((topic, i) => topic === b[i])
}

/** A topic that both read, as far as it is known before any topic exists. */
function sharedTopic(a: SourceNode['topics'], b: SourceNode['topics']): string | undefined {
  if (a instanceof RegExp)
    return b instanceof RegExp ? (String(a) === String(b) ? String(a) : undefined) : b.find((topic) => matchesTopic(a, topic))
  return b instanceof RegExp ? a.find((topic) => matchesTopic(b, topic)) : a.find((topic) => b.includes(topic))
}

export function validate(topology: Topology): void {
  const sources = sourcesOf(topology.nodes)
  if (sources.length === 0) refuse(topology, 'it reads nothing; begin with t.stream(...) or t.table(...)')
  checkReadOnce(topology, sources)
  checkGlobals(topology, sources)
  for (const node of topology.nodes) if (node.kind === 'sink' && !node.loop) checkNoLoop(topology, node, sources)
}

function checkReadOnce(topology: Topology, sources: readonly SourceNode[]): void {
  for (const [i, a] of sources.entries()) {
    for (const b of sources.slice(i + 1)) {
      const shared = sharedTopic(a.topics, b.topics)
      if (shared === undefined || sameSource(a, b)) continue
      const names = `"${a.name}" and "${b.name}"`
      refuse(
        topology,
        `the topic "${shared}" is read by ${names} with other topics, serdes or options; read it once and use that stream twice`,
      )
    }
  }
}

/** A topic is a global table once, and nothing else. */
function checkGlobals(topology: Topology, sources: readonly SourceNode[]): void {
  const seen = new Map<string, string>()
  for (const node of topology.nodes) {
    if (node.kind !== 'globalTable') continue
    const other = seen.get(node.topic) ?? sources.find((source) => readsTopic(source.topics, node.topic))?.name
    seen.set(node.topic, node.name)
    if (other === undefined) continue
    refuse(topology, `the topic "${node.topic}" of the global table "${node.name}" is read by "${other}" too; read it once`)
  }
}

function checkNoLoop(topology: Topology, sink: SinkNode, sources: readonly SourceNode[]): void {
  const { topic } = sink
  if (typeof topic !== 'string') return
  for (const { topics, name } of sources) {
    if (!readsTopic(topics, topic)) continue
    refuse(
      topology,
      `"${sink.name}" writes the topic "${topic}" that "${name}" reads, an endless loop; if it is meant, to("${topic}", {loop: true})`,
    )
  }
}
