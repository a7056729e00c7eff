// What the plan asks of the log before anything runs: inputs and outputs exist, inputs that are joined have equal partition counts,
// internal topics are there. On the embedded log missing external topics are made; on Kafka they are somebody's business.
import { MillraceError } from '../base/errors.ts'
import type { Log } from '../log/log.ts'
import { deadLetterDoneTopic, deadLetterTopic } from '../runtime/dead-letter.ts'
import { Suspend } from '../runtime/suspend.ts'
import { inputTopicsOf, topicSpecs } from '../runtime/topics.ts'
import { matchesTopic } from '../topology/pattern.ts'
import type { Plan, PlanSource, SizedPlan } from '../topology/plan-types.ts'
import { sizePlan } from '../topology/sizing.ts'

export interface PreparedTopics {
  readonly sized: SizedPlan
  readonly partitionsOf: (topic: string) => number
  readonly inputTopics: (source: PlanSource) => readonly string[]
  /** Patterns that no topic matches: what is made later is read after a restart. */
  readonly unmatched: readonly RegExp[]
  /** Changelogs that had to be made although the group has processed records: of a store that is new, or deleted ones. */
  readonly emptied: readonly string[]
}

/** `createPartitions`: partitions of external topics that are made because they are missing; null: missing ones are refused. */
export async function prepareTopics(log: Log, plan: Plan, createPartitions: number | null): Promise<PreparedTopics> {
  const named = [...new Set([...plan.inputs, ...plan.outputs])]
  if (createPartitions !== null) await makeMissing(log, named, createPartitions)
  const infos = await log.topics(named)
  const missing = named.filter((name) => !infos.has(name))
  if (missing.length > 0) {
    const them = missing.join(', ')
    throw new MillraceError(
      'STREAM_TOPIC_MISSING',
      `missing topic${missing.length > 1 ? 's' : ''} ${them}: create ${missing.length > 1 ? 'them' : 'it'} first, with the partitions you want`,
    )
  }
  const partitions = new Map([...infos.values()].map((info) => [info.name, info.partitions]))
  const matching = plan.patterns.length === 0 ? [] : (await log.topicNames()).filter((name) => isMatchedInput(plan, name))
  for (const info of (await log.topics(matching)).values()) partitions.set(info.name, info.partitions)
  const sized = sizePlan(plan, partitions)
  const deadLetters = deadLetterTopic(plan.applicationId)
  // One that is there keeps its partitions, however wide the topology has become: letters go to the remainder.
  const deadLetterPartitions = (await log.topics([deadLetters])).get(deadLetters)?.partitions ?? Math.max(1, ...sized.tasks)
  const specs = topicSpecs(sized, deadLetterPartitions)
  const own = await log.topics(specs.map(({ name }) => name))
  for (const { name, partitions: needed } of specs) {
    const has = own.get(name)?.partitions ?? needed
    if (has !== needed) throw resized(name, has, needed, plan, partitions)
  }
  const missingChangelogs = specs.filter(({ name, kind }) => kind === 'changelog' && !own.has(name)).map(({ name }) => name)
  const emptied = missingChangelogs.length > 0 && (await hasBegun(log, plan, partitions)) ? missingChangelogs : []
  await log.createTopics(specs)
  for (const [name, count] of sized.partitions) partitions.set(name, count)
  partitions.set(deadLetters, deadLetterPartitions)
  return {
    sized,
    emptied,
    unmatched: plan.patterns.filter((pattern) => !matching.some((name) => matchesTopic(pattern, name))),
    inputTopics: (source) => inputTopicsOf(source, matching),
    partitionsOf(topic) {
      const count = partitions.get(topic)
      if (count !== undefined) return count
      throw new Suspend(async () => {
        if (createPartitions !== null) await makeMissing(log, [topic], createPartitions)
        const info = (await log.topics([topic])).get(topic)
        // 0 partitions is answered below as a missing topic: the record becomes a dead letter, not a loop.
        partitions.set(topic, info?.partitions ?? 0)
      })
    },
  }
}

/** The group has committed an offset behind the beginning of an input. */
async function hasBegun(log: Log, plan: Plan, partitions: ReadonlyMap<string, number>): Promise<boolean> {
  const all = plan.inputs.flatMap((topic) => Array.from({ length: partitions.get(topic) ?? 0 }, (_, partition) => ({ topic, partition })))
  const earliest = await log.offsets(all, 'earliest')
  return (await log.committed(plan.applicationId, all)).some((at, i) => at !== null && at.offset > (earliest[i] as number))
}

/** Its own topics were made for the partition counts that the inputs had then. */
function resized(name: string, has: number, needed: number, plan: Plan, partitions: ReadonlyMap<string, number>): MillraceError {
  const inputs = plan.inputs.map((input) => `${input} (${partitions.get(input)})`).join(', ')
  return new MillraceError(
    'STREAM_TOPIC_MISMATCH',
    `topic ${name} has ${has} partitions, ${needed} are needed for the inputs as they are now, ${inputs}: the keys have moved to other partitions than ` +
      'their state; give the inputs the partitions that they had, or begin anew under another application id',
  )
}

/** What a pattern of the topology matches, but never the log's own topics (`__consumer_offsets`) nor what this application keeps for
 *  itself, of an earlier shape of the topology too: a wide pattern would read its own changelogs. */
export function isMatchedInput(plan: Plan, name: string): boolean {
  if (name.startsWith('__') || name === deadLetterTopic(plan.applicationId)) return false
  if (name === deadLetterDoneTopic(plan.applicationId)) return false
  if (name.startsWith(`${plan.applicationId}-`) && /-(changelog|repartition)$/.test(name)) return false
  return plan.patterns.some((pattern) => matchesTopic(pattern, name))
}

async function makeMissing(log: Log, names: readonly string[], partitions: number): Promise<void> {
  const there = await log.topics(names)
  await log.createTopics(names.filter((name) => !there.has(name)).map((name) => ({ name, partitions, kind: 'plain' })))
}
