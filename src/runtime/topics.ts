// Which topics a sized plan needs: internal ones to create, external ones that a source reads.
import type { TopicSpec } from '../log/log.ts'
import { matchesTopic } from '../topology/pattern.ts'
import type { PlanSource, SizedPlan } from '../topology/plan-types.ts'
import { deadLetterTopic } from './dead-letter.ts'

/** The internal topics and the dead-letter topic. A sub-topology that reads only patterns nothing matches yet has no tasks, and its
 *  topics no partitions: they are made when it has. */
export function topicSpecs(sized: SizedPlan, deadLetterPartitions: number): TopicSpec[] {
  const specs: TopicSpec[] = sized.plan.internalTopics
    .map(({ name, kind }) => ({ name, kind, partitions: sized.partitions.get(name) as number }))
    .filter(({ partitions }) => partitions > 0)
  return [...specs, { name: deadLetterTopic(sized.plan.applicationId), kind: 'deadLetter', partitions: deadLetterPartitions }]
}

export function inputTopicsOf(source: PlanSource, known: Iterable<string>): readonly string[] {
  const { topics } = source
  return topics instanceof RegExp ? [...known].filter((topic) => matchesTopic(topics, topic)) : topics
}
