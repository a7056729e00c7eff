// Which tables need no changelog, with `optimize`: the topic that they read has all that their store must be made of again (as Kafka Streams'
// reuse.ktable.source.topics). Pure.
//
// Invariants
// 1. A store that is rebuilt from the topic is what the running one was: of the topic's records up to the committed position, those that
//    its serdes read, each under its own timestamp. What would make another one of them keeps its changelog:
//    a. several topics, a pattern, a stream made a table: there is no such topic;
//    b. an extractor of timestamps: a function of the user's may say something else the second time;
//    c. `offsetReset` other than 'earliest': the table may lack what came before it began;
//    d. a versioned table: what its history leaves out depends on the order in which all of it was processed;
//    e. a table of which something below looks at the row before: when that throws, the record is undone and the row before must stay, while
//       the topic has the record;
//    f. a second table of the topic: a topic is the changelog of one;
//    g. with `blockKey`: records of a key that is blocked become rows later than their places in the topic say (lower.ts);
//    h. one that records wait for: the coming of a row is an event there, that is undone with what it leads to.
// 2. What compaction has taken from the topic is not made again: a key whose older record is gone has no row until its newer one, behind the
//    committed position, is processed.
import type { Node } from './node.ts'

/** The topic of each, by the id of its `toTable` node. */
export function sourceFedTables(nodes: readonly Node[], sendsOld: ReadonlySet<number>): ReadonlyMap<number, string> {
  const awaited = awaitedTables(nodes)
  const fed = new Map<number, string>()
  for (const node of nodes) {
    if (node.kind !== 'toTable' || node.ofTopic !== true || node.store?.form !== undefined) continue
    if (sendsOld.has(node.id) || awaited.has(node.id)) continue
    const source = nodes[node.parents[0] as number]
    if (source?.kind !== 'source' || source.topics instanceof RegExp || source.timestamp !== null) continue
    const [topic, ...others] = source.topics
    if (topic === undefined || others.length > 0 || [...fed.values()].includes(topic) || (source.offsetReset ?? 'earliest') !== 'earliest')
      continue
    fed.set(node.id, topic)
  }
  return fed
}

/** Tables whose rows a record waits for, and what those are made of. */
function awaitedTables(nodes: readonly Node[]): ReadonlySet<number> {
  const awaited = new Set<number>()
  const visit = (id: number): void => {
    if (awaited.has(id)) return
    awaited.add(id)
    const node = nodes[id] as Node
    if (node.kind !== 'toTable') node.parents.forEach(visit)
  }
  for (const node of nodes) if (node.kind === 'bufferingJoin' || node.kind === 'holdUntil') node.parents.slice(1).forEach(visit)
  return awaited
}
