// Which tables are versioned: a source that keeps its history, and what is filtered or mapped from it without a store of its own. A join, an
// aggregate or a named store ends it (as in Kafka Streams).
import type { Node } from './node.ts'

/** How long the table's history reaches back; null: it has none. */
export function historyMs(nodes: readonly Node[], node: Node): number | null {
  switch (node.kind) {
    case 'toTable':
      return node.store?.form?.kind === 'versioned' ? node.store.form.retentionMs : null
    case 'tableFilter':
    case 'tableFilterNot':
    case 'tableMapValues':
      return node.store === null ? historyMs(nodes, nodes[node.parents[0] as number] as Node) : null
    default:
      return null
  }
}
