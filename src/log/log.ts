// The log port: the only way records enter or leave. Adapters: memory.ts, embedded/, kafka/ (and a simulated one in tests);
// all pass test/contract/log.contract.ts.
//
// Invariants
// 1. Readers see committed records only (read_committed), each partition in offset order. A reader with isolation 'uncommitted'
//    (in-process drivers only) also sees open transactions.
// 2. What a Writer committed under exactly_once becomes visible all at once with the input offsets, or never.
// 3. A Writer whose transactional id was taken over by a newer `init`, or whose group generation is old, writes nothing more:
//    STREAM_FENCED.
// 4. A Writer in doubt (lost answer, unclassified error) throws STREAM_DOUBT and stays unusable until `init` (R2).
import type { RecordColumns } from '../base/columns.ts'
import { MillraceError } from '../base/errors.ts'
import type { Headers, LogRecord, TopicPartition } from '../base/record.ts'

export type Guarantee = 'exactly_once' | 'at_least_once'

/** changelog: compacted; repartition: kept until consumed (retention -1); plain: the log's default. */
export type TopicKind = 'plain' | 'changelog' | 'repartition' | 'deadLetter'

export interface TopicSpec {
  readonly name: string
  readonly partitions: number
  readonly kind: TopicKind
}

export interface TopicInfo {
  readonly name: string
  readonly partitions: number
  /** Another one of the same name has another id; left out where the log has none. */
  readonly id?: string
}

/** A committed input position of a group: the next offset to read, and a few bytes of our own (partition time). */
export interface CommittedOffset extends TopicPartition {
  readonly offset: number
  readonly metadata: string
}

/** Records of one partition, in offset order, and where the next read begins (past control and aborted records too). */
export interface Chunk extends TopicPartition {
  readonly records: readonly LogRecord[]
  /** Bytes the records came in; for back-pressure. */
  readonly bytes: number
  readonly position: number
  /** The partition's end that this reader may see (last stable offset, or the high watermark when uncommitted). */
  readonly endOffset: number
}

/** The same in columns, which hold until the reader is asked again. */
export interface ColumnChunk extends Omit<Chunk, 'records'> {
  readonly columns: RecordColumns
}

export interface ReadFrom extends TopicPartition {
  readonly offset: number
}

/** Records that are gone before they were read, or offsets that were never there. */
export class OffsetOutOfRange extends MillraceError {
  readonly at: ReadFrom

  constructor(at: ReadFrom, message: string) {
    super('STREAM_OFFSET_OUT_OF_RANGE', message)
    this.at = at
  }
}

export interface Reader {
  /** Replaces what is read. A partition whose position (behind the last chunk handed out) is the offset given goes on undisturbed, its
   *  pause included; any other offset is a seek. One that is left out loses its buffered records and its pause. */
  assign(partitions: readonly ReadFrom[]): void
  /** Like assign of the present set with this one added or re-positioned. What was fetched for it before is dropped. */
  seek(partition: ReadFrom): void
  /** A paused partition is not fetched; what has arrived already may still come out of `poll`. */
  pause(partition: TopicPartition): void
  resume(partition: TopicPartition): void
  /** What has arrived, at most one chunk a partition; when nothing has, waits up to `waitMs` (0: not at all) or until `wake`.
   *  Throws STREAM_OFFSET_OUT_OF_RANGE (message names topic-partition, offset and the valid range), STREAM_TOPIC_MISSING. Passing
   *  faults of a broker are retried inside. */
  poll(waitMs: number): Promise<readonly Chunk[]>
  /** As `poll`, without an object for each record. Left out where they are objects anyway. */
  pollColumns?(waitMs: number): Promise<readonly ColumnChunk[]>
  /** Ends a waiting `poll` at once. */
  wake(): void
  close(): Promise<void>
}

export interface ReaderOptions {
  readonly isolation?: 'committed' | 'uncommitted'
}

/** Who commits: the broker refuses offsets of an old generation. For a standalone reader (no group) null is passed instead. */
export interface GroupIdentity {
  readonly groupId: string
  readonly generation: number
  readonly memberId: string
  readonly instanceId: string | null
}

export interface WriterOptions {
  /** Ignored under at_least_once. */
  readonly transactionalId: string
  readonly guarantee: Guarantee
}

/** The next offset after the last record that a sealed epoch wrote, by `partitionName(topic, partition)`. */
export type EndOffsets = ReadonlyMap<string, number>

/** The one producer of a worker: appends to the open epoch; at a barrier `seal`, `flush`, `commit`. One sealed epoch at a time.
 *  What is appended after `seal` belongs to the next epoch and is not sent before the sealed one has ended. */
export interface Writer {
  /** First call and after any doubt: fences older writers of this id, settles their transaction (commits nothing), drops
   *  everything appended and not committed. */
  init(): Promise<void>
  /** Synchronous; the bytes are copied or kept, the caller never changes them. Throws STREAM_RECORD_TOO_LARGE before anything is
   *  taken, STREAM_TOPIC_MISSING for a topic that was never described. */
  append(topic: string, partition: number, timestamp: number, key: Buffer | null, value: Buffer | null, headers: Headers): void
  /** Bytes appended and not acknowledged yet. */
  readonly bufferedBytes: number
  /** Sends what may be sent; resolves when `bufferedBytes` is under LIMITS.sendBufferBytesHigh. */
  drain(): Promise<void>
  /** Everything appended so far is the sealed epoch. Throws when one is sealed already. */
  seal(): void
  /** Resolves when all records of the sealed epoch are acknowledged. */
  flush(): Promise<EndOffsets>
  /** exactly_once: offsets into the transaction, end it. at_least_once: a plain offset commit. Resolves when it is committed.
   *  An epoch without records and offsets costs nothing. */
  commit(identity: GroupIdentity | null, groupId: string, offsets: readonly CommittedOffset[]): Promise<void>
  close(): Promise<void>
}

export interface GroupMember {
  readonly memberId: string
  readonly instanceId: string | null
  readonly userData: Buffer
}

export interface GroupAssignment {
  readonly partitions: readonly TopicPartition[]
  readonly userData: Buffer
}

export interface GroupOptions {
  readonly groupId: string
  /** Static membership: a restart within the session timeout moves nothing. */
  readonly instanceId: string | null
  readonly topics: readonly string[]
  /** Instance ids of those that start together with it (itself may be among them): a leader that finds itself without some of them as it
   *  joins for the first time waits a moment for them before it deals out. A hint only. */
  readonly together?: readonly string[]
  /** Sent with each join. */
  userData(): Buffer
  /** On the leader only; pure. One entry for every member. */
  assign(members: readonly GroupMember[]): ReadonlyMap<string, GroupAssignment>
  /** Awaited before re-joining, under the old generation, so that a last epoch may still commit. `lost`: it may not. */
  onRevoke(lost: boolean): Promise<void>
  /** The new generation's assignment; not awaited by the protocol. */
  onAssign(assignment: GroupAssignment): void
  /** What ends the membership for good. */
  onFatal(error: unknown): void
}

export interface Group {
  /** Resolves when the first assignment was handed to `onAssign`. */
  start(): Promise<void>
  identity(): GroupIdentity
  /** Asks for a new assignment (the user data has changed). */
  rejoin(): void
  /** `leave`: also a static member gives its place up, instead of keeping it for the session timeout. One without an instance id always
   *  leaves. */
  close(leave?: boolean): Promise<void>
}

export type WhichOffset = 'earliest' | 'latest' | 'settled'

export interface Log {
  readonly kind: 'memory' | 'embedded' | 'kafka' | 'simulated'
  /** Those that exist, by name. */
  topics(names: readonly string[]): Promise<ReadonlyMap<string, TopicInfo>>
  topicNames(): Promise<readonly string[]>
  /** Creates what is missing; what exists must have the same number of partitions, else STREAM_TOPIC_MISMATCH naming both. */
  createTopics(specs: readonly TopicSpec[]): Promise<void>
  deleteTopics(names: readonly string[]): Promise<void>
  /** 'earliest': the first offset that still exists; 'latest': the end of what a committed reader may see. 'settled': the same, once every
   *  transaction has ended that was open there at the call: of a writer that hangs, or one whose end the partition has not heard of yet.
   *  Waits at most LIMITS.stableOffsetsTimeoutMs, then STREAM_UNSTABLE. In the order asked. */
  offsets(partitions: readonly TopicPartition[], which: WhichOffset): Promise<readonly number[]>
  /** The group's committed positions, null where there is none, in the order asked. Waits for a transaction that is being ended
   *  (R3), at most LIMITS.stableOffsetsTimeoutMs, then STREAM_UNSTABLE. */
  committed(groupId: string, partitions: readonly TopicPartition[]): Promise<readonly (CommittedOffset | null)[]>
  /** Takes static members out of the group, if they are in it: they will not come back. Left out where there are none. */
  dismiss?(groupId: string, instanceIds: readonly string[]): Promise<void>
  /** How long a tombstone can still be read at least, from when the row before it was compacted away; infinity: for ever. Null: it can't be
   *  told. Left out where it never can. */
  tombstonesKeptMs?(topic: string): Promise<number | null>
  /** Takes the records before these offsets away, for good. Left out where records are never taken away. */
  purge?(before: readonly ReadFrom[]): Promise<void>
  reader(options?: ReaderOptions): Reader
  writer(options: WriterOptions): Writer
  group(options: GroupOptions): Group
  close(): Promise<void>
}
