// What all clients of one in-process log share: topics, committed offsets, who writes under which transactional id, groups.
// Plain data and the functions over it; durability is a port of its own, null for the log in memory.
import { MillraceError } from '../../base/errors.ts'
import type { World } from '../../base/ports.ts'
import type { CommittedOffset, TopicSpec } from '../log.ts'
import type { GroupState } from './groups.ts'
import type { Partition, Run } from './partition.ts'

export interface Topic {
  readonly spec: TopicSpec
  readonly partitions: readonly Partition[]
  deleted: boolean
}

/** What one commit makes durable, all or nothing. */
export interface Commit {
  readonly runs: readonly Run[]
  readonly groupId: string
  readonly offsets: readonly CommittedOffset[]
}

export interface Durability {
  /** Called once the topics are known to be new; answers their partitions. */
  createTopics(specs: readonly TopicSpec[]): Promise<readonly Topic[]>
  deleteTopics(topics: readonly Topic[]): Promise<void>
  commit(commit: Commit): Promise<void>
  /** The runs of a commit are visible now and may leave memory. */
  settled(runs: readonly Run[]): void
  close(): Promise<void>
}

/** A reader that waits for something new. */
export interface Waiter {
  wake(): void
}

/** The newest writer of a transactional id. */
export interface Owner {
  /** One for every init. */
  readonly token: object
  /** Drops what it has not committed; resolves when a commit that is under way has ended, however. */
  fence(): Promise<void>
}

export interface State {
  readonly world: World
  readonly durability: Durability | null
  readonly topics: Map<string, Topic>
  /** Group id -> partition name -> position. */
  readonly offsets: Map<string, Map<string, CommittedOffset>>
  readonly owners: Map<string, Owner>
  readonly groups: Map<string, GroupState>
  /** Readers of committed records that wait, and readers of open epochs. */
  readonly waiters: Set<Waiter>
  readonly openWaiters: Set<Waiter>
  /** Commits with offsets under way, by group. */
  readonly ending: Map<string, Set<Promise<unknown>>>
  /** Changes of topics run one after the other. */
  admin: Promise<unknown>
  closed: boolean
}

export function emptyState(world: World, durability: Durability | null): State {
  return {
    world,
    durability,
    topics: new Map(),
    offsets: new Map(),
    owners: new Map(),
    groups: new Map(),
    waiters: new Set(),
    openWaiters: new Set(),
    ending: new Map(),
    admin: Promise.resolve(),
    closed: false,
  }
}

export function findPartition(state: State, topic: string, index: number): Partition {
  const partition = state.topics.get(topic)?.partitions[index]
  if (partition !== undefined) return partition
  const known = state.topics.get(topic)
  throw new MillraceError(
    'STREAM_TOPIC_MISSING',
    known === undefined
      ? `topic ${topic} does not exist; create it first`
      : `topic ${topic} has ${known.partitions.length} partitions, so there is no partition ${index}`,
  )
}

export function setOffsets(state: State, groupId: string, offsets: readonly CommittedOffset[]): void {
  if (offsets.length === 0) return
  let group = state.offsets.get(groupId)
  if (group === undefined) {
    group = new Map()
    state.offsets.set(groupId, group)
  }
  for (const { topic, partition, offset, metadata } of offsets) group.set(`${topic}-${partition}`, { topic, partition, offset, metadata })
}

/** Something was committed, dropped, created or deleted: whoever waits looks again. */
export function news(state: State): void {
  if (state.waiters.size > 0) for (const waiter of [...state.waiters]) waiter.wake()
  openNews(state)
}

/** Something was appended to an open epoch. */
export function openNews(state: State): void {
  if (state.openWaiters.size > 0) for (const waiter of [...state.openWaiters]) waiter.wake()
}
