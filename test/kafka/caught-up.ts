// How far an application on a real Kafka has come, by its committed offsets.
import type { Log } from '../../src/log/log.ts'
import type { Topology } from '../../src/topology/node.ts'
import { plan as planOf } from '../../src/topology/plan.ts'

/** Records of its inputs, internal ones too, that are not committed as processed. */
export async function backlog(log: Log, topology: Topology, applicationId: string): Promise<number> {
  const plan = planOf(topology, applicationId)
  const names = plan.subTopologies.flatMap((sub) =>
    sub.nodes.flatMap(({ operator }) => (operator.kind === 'source' && !(operator.topics instanceof RegExp) ? operator.topics : [])),
  )
  const infos = await log.topics([...new Set(names)])
  if (infos.size < new Set(names).size) return Number.POSITIVE_INFINITY // its own topics are not made yet
  const inputs = [...infos.values()].flatMap(({ name, partitions }) =>
    Array.from({ length: partitions }, (_, partition) => ({ topic: name, partition })),
  )
  // In this order: what an epoch wrote to a repartition topic is there when its input offset is.
  const committed = await log.committed(applicationId, inputs)
  const ends = await log.offsets(inputs, 'latest')
  const starts = await log.offsets(inputs, 'earliest')
  return inputs.reduce((sum, _, i) => sum + Math.max(0, (ends[i] as number) - (committed[i]?.offset ?? (starts[i] as number))), 0)
}
