// Which serdes a topic is read and shown with, as the plan knows them: its sources and its sinks.
import { readsTopic } from '../topology/pattern.ts'
import type { Plan } from '../topology/plan-types.ts'
import type { TopicSerdes } from './serdes.ts'

/** The serdes a source reads the topic with; null: the topology does not read it. */
export function inputSerdes(plan: Plan, topic: string): TopicSerdes | null {
  const global = plan.globals.find((table) => table.topic === topic)
  if (global !== undefined) return { key: global.key, value: global.value }
  let matched: TopicSerdes | null = null
  for (const sub of plan.subTopologies) {
    for (const { operator } of sub.nodes) {
      if (operator.kind !== 'source' || operator.internal) continue
      const { topics, key, value } = operator
      if (readsTopic(topics, topic)) {
        if (!(topics instanceof RegExp)) return { key, value }
        matched ??= { key, value }
      }
    }
  }
  return matched
}

/** For showing: of a sink that names the topic, of a source, of a repartition topic; null: nobody knows. */
export function shownSerdes(plan: Plan, topic: string): TopicSerdes | null {
  for (const sub of plan.subTopologies) {
    for (const { operator } of sub.nodes) {
      const named = (operator.kind === 'sink' || operator.kind === 'repartitionSink') && operator.topic === topic
      if (named) return { key: operator.key, value: operator.value }
    }
  }
  const read = inputSerdes(plan, topic)
  if (read !== null || topic === `${plan.applicationId}-dead-letter`) return read
  if (plan.internalTopics.some((internal) => internal.name === topic)) return null
  // A sink that computes its topic may have written it.
  for (const sub of plan.subTopologies) {
    for (const { operator } of sub.nodes) {
      if (operator.kind === 'sink' && typeof operator.topic === 'function') return { key: operator.key, value: operator.value }
    }
  }
  return null
}

/** For messages: what the topology reads. */
export function inputNames(plan: Plan): readonly string[] {
  return [...plan.inputs, ...plan.patterns.map(String)]
}
