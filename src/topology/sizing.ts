// sizePlan: with the partition counts of the external topics known, how many tasks each sub-topology has and how many partitions each
// internal topic. Pure.
//
// Invariants
// 1. Topics that must be co-partitioned form classes (groups that share a topic are one class); all of a class have one count.
// 2. A count comes from an external topic or from what the user asked for; else it is the greatest task count of what writes into
//    the class. The topics of a foreign-key join never lead: they follow the table that reads them.
// 3. A sub-topology has as many tasks as its widest source has partitions; a changelog, and what is `beside`, has as many partitions as tasks.
import { MillraceError } from '../base/errors.ts'
import { matchesTopic, readsTopic } from './pattern.ts'
import type { CoPartition, InternalTopic, Plan, PlanSource, SizedPlan, SubTopology } from './plan-types.ts'

interface Sizing {
  readonly plan: Plan
  /** Source topics by sub-topology, patterns resolved. */
  readonly topicsOf: readonly (readonly string[])[]
  readonly followers: ReadonlySet<string>
  readonly counts: Map<string, number>
}

interface Class {
  readonly topics: readonly string[]
  readonly groups: readonly CoPartition[]
}

export function sizePlan(plan: Plan, partitionsOf: ReadonlyMap<string, number>): SizedPlan {
  const internal = new Set(plan.internalTopics.map((topic) => topic.name))
  const outside = [...partitionsOf.keys()].filter((topic) => !internal.has(topic))
  const topicsOf = plan.subTopologies.map((sub) =>
    sourcesIn(sub).flatMap(({ operator }) => (operator.carries === 'letters' ? [] : resolve(operator.topics, outside))),
  )
  const carriers = plan.subTopologies.flatMap(sourcesIn).filter(({ operator }) => operator.carries === 'bytes')
  const followers = new Set(carriers.flatMap(({ operator }) => resolve(operator.topics, [])))
  const counts = externalCounts(plan, partitionsOf)
  for (const topic of topicsOf.flat()) if (!internal.has(topic)) counts.set(topic, partitionsOf.get(topic) as number)
  for (const { name, kind, partitions } of plan.internalTopics)
    if (kind === 'repartition' && partitions !== null) counts.set(name, partitions)

  const sizing: Sizing = { plan, topicsOf, followers, counts }
  const classes = classesOf(plan, outside)
  for (const each of classes) settle(sizing, each)
  while (settleOne(sizing, classes, true) || settleOne(sizing, classes, false)) {}

  const tasks = topicsOf.map((topics) => Math.max(0, ...topics.map((topic) => counts.get(topic) ?? 0)))
  const partitions = new Map(
    plan.internalTopics.map(({ name, kind, subTopology, beside }) => [
      name,
      kind === 'changelog' || beside === true ? (tasks[subTopology] ?? 0) : (counts.get(name) ?? 0),
    ]),
  )
  return Object.freeze({ plan, tasks: Object.freeze(tasks), partitions })
}

function sourcesIn(sub: SubTopology): { readonly name: string; readonly operator: PlanSource }[] {
  return sub.nodes.flatMap(({ name, operator }) => (operator.kind === 'source' ? [{ name, operator }] : []))
}

function resolve(topics: readonly string[] | RegExp, outside: readonly string[]): readonly string[] {
  return topics instanceof RegExp ? outside.filter((topic) => matchesTopic(topics, topic)) : topics
}

/** The counts of the named inputs; every one that is missing is named in one error. */
function externalCounts(plan: Plan, partitionsOf: ReadonlyMap<string, number>): Map<string, number> {
  const counts = new Map<string, number>()
  const missing: string[] = []
  for (const topic of plan.inputs) {
    const count = partitionsOf.get(topic)
    if (count === undefined || count < 1) missing.push(topic)
    else counts.set(topic, count)
  }
  if (missing.length === 0) return counts
  const readers = missing.map((topic) => {
    const reader = plan.subTopologies
      .flatMap(sourcesIn)
      .find(({ operator }) => !(operator.topics instanceof RegExp) && operator.topics.includes(topic))
    return `"${topic}" (read by "${reader?.name}")`
  })
  const what = missing.length === 1 ? 'the input topic' : 'the input topics'
  throw new MillraceError(
    'STREAM_TOPIC_MISSING',
    `${what} ${readers.join(', ')} can't be found; create ${missing.length === 1 ? 'it' : 'them'} first`,
  )
}

/** Groups that share a topic become one class; a repartition topic in no group is a class alone. */
function classesOf(plan: Plan, outside: readonly string[]): Class[] {
  let classes: Class[] = plan.internalTopics
    .filter(({ kind, beside }) => kind === 'repartition' && beside !== true)
    .map(({ name }) => ({ topics: [name], groups: [] }))
  for (const group of plan.coPartitions) {
    const topics = group.topics.flatMap((topic) => (typeof topic === 'string' ? [topic] : resolve(topic, outside)))
    const touched = classes.filter((each) => each.topics.some((topic) => topics.includes(topic)))
    const merged = new Set([...touched.flatMap((each) => each.topics), ...topics])
    classes = classes.filter((each) => !touched.includes(each))
    classes.push({ topics: [...merged], groups: [...touched.flatMap((each) => each.groups), group] })
  }
  return classes
}

/** Gives the count that some topic of the class has to all of it; refuses two different ones. */
function settle(sizing: Sizing, each: Class): void {
  const known = each.topics.filter((topic) => sizing.counts.has(topic))
  const [first] = known
  if (first === undefined) return
  const count = sizing.counts.get(first) as number
  const other = known.find((topic) => sizing.counts.get(topic) !== count)
  if (other !== undefined) refuseCounts(sizing, each, first, other)
  for (const topic of each.topics) sizing.counts.set(topic, count)
}

/** Sizes one class whose writers are known (`all`), or when writers wait for each other, one that some are known of. */
function settleOne(sizing: Sizing, classes: readonly Class[], all: boolean): boolean {
  for (const each of classes) {
    if (each.topics.some((topic) => sizing.counts.has(topic))) continue
    const leaders = sizing.plan.internalTopics.filter(({ name }) => each.topics.includes(name) && !sizing.followers.has(name))
    const widths = leaders.map((topic) => widthOfWriter(sizing, topic, all))
    const usable = widths.filter((width) => width !== null)
    if (usable.length === 0 || (all && usable.length < widths.length)) continue
    const count = Math.max(1, ...usable)
    for (const topic of each.topics) sizing.counts.set(topic, count)
    return true
  }
  return false
}

function widthOfWriter(sizing: Sizing, topic: InternalTopic, all: boolean): number | null {
  const sources = sizing.topicsOf[topic.writtenBy ?? -1] ?? []
  const known = sources.flatMap((source) => sizing.counts.get(source) ?? [])
  if (all ? known.length < sources.length : known.length === 0) return null
  return Math.max(0, ...known)
}

function refuseCounts(sizing: Sizing, each: Class, first: string, other: string): never {
  const both = each.groups.find((group) => [first, other].every((topic) => group.topics.some((read) => readsTopic(read, topic))))
  const operator = (both ?? each.groups[0])?.operator
  const counts = `"${first}" has ${sizing.counts.get(first)} partitions and "${other}" has ${sizing.counts.get(other)}`
  const cure = 'create them with equal counts, or put repartition() before it'
  throw new MillraceError('STREAM_TOPIC_MISMATCH', `"${operator}" needs co-partitioned topics, but ${counts}; ${cure}`)
}
