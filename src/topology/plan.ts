// plan: a topology and an application id -> sub-topologies, stores and internal topics. Pure; knows no partition count yet.
import { MillraceError } from '../base/errors.ts'
import { checkName } from '../base/names.ts'
import { componentsOf } from './components.ts'
import { coPartitionsOf } from './copartition.ts'
import { type BlockKeyOptions, type DraftPlan, internalTopicName } from './draft-plan.ts'
import { lower } from './lower.ts'
import { refuseReadTwice } from './lower-block.ts'
import type { Topology } from './node.ts'
import type { InternalTopic, Plan } from './plan-types.ts'
import { sourcesOf } from './validate.ts'

/** What the options of a run change in its plan. */
export interface PlanOptions {
  readonly blockKey?: BlockKeyOptions
}

export function plan(topology: Topology, applicationId: string, { blockKey }: PlanOptions = {}): Plan {
  checkName(applicationId, 'application')
  const draft = lower(topology, applicationId, blockKey ?? null)
  const { subTopologies, idOf } = componentsOf(draft)
  const sources = sourcesOf(topology.nodes).map((node) => node.topics)
  const sinks = topology.nodes.filter((node) => node.kind === 'sink').map((node) => node.topic)
  const globals = topology.nodes.flatMap((node) =>
    node.kind === 'globalTable' ? [Object.freeze({ topic: node.topic, key: node.key, value: node.value, store: node.store })] : [],
  )
  const changelogs = subTopologies.flatMap(({ id, stores }) =>
    stores
      .filter((store) => store.changelog)
      .map((store): InternalTopic => {
        const name = internalTopicName(draft, store.name, 'changelog')
        return Object.freeze({
          name,
          kind: 'changelog',
          partitions: null,
          subTopology: id,
          store: store.name,
          writtenBy: null,
          generated: store.generated,
        })
      }),
  )
  const made: Plan = {
    applicationId,
    topology: topology.name,
    subTopologies: Object.freeze(subTopologies),
    internalTopics: Object.freeze([...repartitionsOf(draft, idOf), ...changelogs]),
    coPartitions: coPartitionsOf(draft),
    globals: Object.freeze(globals),
    inputs: Object.freeze([
      ...new Set([...sources.flatMap((topics) => (topics instanceof RegExp ? [] : topics)), ...globals.map(({ topic }) => topic)]),
    ]),
    outputs: Object.freeze([...new Set(sinks.filter((topic) => typeof topic === 'string'))]),
    patterns: Object.freeze([
      ...new Map(sources.filter((topics) => topics instanceof RegExp).map((topics) => [String(topics), topics])).values(),
    ]),
  }
  for (const { name } of made.internalTopics) draft.internal.add(name)
  checkInternalAreOurs(made)
  refuseReadTwice(made)
  return Object.freeze(made)
}

function repartitionsOf(draft: DraftPlan, idOf: readonly number[]): InternalTopic[] {
  return draft.topics.map(({ name, partitions, generated, reader, writer, beside }) => {
    const subTopology = idOf[reader.order] as number
    const writtenBy = beside === true ? null : (idOf[writer.order] as number)
    const topic = { name, kind: 'repartition', partitions, subTopology, store: null, writtenBy, generated } as const
    return Object.freeze(beside === true ? { ...topic, beside } : topic)
  })
}

/** Nobody else may write what a store or an operator of ours reads back. */
function checkInternalAreOurs(made: Plan): void {
  for (const { name } of made.internalTopics) {
    const user = made.inputs.includes(name) ? 'read' : made.outputs.includes(name) ? 'written' : null
    if (user === null) continue
    throw new MillraceError(
      'STREAM_TOPOLOGY',
      `the topic "${name}" is ${user} by the topology, but it is one of its own internal topics; choose another name`,
    )
  }
}
