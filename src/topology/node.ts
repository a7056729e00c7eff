// The program as frozen data: what the DSL builds and the plan lowers. Nodes have no behaviour; functions over them are in
// validate.ts, plan.ts, fingerprint.ts, describe.ts. The `kind` of a node is the name of its operator in src/operators.
//
// Invariants
// 1. `id` is the node's index in `Topology.nodes`; parents come before children; children run in the order of their ids.
// 2. A node with `store` owns that store; a store name belongs to one node. Processors share stores (`ProcessNode.stores`) and
//    read those of tables (`ProcessNode.borrowed`).
// 3. Functions are users' callbacks, value first and key second; nothing here calls them.
import type { ErrorPolicy } from '../base/error-policy.ts'
import type { Windows } from '../base/window.ts'
import type { AnySerde } from '../serde/serde.ts'

export type Fn = (...args: any[]) => any
/** Where a source begins when its group has no committed offset; `none`: it does not begin. */
export type OffsetReset = 'earliest' | 'latest' | 'none'
export type JoinType = 'inner' | 'left' | 'outer'

/** A key-value store of a node. `generated`: the user gave no name (the plan says so). */
export interface StoreSpec {
  readonly name: string
  readonly key: AnySerde
  readonly value: AnySerde
  readonly generated: boolean
  readonly persistent: boolean
  readonly changelog: boolean
  /** It has no changelog of its own: its rows are the records of this topic, as far as its task has committed them. */
  readonly source?: string
  /** The operator's updates wait for the commit, or until so much waits. */
  readonly cacheBytes?: number
  /** Of a store that the user declared for processors: what it is. */
  readonly form?: StoreForm
}

export type StoreForm =
  | { readonly kind: 'keyValue'; readonly ttlMs: number | null }
  | { readonly kind: 'window'; readonly sizeMs: number; readonly retentionMs: number }
  | { readonly kind: 'session'; readonly retentionMs: number }
  | { readonly kind: 'versioned'; readonly retentionMs: number }

interface Base {
  readonly id: number
  /** Unique: `filter-3`, or the name the user gave. Errors name it. */
  readonly name: string
  readonly parents: readonly number[]
  /** Serdes of what the node puts out; null where it is not known (then json() at the next boundary). */
  readonly key: AnySerde
  readonly value: AnySerde
  /** The output's key may differ from the input's: a stateful operator below must repartition. Set by the builder. */
  readonly keyChanged: boolean
  /** Of what it throws itself; left out: what the application says. */
  readonly onError?: ErrorPolicy
}

export interface SourceNode extends Base {
  readonly kind: 'source'
  readonly topics: readonly string[] | RegExp
  readonly timestamp: Fn | null
  /** Null: what the application says for all. */
  readonly offsetReset: OffsetReset | null
}

export interface SinkNode extends Base {
  readonly kind: 'sink'
  /** A topic, or a function (value, key, record) => topic. */
  readonly topic: string | Fn
  /** (value, key, partitions) => partition; null: murmur2 of the key. */
  readonly partition: Fn | null
  /** The user said `{loop: true}`: reading and writing the same topic is meant. */
  readonly loop: boolean
}

export interface StatelessNode extends Base {
  readonly kind: 'filter' | 'filterNot' | 'map' | 'mapValues' | 'flatMap' | 'flatMapValues' | 'selectKey' | 'peek' | 'forEach'
  readonly fn: Fn
}

/** Passes on unchanged: `merge` of streams (several parents), `toStream` (new values only), `branch` (one output of a split). */
export interface PassNode extends Base {
  readonly kind: 'merge' | 'toStream' | 'branch'
}

/** Its children are `branch` nodes: child i takes what predicate i is first to accept; a last child without predicate the rest. */
export interface SplitNode extends Base {
  readonly kind: 'split'
  readonly predicates: readonly Fn[]
  readonly hasDefault: boolean
}

/** An explicit `repartition()`; the plan puts implicit ones where a changed key meets state. */
export interface RepartitionNode extends Base {
  readonly kind: 'repartition'
  readonly partitions: number | null
  readonly topicName: string | null
}

/** `t.table` and `toTable`: the latest value per key. store null: nothing needs it kept (the plan may materialise it). */
export interface ToTableNode extends Base {
  readonly kind: 'toTable'
  readonly store: StoreSpec | null
  /** Of `t.table`: its parent is the topic itself. */
  readonly ofTopic?: true
}

export interface TableStatelessNode extends Base {
  readonly kind: 'tableFilter' | 'tableFilterNot' | 'tableMapValues'
  readonly fn: Fn
  /** Its parent is a versioned table. */
  readonly ofVersioned: boolean
  readonly store: StoreSpec | null
}

export interface LastWriteWinsNode extends Base {
  readonly kind: 'lastWriteWins'
  readonly store: StoreSpec
  readonly version: Fn
  readonly deleted: Fn | null
  readonly tombstoneRetentionMs: number
}

/** Stream aggregation without a window. count: no functions; reduce: adder only; aggregate: both. */
export interface AggregateNode extends Base {
  readonly kind: 'aggregate'
  readonly form: 'count' | 'reduce' | 'aggregate'
  readonly store: StoreSpec
  readonly initial: Fn | null
  readonly adder: Fn | null
}

/** Aggregation of one grouped stream or several (cogroup) over windows; an adder a parent, none for count. The store's keys are rows of
 *  its own layout (serde/window-rows.ts); `key` is windowed, `inner` its key without the window. */
export interface WindowAggregateNode extends Base {
  readonly kind: 'windowAggregate'
  readonly form: 'count' | 'reduce' | 'aggregate'
  readonly windows: Windows
  readonly emit: 'update' | 'close'
  readonly onLate: Fn | null
  /** Its first child is a sink, which takes the records that come too late and nothing else. */
  readonly sinksLate: boolean
  readonly inner: AnySerde
  readonly store: StoreSpec
  /** From a window's start, in stream time. */
  readonly retentionMs: number
  readonly initial: Fn | null
  readonly adders: readonly Fn[]
  /** Of sessions: (left, right, key) => merged. */
  readonly merger: Fn | null
}

/** Aggregation of several grouped streams without a window; an adder a parent. */
export interface CogroupNode extends Base {
  readonly kind: 'cogroup'
  readonly store: StoreSpec
  readonly initial: Fn
  readonly adders: readonly Fn[]
}

/** Lets the first event of each id through and drops the others, as long as the id is remembered. idOf (value, key, record) => id or null. */
export interface DedupeNode extends Base {
  readonly kind: 'dedupe'
  readonly store: StoreSpec
  readonly idOf: Fn
  readonly retentionMs: number
}

export type ParkClock = 'either' | 'wall' | 'stream'

/** How records wait: for how long, what then, and how many. */
export interface Buffering {
  readonly timeoutMs: number
  readonly clock: ParkClock
  readonly onTimeout: 'deadLetter' | 'emit' | 'drop'
  readonly recordsMax: number
  readonly onFull: 'pause' | 'expireOldest' | 'fail'
}

/** parents: [stream, table]. A stream record waits until its row is there. `on` (value, key) => the table's key, or null; null: by key. */
export interface BufferingJoinNode extends Base {
  readonly kind: 'bufferingJoin'
  readonly store: StoreSpec
  readonly on: Fn | null
  readonly joiner: Fn
  readonly buffering: Buffering
  readonly stream: { readonly key: AnySerde; readonly value: AnySerde }
  readonly tableKey: AnySerde
}

/** What a record waits for: a row, in that version or a later one. `table`: its place in `HoldUntilNode.tables`. */
export interface HoldDependency {
  readonly table: number
  readonly key: unknown
  readonly version: number | bigint | string | null
}

/** parents: [stream, ...tables]. A record waits until all rows that it depends on are there; dependencies (value, key) => HoldDependency[]. */
export interface HoldUntilNode extends Base {
  readonly kind: 'holdUntil'
  readonly store: StoreSpec
  readonly dependencies: Fn
  readonly tables: readonly { readonly name: string; readonly key: AnySerde }[]
  readonly buffering: Buffering
  /** Serdes of what comes in, and goes out. */
  readonly stream: { readonly key: AnySerde; readonly value: AnySerde }
}

/** How calls are made. */
export interface Calling {
  /** Calls that one task has under way at most. */
  readonly concurrency: number
  /** Records of one key one at a time, in their order; but for those that `unordered` (value) accepts. */
  readonly ordered: boolean
  readonly unordered: Fn | null
  readonly timeoutMs: number
  /** Tries of one record, the first one included. */
  readonly attempts: number
  /** Before the second try; twice as long before each further one. */
  readonly backoffMs: number
  /** What becomes of a record whose call has failed for good; (value, key, error) => result. Null: what the policy for callbacks says. */
  readonly onError: 'deadLetter' | 'skip' | 'fail' | Fn | null
  /** Records that wait or are called for, in one task. */
  readonly recordsMax: number
}

/** Calls fn (value, key, call) for each record; its answer is the new value. */
export interface MapAsyncNode extends Base {
  readonly kind: 'mapAsync'
  readonly store: StoreSpec
  readonly fn: Fn
  readonly calling: Calling
  /** Serdes of what comes in. */
  readonly stream: { readonly key: AnySerde; readonly value: AnySerde }
}

/** Holds a table's updates back until `waitMs` after their window's end, or after the first of them. */
export interface SuppressNode extends Base {
  readonly kind: 'suppress'
  readonly store: StoreSpec
  readonly untilClose: boolean
  /** What `waitMs` is measured by. */
  readonly clock: 'stream' | 'wall'
  readonly waitMs: number
  readonly recordsMax: number | null
  readonly bytesMax: number | null
}

/** `table.groupBy`: mapper (value, key) => [groupKey, groupValue]; key and value are the serdes of the group. Always followed by
 *  a repartition topic that carries Changes. */
export interface TableGroupNode extends Base {
  readonly kind: 'tableGroup'
  readonly fn: Fn
}

export interface TableAggregateNode extends Base {
  readonly kind: 'tableAggregate'
  readonly form: 'count' | 'reduce' | 'aggregate'
  readonly store: StoreSpec
  readonly initial: Fn | null
  readonly adder: Fn | null
  readonly subtractor: Fn | null
}

/** parents: [left, right]. joiner (left, right, key). */
export interface TableJoinNode extends Base {
  readonly kind: 'tableJoin'
  readonly type: JoinType
  readonly joiner: Fn
  readonly store: StoreSpec | null
}

/** parents: [left, right]. foreignKey (value, key) => the right table's key, or null. */
export interface ForeignKeyJoinNode extends Base {
  readonly kind: 'foreignKeyJoin'
  readonly type: 'inner' | 'left'
  readonly foreignKey: Fn
  readonly joiner: Fn
  readonly store: StoreSpec | null
}

/** parents: [stream, table]. Only the stream triggers. */
export interface StreamTableJoinNode extends Base {
  readonly kind: 'streamTableJoin'
  readonly type: 'inner' | 'left'
  readonly joiner: Fn
  /** Stream records wait for so long in the store; null: they do not wait, there is no store. */
  readonly graceMs: number | null
  readonly store: StoreSpec | null
  /** Serdes of the stream that comes in. */
  readonly streamKey: AnySerde
  readonly streamValue: AnySerde
}

/** A table's store that a processor reads, and what its rows are. Of time and sliding windows: how far a window's end is from its start, and
 *  how far its start from the next one's (null: anywhere). */
export type Borrowed =
  | { readonly rows: 'plain' | 'lastWriteWins' | 'versioned' | 'sessions' | 'global'; readonly spec: StoreSpec }
  | { readonly rows: 'windows'; readonly spec: StoreSpec; readonly spanMs: number; readonly advanceMs: number | null }

/** A user's processor. supplier (context) => {process(record)}. `processValues` may not change the key. */
export interface ProcessNode extends Base {
  readonly kind: 'process' | 'processValues'
  readonly supplier: Fn
  /** Several processors may share one; the plan puts them into one sub-topology. */
  readonly stores: readonly StoreSpec[]
  /** Names of those stores that this one only reads. */
  readonly readOnly: readonly string[]
  /** Those of `stores` that belong to a table, and global tables (which are in no sub-topology, and not in `stores`). */
  readonly borrowed: readonly Borrowed[]
  /** Names of outputs: child i is a `branch` node that takes what is forwarded to output i, and what is forwarded to all. */
  readonly outputs: readonly string[]
}

/** `t.globalTable`: every process holds all of the topic. Its parents are none, its children joins; it is in no sub-topology. */
export interface GlobalTableNode extends Base {
  readonly kind: 'globalTable'
  readonly topic: string
  readonly store: StoreSpec
}

/** parents: [stream, global table]. tableKey (value, key) => key of the table, or null. Only the stream triggers. */
export interface StreamGlobalJoinNode extends Base {
  readonly kind: 'streamGlobalJoin'
  readonly type: 'inner' | 'left'
  readonly tableKey: Fn
  readonly joiner: Fn
  /** The global table's store. */
  readonly table: string
}

/** parents: [left, right], two streams. joiner (left, right, key). */
export interface StreamJoinNode extends Base {
  readonly kind: 'streamJoin'
  readonly type: JoinType
  readonly joiner: Fn
  /** A right record may be this much earlier, this much later than the left one. */
  readonly beforeMs: number
  readonly afterMs: number
  readonly graceMs: number
  /** Serdes of what comes in. */
  readonly left: { readonly key: AnySerde; readonly value: AnySerde }
  readonly right: { readonly key: AnySerde; readonly value: AnySerde }
  /** Rows of its own layout (operators/join-rows.ts). */
  readonly store: StoreSpec
}

export type Node =
  | SourceNode
  | SinkNode
  | StatelessNode
  | PassNode
  | SplitNode
  | RepartitionNode
  | ToTableNode
  | TableStatelessNode
  | LastWriteWinsNode
  | AggregateNode
  | WindowAggregateNode
  | CogroupNode
  | SuppressNode
  | DedupeNode
  | BufferingJoinNode
  | MapAsyncNode
  | HoldUntilNode
  | TableGroupNode
  | TableAggregateNode
  | TableJoinNode
  | ForeignKeyJoinNode
  | StreamTableJoinNode
  | ProcessNode
  | StreamJoinNode
  | GlobalTableNode
  | StreamGlobalJoinNode

/** What a topology file default-exports. `brand` tells it from any other object. */
export interface Topology {
  readonly brand: 'millrace/topology'
  readonly name: string
  readonly nodes: readonly Node[]
  /** Operators that would repartition the same stream share one topic. */
  readonly optimize?: true
}
