// Which topics a sized plan needs: internal ones to create, external ones that a source reads.
import type { TopicSpec } from '../log/log.ts'
import type { PlanSource, SizedPlan } from '../topology/plan-types.ts'
import { deadLetterTopic } from './dead-letter.ts'

/** The internal topics and the dead-letter topic. */
export function topicSpecs(sized: SizedPlan, deadLetterPartitions: number): TopicSpec[] {
  const specs: TopicSpec[] = sized.plan.internalTopics.map(({ name, kind }) => ({
    name,
    kind,
    partitions: sized.partitions.get(name) as number,
  }))
  return [...specs, { name: deadLetterTopic(sized.plan.applicationId), kind: 'deadLetter', partitions: deadLetterPartitions }]
}

export function inputTopicsOf(source: PlanSource, known: Iterable<string>): readonly string[] {
  const { topics } = source
  return topics instanceof RegExp ? [...known].filter((topic) => topics.test(topic)) : topics
}
