// The plan: a topology lowered to sub-topologies, internal topics and stores. Made by plan.ts, read by runtime/compile.ts,
// assignment and describe. Frozen data.
//
// Lowering (plan.ts)
// - `repartition` nodes, and stateful nodes whose parent has `keyChanged`, become a `repartitionSink` and a `source` of the
//   topic `<applicationId>-<name>-repartition` in another sub-topology. Only the stream side of a stream-table join is repartitioned.
// - `tableGroup` becomes a `changeSink`; its `tableAggregate` hangs below a `changeSource` of that topic.
// - `foreignKeyJoin` becomes `foreignKeyLeft` (in the left table's sub-topology: input 0 the left changes, input 1 the responses)
//   and `foreignKeyRight` (in the right's: input 0 the right changes, input 1 the subscriptions), joined by two topics
//   `<applicationId>-<name>-subscription-repartition` and `<applicationId>-<name>-response-repartition`.
// - `holdUntil` stays with the stream (input 0; the others are answers) and gets a `holdTable` beside each of its tables, joined by two topics
//   `<applicationId>-<store>-<table>-questions-repartition` and `...-answers-repartition`.
// - With `blockKey` each source of records or Changes gets a `blockKey` below it, above all else, and a topic beside it by which dead letters
//   come back: `<applicationId>-<topic>-blocked-letters-repartition`.
// - A sub-topology is a connected component of what is left. Its tasks are numbered by partition: its sources are co-partitioned.
import type { ErrorPolicy } from '../base/error-policy.ts'
import type { AnySerde } from '../serde/serde.ts'
import type {
  AggregateNode,
  BufferingJoinNode,
  CogroupNode,
  DedupeNode,
  Fn,
  ForeignKeyJoinNode,
  HoldUntilNode,
  LastWriteWinsNode,
  MapAsyncNode,
  OffsetReset,
  PassNode,
  ProcessNode,
  SinkNode,
  SplitNode,
  StatelessNode,
  StoreSpec,
  StreamGlobalJoinNode,
  StreamJoinNode,
  StreamTableJoinNode,
  SuppressNode,
  TableAggregateNode,
  TableGroupNode,
  TableJoinNode,
  TableStatelessNode,
  ToTableNode,
  WindowAggregateNode,
} from './node.ts'

/** Reads one topic (or all that match a pattern). `carries`: records; Changes of a tableGroup; raw bytes of a foreign-key join; dead letters
 *  that come back. */
export interface PlanSource {
  readonly kind: 'source'
  readonly topics: readonly string[] | RegExp
  readonly internal: boolean
  readonly carries: 'records' | 'changes' | 'bytes' | 'letters'
  readonly key: AnySerde
  readonly value: AnySerde
  readonly timestamp: Fn | null
  /** Null: what the application says for all. */
  readonly offsetReset: OffsetReset | null
  /** Of input that can't be decoded or dated; left out: what the application says. */
  readonly onError?: ErrorPolicy
}

/** A sink whose topic is chosen by record: what it must not choose. */
export interface PlanSink extends SinkNode {
  /** Of the sources: an endless loop, unless `loop`. */
  readonly inputs?: readonly (readonly string[] | RegExp)[]
  /** Topics of the application's own. */
  readonly internal?: ReadonlySet<string>
}

/** Writes records to an internal topic. Null keys are dropped and counted, unless a left join reads it. */
export interface RepartitionSink {
  readonly kind: 'repartitionSink'
  readonly topic: string
  readonly keepsNullKeys: boolean
  readonly key: AnySerde
  readonly value: AnySerde
}

/** Sends the records of a buffering join by foreign key to where their rows are, with their own keys and where they came from. */
export interface ParkingSink {
  readonly kind: 'parkingSink'
  readonly topic: string
  readonly join: BufferingJoinNode
}

/** Writes the Changes of a table group to its internal topic. */
export interface ChangeSink {
  readonly kind: 'changeSink'
  readonly topic: string
  readonly group: TableGroupNode
}

export interface ForeignKeyLeft {
  readonly kind: 'foreignKeyLeft'
  readonly join: ForeignKeyJoinNode
  /** Writes to it; key: the right table's key. */
  readonly subscriptionTopic: string
  /** Keeps per left key: sequence, foreign key, the right row last heard of. */
  readonly state: StoreSpec
  readonly foreignKeySerde: AnySerde
  readonly leftKey: AnySerde
  readonly leftValue: AnySerde
  readonly rightValue: AnySerde
}

export interface ForeignKeyRight {
  readonly kind: 'foreignKeyRight'
  readonly join: ForeignKeyJoinNode
  /** Writes to it, to the partition that the subscription names. */
  readonly responseTopic: string
  /** Keeps the subscriptions: int32 length of the foreign key, foreign key, left key. */
  readonly state: StoreSpec
  readonly foreignKeySerde: AnySerde
  readonly rightValue: AnySerde
}

/** Input 0: the stream. Input i + 1: what table i answers. */
export interface HoldUntil {
  readonly kind: 'holdUntil'
  readonly hold: HoldUntilNode
  /** Writes to them, by table; key: the table's key. */
  readonly questionTopics: readonly string[]
}

export interface HoldTable {
  readonly kind: 'holdTable'
  /** Writes to it, to the partition that the question names. */
  readonly answerTopic: string
  /** Keeps the questions as a foreign-key join keeps its subscriptions. */
  readonly state: StoreSpec
  readonly tableKey: AnySerde
  readonly tableName: string
}

/** Keeps a key's later records waiting behind a dead letter. Input 0: the source's records; input 1: letters that come back. */
export interface BlockKey {
  readonly kind: 'blockKey'
  readonly source: PlanSource
  /** By which letters come back. */
  readonly topic: string
  /** How many may wait in one task. */
  readonly recordsMax: number
}

export type PlanOperator =
  | PlanSource
  | RepartitionSink
  | ChangeSink
  | ForeignKeyLeft
  | ForeignKeyRight
  | PlanSink
  | StatelessNode
  | PassNode
  | SplitNode
  | ToTableNode
  | TableStatelessNode
  | LastWriteWinsNode
  | AggregateNode
  | WindowAggregateNode
  | CogroupNode
  | SuppressNode
  | DedupeNode
  | BufferingJoinNode
  | ParkingSink
  | MapAsyncNode
  | HoldUntil
  | HoldTable
  | BlockKey
  | TableAggregateNode
  | TableJoinNode
  | StreamTableJoinNode
  | ProcessNode
  | StreamJoinNode
  | StreamGlobalJoinNode

export interface PlanNode {
  /** Index in the sub-topology's `nodes`; parents come first. */
  readonly index: number
  /** The topology node's name, or one made by the plan; unique in the plan. */
  readonly name: string
  readonly operator: PlanOperator
  /** Serdes of what the node puts out. */
  readonly key: AnySerde
  readonly value: AnySerde
  /** In declared order, depth first. `input` is which parent of the child this is (0 left, 1 right). */
  readonly children: readonly { readonly index: number; readonly input: number }[]
  readonly parents: readonly number[]
  /** The node's changes carry the old value too (something below needs it, as Kafka Streams' sendOldValues). */
  readonly sendsOld: boolean
  /** The stores that the operator owns, as it must open them (a store the plan adds to a table that must be kept is here too). */
  readonly stores: readonly StoreSpec[]
}

export interface SubTopology {
  readonly id: number
  readonly nodes: readonly PlanNode[]
  /** Indices of source nodes. */
  readonly sources: readonly number[]
  readonly stores: readonly StoreSpec[]
}

export interface InternalTopic {
  readonly name: string
  readonly kind: 'repartition' | 'changelog'
  /** A number that the user asked for; null: as many as the tasks that write (changelog) or the greatest input (repartition). */
  readonly partitions: number | null
  /** The sub-topology that owns the changelog, or reads the repartition topic. */
  readonly subTopology: number
  /** changelog: the store. */
  readonly store: string | null
  /** repartition: the sub-topology that writes it. */
  readonly writtenBy: number | null
  /** True when the name follows from a generated one, so that it may change when the topology does. */
  readonly generated?: boolean
  /** It has as many partitions as its reader has tasks, and has no say in how many these are. */
  readonly beside?: boolean
}

/** Topics that must have equal partition counts, and which operator says so (for the error). */
export interface CoPartition {
  readonly operator: string
  readonly topics: readonly (string | RegExp)[]
}

/** A topic that every process holds all of. */
export interface PlanGlobal {
  readonly topic: string
  readonly key: AnySerde
  readonly value: AnySerde
  readonly store: StoreSpec
}

export interface Plan {
  readonly applicationId: string
  readonly topology: string
  readonly subTopologies: readonly SubTopology[]
  readonly internalTopics: readonly InternalTopic[]
  readonly coPartitions: readonly CoPartition[]
  readonly globals: readonly PlanGlobal[]
  /** External topics with fixed names. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly patterns: readonly RegExp[]
}

/** With the partition counts of the external inputs known: how many tasks each sub-topology has, how many partitions each
 *  internal topic. */
export interface SizedPlan {
  readonly plan: Plan
  /** By sub-topology id. */
  readonly tasks: readonly number[]
  /** By internal topic name. */
  readonly partitions: ReadonlyMap<string, number>
}
