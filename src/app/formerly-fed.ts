// Refuses a table that is to have a changelog of its own where its rows have been those of its topic until now (`optimize`). That changelog has
// none of them: the table would begin empty, behind all that is committed.
//
// 1. Known from what goes along with the committed positions in the topic, so on every machine; asked before anything is made or noted.
// 2. Asked only of stores that this disk does not know: of the others store-forms.ts tells, and an open transaction of a process that died here
//    is not waited for.
// 3. Nor of tables of a topic that is the changelog of another table still: what goes along with its positions is of that one. One that has
//    taken the other's place begins empty, and the start warns of that (topics.ts).
import { MillraceError } from '../base/errors.ts'
import type { Log } from '../log/log.ts'
import { readPositionNote } from '../runtime/position.ts'
import type { Plan, PlanNode } from '../topology/plan-types.ts'

interface Kept {
  readonly store: string
  readonly topic: string
}

export async function refuseFormerlyFed(log: Log, plan: Plan, isKnown: (store: string) => boolean): Promise<void> {
  const kept = tablesWithChangelogs(plan).filter(({ store }) => !isKnown(store))
  if (kept.length === 0) return
  const infos = await log.topics(kept.map(({ topic }) => topic))
  const places = [...infos.values()].flatMap(({ name, partitions }) =>
    Array.from({ length: partitions }, (_, partition) => ({ topic: name, partition })),
  )
  const committed = await log.committed(plan.applicationId, places)
  const fed = committed.find((at) => at !== null && readPositionNote(at.metadata).feeds)?.topic
  const refused = kept.find(({ topic }) => topic === fed)
  if (refused === undefined) return
  throw new MillraceError(
    'STREAM_TOPOLOGY',
    `store ${refused.store} has a changelog of its own in this topology, and until now the rows of its table were those of the topic ${fed} ` +
      '(optimize): there are none in the changelog; go back to optimize, without blockKey, or reset the application',
  )
}

/** Of tables that read one topic. */
function tablesWithChangelogs(plan: Plan): Kept[] {
  const feeding = new Set(plan.subTopologies.flatMap(({ stores }) => stores.map(({ source }) => source)))
  return plan.subTopologies.flatMap(({ nodes }) =>
    nodes.flatMap(({ operator, stores, parents }) => {
      const store = stores[0]
      if (operator.kind !== 'toTable' || operator.ofTopic !== true || store?.changelog !== true) return []
      const [topic, ...others] = topicsOf(nodes, parents[0] as number)
      return topic === undefined || others.length > 0 || feeding.has(topic) ? [] : [{ store: store.name, topic }]
    }),
  )
}

function topicsOf(nodes: readonly PlanNode[], index: number): readonly string[] {
  const { operator, parents } = nodes[index] as PlanNode
  if (operator.kind === 'blockKey') return topicsOf(nodes, parents[0] as number)
  return operator.kind !== 'source' || operator.topics instanceof RegExp ? [] : operator.topics
}
