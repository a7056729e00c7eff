// What an operator is: a function from its site (its place in a task's program) to the functions that take its inputs. Synchronous;
// it reads and writes stores through views and hands results to `forward`. One small file an operator; index.ts has the table.
//
// Invariants
// 1. An operator holds no state of its own that matters after a crash: state is in stores; what it caches it can rebuild.
// 2. Whatever it does for one record is undone when it throws (the task rolls the stores back and drops what was staged).
// 3. For a stream `old` is undefined. For a table `value` null is a tombstone, and `old` is the row before, null when there was none,
//    or always null where the node's `sendsOld` is false.
import type { MillraceError } from '../base/errors.ts'
import type { Headers } from '../base/record.ts'
import type { AnySerde } from '../serde/serde.ts'
import type { ScanRange } from '../state/store.ts'
import type { PlanNode, PlanSource } from '../topology/plan-types.ts'
import type { Cancellable, TimerClock } from '../topology/processor.ts'

export type Push = (key: any, value: any, timestamp: number, old: any) => void

/** The input record that is being processed; one mutable object a task. Operators read it. */
export interface RecordContext {
  topic: string
  partition: number
  offset: number
  /** The record's timestamp after the source's extractor. */
  timestamp: number
  /** As the log has it: a dead letter has that. */
  recordTimestamp: number
  headers: Headers
  key: unknown
  /** The key's bytes as they came, and the serde that read them: whoever uses the same serde object on the same key need not encode. */
  keyBytes: Buffer | null
  keySerde: AnySerde | null
  value: unknown
  valueBytes: Buffer | null
  valueSerde: AnySerde | null
  /** Greatest timestamp that the task has processed; -1 before the first. */
  streamTime: number
}

export interface Row<V> {
  readonly value: V
  readonly timestamp: number
  /** Of a row of lastWriteWins. */
  readonly version?: number | bigint | string
}

/** A key-value store as operators see it: typed, through overlay, cache and disk. A null value is never stored. */
export interface StoreView<K = any, V = any> {
  readonly name: string
  get(key: K): Row<V> | null
  put(key: K, value: V, timestamp: number): void
  delete(key: K, timestamp: number): void
  /** Raw bytes, for operators with formats of their own. */
  getBytes(key: Buffer): Row<Buffer> | null
  putBytes(key: Buffer, value: Buffer | null, timestamp: number): void
  /** All rows whose key begins with these bytes, in the order of the bytes. May suspend the record (the task reads them
   *  from disk and runs the record again). */
  prefixBytes(prefix: Buffer): readonly (readonly [key: Buffer, row: Row<Buffer>])[]
  /** The lowest key below `below` among those that begin with the byte `region`, or null. May suspend the record, once for many keys. */
  first(region: number, below: Buffer): Buffer | null
  /** Rows of a range, as they are at the call: later writes are not seen. May suspend the record, at the call or on the way. What is left
   *  of it must not be used by a later record. */
  scan(range: ScanRange): IterableIterator<readonly [key: Buffer, row: Row<Buffer>]>
  /** The key's bytes: the input record's own when it is the same key under the same serde. */
  encodeKey(key: K): Buffer
  decodeKey(bytes: Buffer): K
  encodeValue(value: V): Buffer
  decodeValue(bytes: Buffer): V
}

/** Rows of a store that nobody here writes. */
export interface RowsReader {
  get(key: Buffer): Buffer | null
  scan(range: ScanRange): IterableIterator<readonly [key: Buffer, row: Row<Buffer>]>
}

/** The present row of a table, kept or computed from its parents; of a versioned one with a time, the row that held then. */
export type TableGetter = (key: any, asOf?: number) => Row<any> | null

/** Stands for the old row in a change of a versioned table that is not its key's latest: whoever keeps the present leaves it out. */
export const NOT_LATEST: unique symbol = Symbol('not the latest version')

export interface Counter {
  n: number
}

/** What an operator has to do by itself, between records: each `run` is one piece, undone as a whole when it throws. It is run when the wall
 *  clock or the stream time has come to these bounds; 0 is at once, as when the task opens. `run` raises them when nothing is left. */
export interface Wake {
  wallAtMs: number
  streamAtMs: number
  /** True: it did something, and is run again. */
  run(): boolean
  /** Set by the task: `run` has met a full operator further down, and waits until something else has happened. */
  held?: boolean
  /** A clock that a test moves stops at `wallAtMs` on its way: answers that come then count. */
  readonly stops?: boolean
  /** `run` threw, and was undone: what it was about is to be given up. Calls nobody's callback. */
  failed(error: unknown): void
}

/** Something slow that an operator has begun outside of the task. */
export interface UnderWay {
  /** The task is given up, or runs anew from what is committed: whatever comes of it is not wanted. */
  abort(): void
}

/** A record that is given up where it is not the one that is being processed. */
export interface GivenUpRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Headers
}

/** What operators may ask of their task. */
export interface TaskServices {
  /** Wall clock, epoch ms. */
  nowMs(): number
  /** The same without its jumps, as far as one run goes: for what waits until a time that is in a store. */
  steadyMs(): number
  /** Never goes back, ms. */
  monotonicMs(): number
  /** A timer of the node; `run` gets the clock's time. Undone with the record that set it. `kept` (the default): when it was set by a
   *  supplier, its next time goes along with the commit. */
  schedule(node: string, intervalMs: number, clock: TimerClock, run: (timestamp: number) => void, kept?: boolean): Cancellable
  /** A commit soon, before the interval is over. */
  requestCommit(): void
  /** From when the task opens. */
  wake(wake: Wake): void
  /** As the error's policy says, or a dead letter whatever that says. */
  giveUp(record: GivenUpRecord, error: unknown, always: 'deadLetter' | null): void
  /** Undoes the record that is being processed and keeps its input waiting, until something else has happened in the task. Comes back
   *  where what a record cache lets go must not wait: that is to be taken all the same. */
  pauseInput(): void
  /** Counts what is done or undone as a whole: tells whether the present record is still the same. */
  piece(): number
  /** What is under way now; the operator keeps it true. */
  readonly underWay: Set<UnderWay>
  /** Has the task look at its wakes soon; may be called at any time. */
  rouse(): void
  /** At least once: what stores do not know may have been put out before a crash. What takes something back takes it back unseen. */
  readonly repeats?: boolean
  /** A whole number, 0 <= n < bound. */
  chance(bound: number): number
}

export interface Site {
  readonly node: PlanNode
  readonly context: RecordContext
  /** The task's partition number. */
  readonly partition: number
  /** To all children, depth first. */
  readonly forward: Push
  /** To child i alone (split). */
  forwardTo(child: number): Push
  /** A store that the node owns, by index in node.stores. */
  store(index: number): StoreView
  /** The present row of the table at this input. */
  getter(input: number): TableGetter
  /** The rows of a global table, by its store's name. */
  global(store: string): TableGetter
  /** The same as bytes. A scan may suspend the record, as a store's may. */
  globalRows(store: string): RowsReader
  /** Stages a record; partition null: murmur2 of the key, without a key the task's own partition. Headers: the input's. */
  send(topic: string, partition: number | null, key: Buffer | null, value: Buffer | null, timestamp: number): void
  /** Number of partitions of a topic. May suspend the record for a topic never seen. */
  partitionsOf(topic: string): number
  /** The user's function, its throws named after the operator (STREAM_CALLBACK). */
  guard<F extends (...args: any[]) => any>(fn: F): F
  readonly services: TaskServices
  /** For what falls due by time: `step` takes up to `rowsMax` rows that are due, and says how many; with `drop` one, without putting it
   *  out. It is called from `now`, between records, and once after a start. */
  due(step: (rowsMax: number, drop: boolean) => number): { now(): void; at(ms: number | null): void }
  /** A counter in the node's metrics: 'dropped', 'stale', 'duplicate', ... */
  counter(name: string): Counter
  /** What goes up and down: set, not counted. */
  gauge(name: string): Counter
  /** No callback has seen a record's value before this operator writes it: while it is the same object, its bytes still say what it is. */
  readonly untouched: boolean
  /** The error, of a record of that source that could not be read: it falls under the source's policy. */
  undecodable(source: PlanSource, error: MillraceError): MillraceError
  /** The same, of one that was read and has no time that it could have. */
  misdated(source: PlanSource, error: MillraceError): MillraceError
}

export interface Instance {
  /** One a parent. */
  readonly inputs: readonly Push[]
  /** For tables: their present row. Absent: the node is no table. */
  readonly getter?: TableGetter
  /** By input: what is kept of a record that was undone because something threw. Calls nobody's callback, forwards and sends nothing. */
  readonly undone?: readonly (Push | null)[]
  /** Of what keeps keys waiting behind dead letters: by which topic letters come back, and that there is one of this key. */
  readonly block?: { readonly topic: string; mark(from: string, key: Buffer, offset: number): void }
  /** Stores (index in node.stores) that input i reads by the record's own key: what the task prefetches for a batch. */
  readonly reads?: readonly (readonly number[])[]
  /** By input: of a value it asks only whether it is null. */
  readonly unread?: readonly boolean[]
  /** For stores whose rows are not found by the record's key alone: the rows of store 0 that a record with a key of that serde will
   *  read, as far as key and timestamp tell. Prefetched too. */
  readonly ahead?: { readonly key: AnySerde; rows(key: Buffer, timestamp: number): readonly Buffer[] }
}

export type Operator = (site: Site) => Instance
