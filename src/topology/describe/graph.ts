// A plan as plain data for showing: no functions, no serde objects. What `describe --format json` prints; text, mermaid and svg draw it.
import type { AnySerde } from '../../serde/serde.ts'
import { onErrorOf } from '../on-error.ts'
import type { Plan, PlanNode, PlanOperator, SubTopology } from '../plan-types.ts'

export interface GraphStore {
  readonly name: string
  readonly key: string
  readonly value: string
  /** The user gave no name. */
  readonly generated: boolean
  readonly persistent: boolean
  /** A table's own topic where `source`. */
  readonly changelog: string | null
  readonly source: boolean
}

export interface GraphTopic {
  readonly name: string
  readonly kind: 'external' | 'pattern' | 'dynamic' | 'internal'
  readonly key: string
  readonly value: string
  readonly generated: boolean
}

export interface GraphNode {
  readonly name: string
  /** What it does, as the user wrote it: `count`, `leftJoin`, `source`, `sink`, ... */
  readonly operator: string
  readonly key: string
  readonly value: string
  readonly reads: readonly GraphTopic[]
  readonly writes: readonly GraphTopic[]
  readonly stores: readonly GraphStore[]
  /** Names of nodes of the same sub-topology. */
  readonly parents: readonly string[]
  readonly children: readonly string[]
  /** What it says of errors, where that is not what the application says. */
  readonly onError?: string
}

export interface GraphSubTopology {
  readonly id: number
  readonly nodes: readonly GraphNode[]
}

export interface Graph {
  readonly topology: string
  readonly applicationId: string
  readonly subTopologies: readonly GraphSubTopology[]
  readonly internalTopics: readonly {
    readonly name: string
    readonly kind: 'repartition' | 'changelog'
    readonly partitions: number | null
    readonly generated: boolean
  }[]
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
}

export function graphOf(plan: Plan): Graph {
  return {
    topology: plan.topology,
    applicationId: plan.applicationId,
    subTopologies: plan.subTopologies.map((sub) => ({ id: sub.id, nodes: sub.nodes.map((node) => graphNode(plan, sub, node)) })),
    internalTopics: plan.internalTopics.map(({ name, kind, partitions, generated }) => ({
      name,
      kind,
      partitions,
      generated: generated === true,
    })),
    inputs: [...plan.inputs, ...plan.patterns.map(String)],
    outputs: plan.outputs,
  }
}

/** The lines of its box in a drawing. */
export function titleOf({ operator, name, onError }: GraphNode): readonly string[] {
  return [...(operator === name ? [] : [operator]), name, ...(onError === undefined ? [] : [`on error: ${onError}`])]
}

function graphNode(plan: Plan, sub: SubTopology, node: PlanNode): GraphNode {
  const nameAt = (index: number) => sub.nodes[index]?.name ?? ''
  const changelogs = plan.internalTopics.filter((topic) => topic.kind === 'changelog')
  const onError = onErrorOf(node.operator)
  return {
    name: node.name,
    operator: operatorLabel(node.operator),
    key: serdeName(node.key),
    value: serdeName(node.value),
    reads: readsOf(plan, node),
    writes: writesOf(plan, node),
    stores: node.stores.map(({ name, key, value, generated, persistent, source }) => ({
      name,
      key: serdeName(key),
      value: serdeName(value),
      generated,
      persistent,
      changelog: source ?? changelogs.find((topic) => topic.store === name)?.name ?? null,
      source: source !== undefined,
    })),
    parents: node.parents.map(nameAt),
    children: node.children.map(({ index }) => nameAt(index)),
    ...(onError === null ? {} : { onError }),
  }
}

function serdeName(serde: AnySerde): string {
  return serde.name ?? 'custom'
}

type Serdes = { readonly key: string; readonly value: string }

/** The messages of a foreign-key join have a format of their own. */
const RAW: Serdes = { key: 'bytes', value: 'bytes' }

function topicNamed(plan: Plan, name: string, { key, value }: Serdes): GraphTopic {
  const internal = plan.internalTopics.find((topic) => topic.name === name)
  return { name, kind: internal === undefined ? 'external' : 'internal', key, value, generated: internal?.generated === true }
}

function serdesOf({ key, value }: PlanNode): Serdes {
  return { key: serdeName(key), value: serdeName(value) }
}

function readsOf(plan: Plan, node: PlanNode): GraphTopic[] {
  if (node.operator.kind !== 'source') return []
  const { topics } = node.operator
  const serdes = serdesOf(node)
  if (topics instanceof RegExp) return [{ name: String(topics), kind: 'pattern', ...serdes, generated: false }]
  return topics.map((name) => topicNamed(plan, name, serdes))
}

function writesOf(plan: Plan, node: PlanNode): GraphTopic[] {
  const { operator } = node
  switch (operator.kind) {
    case 'sink':
      if (typeof operator.topic === 'string') return [topicNamed(plan, operator.topic, serdesOf(node))]
      return [{ name: '(chosen per record)', kind: 'dynamic', ...serdesOf(node), generated: false }]
    case 'repartitionSink':
    case 'changeSink':
    case 'parkingSink':
      return [topicNamed(plan, operator.topic, serdesOf(node))]
    case 'foreignKeyLeft':
      return [topicNamed(plan, operator.subscriptionTopic, RAW)]
    case 'holdUntil':
      return operator.questionTopics.map((topic) => topicNamed(plan, topic, RAW))
    case 'holdTable':
      return [topicNamed(plan, operator.answerTopic, RAW)]
    case 'foreignKeyRight':
      return [topicNamed(plan, operator.responseTopic, RAW)]
    default:
      return []
  }
}

const JOIN = { inner: 'join', left: 'leftJoin', outer: 'outerJoin' } as const

function operatorLabel(operator: PlanOperator): string {
  switch (operator.kind) {
    case 'aggregate':
    case 'windowAggregate':
    case 'tableAggregate':
      return operator.form
    case 'tableFilter':
      return 'filter'
    case 'tableFilterNot':
      return 'filterNot'
    case 'tableMapValues':
      return 'mapValues'
    case 'tableJoin':
    case 'streamTableJoin':
    case 'streamJoin':
      return JOIN[operator.type]
    case 'bufferingJoin':
      return operator.on === null ? 'join that waits' : 'join that waits, by foreign key'
    case 'holdTable':
      return `holdUntil, the side of ${operator.tableName}`
    case 'mapAsync':
      return operator.calling.ordered ? 'mapAsync, in the order of the key' : 'mapAsync, in no order'
    case 'streamGlobalJoin':
      return `${JOIN[operator.type]} with the global table ${operator.table}`
    case 'foreignKeyLeft':
      return `${JOIN[operator.join.type]} by foreign key`
    case 'foreignKeyRight':
      return `${JOIN[operator.join.type]} by foreign key, right side`
    case 'repartitionSink':
    case 'changeSink':
    case 'parkingSink':
      return 'repartition'
    default:
      return operator.kind
  }
}
