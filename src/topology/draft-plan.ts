// A plan while it is being made: nodes that know their parents but not yet their sub-topology, and the topics between them.
//
// Invariants
// 1. Nodes are in an order in which parents come first and children in the order declared.
// 2. Node names and store names (case folded) and internal topic names are unique in the plan.
import { MillraceError } from '../base/errors.ts'
import type { AnySerde } from '../serde/serde.ts'
import type { StoreSpec } from './node.ts'
import type { PlanOperator, PlanSource } from './plan-types.ts'

export interface DraftNode {
  /** Index in DraftPlan.nodes. */
  readonly order: number
  readonly name: string
  readonly operator: PlanOperator
  readonly key: AnySerde
  readonly value: AnySerde
  /** By input. */
  readonly parents: readonly DraftNode[]
  readonly sendsOld: boolean
  readonly stores: readonly StoreSpec[]
}

export interface DraftTopic {
  readonly name: string
  readonly partitions: number | null
  readonly generated: boolean
  readonly beside?: boolean
  readonly reader: DraftNode
  readonly writer: DraftNode
}

/** How many records may wait behind dead letters in one task. */
export interface BlockKeyOptions {
  readonly maxRecords: number
}

export interface DraftPlan {
  readonly applicationId: string
  readonly nodes: DraftNode[]
  readonly topics: DraftTopic[]
  readonly names: Set<string>
  readonly storeNames: Set<string>
  /** Names of the internal topics, known when all is lowered. */
  readonly internal: Set<string>
  /** With `optimize`: who reads the topic that a stream goes through, by the stream. Null: each reader has a topic of its own. */
  readonly shared: Map<string, DraftNode> | null
  /** Null: dead letters keep no key waiting. */
  readonly blockKey: BlockKeyOptions | null
}

/** Kafka's limit. */
const TOPIC_NAME_MAX = 249

export function addDraft(plan: DraftPlan, name: string, init: Omit<DraftNode, 'order' | 'name'>): DraftNode {
  const node = { ...init, order: plan.nodes.length, name: free(plan.names, name) }
  plan.names.add(node.name)
  plan.nodes.push(node)
  return node
}

/** A store of the plan's own making. */
export function addedStore(plan: DraftPlan, wanted: string, key: AnySerde, value: AnySerde, generated: boolean): StoreSpec {
  const name = free(plan.storeNames, wanted)
  plan.storeNames.add(name.toLowerCase())
  return Object.freeze({ name, key, value, generated, persistent: true, changelog: true })
}

function free(taken: ReadonlySet<string>, wanted: string): string {
  for (let n = 1, name = wanted; ; n++, name = `${wanted}-${n}`) if (!taken.has(name) && !taken.has(name.toLowerCase())) return name
}

export function internalTopicName(plan: { readonly applicationId: string }, name: string, suffix: 'changelog' | 'repartition'): string {
  const topic = `${plan.applicationId}-${name}-${suffix}`
  if (topic.length <= TOPIC_NAME_MAX) return topic
  const cure = `shorten the application id or the name "${name}"`
  throw new MillraceError(
    'STREAM_NAME',
    `the internal topic "${topic}" would be ${topic.length} characters long, over ${TOPIC_NAME_MAX}; ${cure}`,
  )
}

/** Two ends of an internal topic: the source that reads it, in a sub-topology of its own until something joins it. */
export function addInternalSource(
  plan: DraftPlan,
  name: string,
  topic: string,
  carries: PlanSource['carries'],
  key: AnySerde,
  value: AnySerde,
): DraftNode {
  const operator: PlanSource = {
    kind: 'source',
    topics: [topic],
    internal: true,
    carries,
    key,
    value,
    timestamp: null,
    offsetReset: 'earliest',
  }
  return addDraft(plan, name, { operator: Object.freeze(operator), key, value, parents: [], sendsOld: false, stores: [] })
}

/** Remembers an internal topic, refusing one that is there already. */
export function connect(plan: DraftPlan, topic: DraftTopic): void {
  const other = plan.topics.find(({ name }) => name === topic.name)
  if (other !== undefined) {
    const both = `"${other.writer.name}" and "${topic.writer.name}"`
    throw new MillraceError(
      'STREAM_TOPOLOGY',
      `${both} would both write the internal topic "${topic.name}"; give one of them another store or name`,
    )
  }
  plan.topics.push(topic)
}
