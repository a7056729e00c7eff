// The committed positions of a group: read stable (R3), and, for at_least_once, written.
//
// Invariants
// 1. Never answers an offset that an unfinished transaction may still move: it waits, bounded, and says what may be wrong.
// 2. An unset member or generation never reaches the wire (R4): a broker takes -1 and '' on an active group, unfenced.
import { type Connection, offsetCommitV9, offsetFetchV9 } from '@platformatic/kafka'
import { MillraceError } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import { partitionName, type TopicPartition } from '../../base/record.ts'
import type { CommittedOffset, GroupIdentity } from '../log.ts'
import type { KafkaClient } from './client.ts'
import { failure, judge, namesOf } from './errors.ts'

export async function committed(
  client: KafkaClient,
  groupId: string,
  partitions: readonly TopicPartition[],
): Promise<readonly (CommittedOffset | null)[]> {
  if (partitions.length === 0) return []
  const { clock, timers } = client.world
  const timeoutMs = client.options.stableOffsetsTimeoutMs ?? LIMITS.stableOffsetsTimeoutMs
  const deadline = clock.monotonic() + timeoutMs
  const what = `committed offsets of group ${groupId}`
  for (let tries = 0; ; tries++) {
    try {
      return await fetchOnce(client, groupId, partitions)
    } catch (error) {
      if (client.closed) throw new MillraceError('STREAM_CLOSED', `${what}: the log was closed`, { cause: error })
      if (error instanceof MillraceError) throw error
      const { outcome } = judge('offsetFetch', error)
      if (outcome === 'refresh') client.forget('group', groupId)
      else if (outcome !== 'again') throw failure('offsetFetch', what, error)
      if (clock.monotonic() >= deadline) {
        if (!namesOf(error).includes('UNSTABLE_OFFSET_COMMIT')) throw failure('offsetFetch', what, error)
        throw new MillraceError(
          'STREAM_UNSTABLE',
          `${what} stayed behind an open transaction for ${timeoutMs} ms; a writer of this group is hung until its transaction times out, or a broker ` +
            'crash with replication factor 1 left it open for ever (compare kafka-transactions.sh find-hanging)',
          { cause: error },
        )
      }
      await timers.sleep(Math.min(5 * (tries + 1), 200))
    }
  }
}

async function fetchOnce(client: KafkaClient, groupId: string, partitions: readonly TopicPartition[]): Promise<(CommittedOffset | null)[]> {
  const connection = await client.common(await client.coordinator('group', groupId))
  const topics = [...byTopic(partitions)].map(([name, list]) => ({ name, partitionIndexes: list.map((p) => p.partition) }))
  const answer = await offsetFetchV9.api.async(connection, [{ groupId, memberId: null, memberEpoch: -1, topics }], true)
  const found = new Map<string, CommittedOffset>()
  for (const topic of answer.groups[0]?.topics ?? []) {
    for (const p of topic.partitions) {
      if (p.committedOffset < 0n) continue
      found.set(partitionName(topic.name, p.partitionIndex), {
        topic: topic.name,
        partition: p.partitionIndex,
        offset: Number(p.committedOffset),
        metadata: p.metadata ?? '',
      })
    }
  }
  return partitions.map((p) => found.get(partitionName(p.topic, p.partition)) ?? null)
}

/** What goes on the wire for the member: a standalone reader has none, a member that has lost its generation is fenced here. */
export interface WireMember {
  readonly generation: number
  readonly memberId: string
  readonly instanceId: string | null
}

export function wireMember(identity: GroupIdentity | null): WireMember {
  if (identity === null) return { generation: -1, memberId: '', instanceId: null }
  if (identity.generation >= 0 && identity.memberId !== '') return identity
  throw new MillraceError('STREAM_FENCED', `this member of group ${identity.groupId} has no generation: it may commit nothing`)
}

export function wireOffsets(offsets: readonly CommittedOffset[]) {
  return [...byTopic(offsets)].map(([name, list]) => ({
    name,
    partitions: list.map((o) => ({
      partitionIndex: o.partition,
      committedOffset: BigInt(o.offset),
      committedLeaderEpoch: -1,
      committedMetadata: o.metadata,
    })),
  }))
}

/** A plain commit, outside of any transaction. */
export async function commitOffsets(
  client: KafkaClient,
  connect: () => Promise<Connection>,
  groupId: string,
  member: WireMember,
  offsets: readonly CommittedOffset[],
): Promise<void> {
  await client.ask(
    'offsetCommit',
    `offsets of group ${groupId}`,
    LIMITS.commitTimeoutMs,
    async () =>
      offsetCommitV9.api.async(await connect(), groupId, member.generation, member.memberId, member.instanceId, wireOffsets(offsets)),
    () => client.forget('group', groupId),
  )
}

function byTopic<T extends TopicPartition>(partitions: readonly T[]): Map<string, T[]> {
  const topics = new Map<string, T[]>()
  for (const p of partitions) {
    const list = topics.get(p.topic)
    if (list === undefined) topics.set(p.topic, [p])
    else list.push(p)
  }
  return topics
}
