// The group port on Kafka: the classic protocol on raw JoinGroup, SyncGroup, Heartbeat and LeaveGroup, so that each member gets
// user data of its own, heartbeats go on during the barrier, and static membership is true. It never commits offsets.
//
// Invariants
// 1. `onRevoke` is awaited before JoinGroup, under the old generation, so that a last epoch may still commit.
// 2. What ends a generation sets `generation` to -1 before anyone else learns of it (R4).
// 3. One loop a member: start, heartbeats and joins follow each other; only the barrier's heartbeats run beside it.
// 4. A static member does not leave unless it is told to: that is what makes its restart invisible.
// 5. Whoever is waited for before the first plan (`together`) is waited for while the broker expects that plan: it says by a heartbeat's answer
//    that somebody has joined, and then everybody joins again.
import {
  type Connection,
  type ConnectionPool,
  decodeConsumerProtocolAssignment,
  decodeConsumerProtocolSubscription,
  encodeConsumerProtocolAssignment,
  encodeConsumerProtocolSubscription,
  heartbeatV4,
  joinGroupV9,
  leaveGroupV5,
  syncGroupV5,
} from '@platformatic/kafka'
import { EMPTY } from '../../base/bytes.ts'
import { MillraceError } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import type { TopicPartition } from '../../base/record.ts'
import type { Group, GroupAssignment, GroupIdentity, GroupMember, GroupOptions } from '../log.ts'
import type { RequestKind } from '../outcome.ts'
import type { KafkaClient } from './client.ts'
import { failure, judge, responseOf } from './errors.ts'

const PROTOCOL_TYPE = 'consumer'
const PROTOCOL = 'millrace'
const RETRY_MS = 100
const LOOK_MS = 10
const UNKNOWN_MEMBER_ID = 25
const LEAVE_TIMEOUT_MS = 2_000

export class KafkaGroup implements Group {
  readonly #client: KafkaClient
  readonly #options: GroupOptions
  readonly #sessionTimeoutMs: number
  readonly #heartbeatMs: number
  readonly #pool: ConnectionPool
  #memberId = ''
  #waitUntilMs = 0
  #generation = -1
  #rejoin = false
  #closed = false
  #wakeSleep: (() => void) | null = null
  #loop: Promise<void> = Promise.resolve()

  constructor(client: KafkaClient, options: GroupOptions) {
    this.#client = client
    this.#options = options
    this.#sessionTimeoutMs = client.options.sessionTimeoutMs ?? LIMITS.sessionTimeoutMs
    this.#heartbeatMs = client.options.heartbeatMs ?? LIMITS.heartbeatMs
    this.#pool = client.pool('group')
    client.parts.add(this)
  }

  async start(): Promise<void> {
    this.#waitUntilMs = this.#client.world.clock.monotonic() + LIMITS.togetherWaitMs
    await this.#join()
    this.#waitUntilMs = 0
    this.#loop = this.#run()
  }

  identity(): GroupIdentity {
    return { groupId: this.#options.groupId, generation: this.#generation, memberId: this.#memberId, instanceId: this.#options.instanceId }
  }

  rejoin(): void {
    this.#rejoin = true
    this.#wakeSleep?.()
  }

  async close(leave = false): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#client.parts.delete(this)
    this.#generation = -1
    this.#wakeSleep?.()
    await this.#client.release(this.#pool) // ends a JoinGroup that waits for the others
    await this.#loop
    if ((leave || this.#options.instanceId === null) && this.#memberId !== '') await this.#leave()
  }

  /** Best effort: without it the others wait for the session to end. */
  async #leave(): Promise<void> {
    const { timers } = this.#client.world
    let cancel = (): void => {}
    const late = new Promise<void>((resolve) => {
      cancel = timers.after(LEAVE_TIMEOUT_MS, resolve)
    })
    // With both ids: whoever has taken over the instance id meanwhile stays.
    const member = { memberId: this.#memberId, groupInstanceId: this.#options.instanceId, reason: 'closed' }
    const leaving = this.#client
      .coordinator('group', this.#options.groupId)
      .then((node) => this.#client.common(node))
      .then((connection) => leaveGroupV5.api.async(connection, this.#options.groupId, [member]))
      .then(
        () => {},
        () => {},
      )
    await Promise.race([leaving, late])
    cancel()
  }

  async #run(): Promise<void> {
    try {
      for (;;) {
        if (!this.#rejoin) await this.#sleep(this.#heartbeatMs)
        if (this.#closed) return
        if (this.#rejoin) await this.#rebalance(false)
        else await this.#beat()
      }
    } catch (error) {
      if (this.#closed) return
      this.#generation = -1
      this.#options.onFatal(error)
    }
  }

  async #beat(): Promise<void> {
    try {
      await this.#heartbeat()
    } catch (error) {
      if (this.#closed) return
      const outcome = passing(error) ? 'refresh' : judge('heartbeat', error).outcome
      if (outcome === 'rejoin') await this.#rebalance(false)
      else if (outcome === 'lost') await this.#rebalance(true)
      else if (outcome === 'forgotten') {
        this.#memberId = ''
        await this.#rebalance(true)
      } else if (outcome === 'refresh') this.#client.forget('group', this.#options.groupId)
      else throw this.#fatal('heartbeat', error)
    }
  }

  async #heartbeat(): Promise<void> {
    const { groupId, instanceId } = this.#options
    await heartbeatV4.api.async(await this.#coordinator(), groupId, this.#generation, this.#memberId, instanceId)
  }

  async #rebalance(lost: boolean): Promise<void> {
    this.#rejoin = false
    if (lost) this.#generation = -1
    let revoking = true
    const beats = async (): Promise<void> => {
      while (revoking && !lost && !this.#closed) {
        await this.#sleep(this.#heartbeatMs)
        if (revoking && !this.#closed) await this.#heartbeat().catch(() => {}) // what it says is asked again by the join
      }
    }
    const beating = beats()
    try {
      await this.#options.onRevoke(lost)
    } finally {
      revoking = false
      this.#generation = -1
      this.#wakeSleep?.()
      await beating
    }
    await this.#join()
  }

  async #join(): Promise<void> {
    for (;;) {
      if (this.#closed) return
      try {
        const assignment = await this.#joinOnce()
        if (this.#closed) return
        this.#options.onAssign(assignment)
        return
      } catch (error) {
        if (this.#closed) return
        const kind: RequestKind = error instanceof SyncRefused ? 'sync' : 'join'
        const cause = error instanceof SyncRefused ? error.cause : error
        const outcome = passing(cause) ? 'refresh' : judge(kind, cause).outcome
        if (cause instanceof MillraceError && outcome !== 'refresh') throw cause
        const before = this.#memberId
        if (outcome === 'named') this.#memberId = responseOf<{ memberId: string }>(cause)?.memberId ?? ''
        else if (outcome === 'forgotten') this.#memberId = ''
        else if (outcome === 'refresh') this.#client.forget('group', this.#options.groupId)
        else if (outcome !== 'rejoin' && outcome !== 'lost') throw this.#fatal(kind, cause)
        const next = outcome === 'rejoin' ? kind === 'sync' : this.#memberId !== before
        if (!next) await this.#client.world.timers.sleep(RETRY_MS) // the same answer may come again and again
      }
    }
  }

  async #joinOnce(): Promise<GroupAssignment> {
    const { groupId, instanceId, topics } = this.#options
    const connection = await this.#coordinator()
    this.#rejoin = false // the user data is read now
    const metadata = encodeConsumerProtocolSubscription({ version: 0, topics: [...topics], userData: this.#options.userData() })
    const joined = await joinGroupV9.api.async(
      connection,
      groupId,
      this.#sessionTimeoutMs,
      LIMITS.rebalanceTimeoutMs,
      this.#memberId,
      instanceId,
      PROTOCOL_TYPE,
      [{ name: PROTOCOL, metadata }],
      null,
    )
    this.#memberId = joined.memberId
    let plan: { memberId: string; assignment: Buffer }[] = []
    if (joined.leader === joined.memberId && !joined.skipAssignment) {
      // skipAssignment: a static leader has come back, the old plan stands
      const members = (joined.members as readonly WireMember[]).map(decodeMember)
      if (this.#lacks(members)) await this.#lookOut(connection, joined.generationId)
      plan = [...this.#options.assign(members)].map(([memberId, assignment]) => ({ memberId, assignment: encodeAssignment(assignment) }))
    }
    try {
      const synced = await syncGroupV5.api.async(
        connection,
        groupId,
        joined.generationId,
        this.#memberId,
        instanceId,
        PROTOCOL_TYPE,
        PROTOCOL,
        plan,
      )
      const assignment = decodeAssignment(synced.assignment)
      this.#generation = joined.generationId
      return assignment
    } catch (error) {
      throw new SyncRefused(error)
    }
  }

  #lacks(members: readonly GroupMember[]): boolean {
    const { together = [] } = this.#options
    return this.#waitUntilMs > 0 && together.some((id) => members.every(({ instanceId }) => instanceId !== id))
  }

  /** Until somebody else joins, which the broker refuses the heartbeat for, or for long enough. */
  async #lookOut(connection: Connection, generation: number): Promise<void> {
    const { clock, timers } = this.#client.world
    const { groupId, instanceId } = this.#options
    while (clock.monotonic() < this.#waitUntilMs && !this.#closed) {
      await timers.sleep(LOOK_MS)
      try {
        await heartbeatV4.api.async(connection, groupId, generation, this.#memberId, instanceId)
      } catch (error) {
        throw new SyncRefused(error)
      }
    }
  }

  #fatal(kind: RequestKind, error: unknown): MillraceError {
    const { groupId, instanceId } = this.#options
    return failure(kind, `membership of group ${groupId}${instanceId === null ? '' : ` as ${instanceId}`}`, error)
  }

  async #coordinator(): Promise<Connection> {
    return this.#pool.get(await this.#client.coordinator('group', this.#options.groupId))
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#client.world.timers.after(ms, () => wake())
      const wake = (): void => {
        cancel()
        if (this.#wakeSleep === wake) this.#wakeSleep = null
        resolve()
      }
      this.#wakeSleep = wake
    })
  }
}

/** As an administrator does: a static member is named by its instance id alone. One that is not in the group is an answer like any other. */
export async function dismiss(client: KafkaClient, groupId: string, instanceIds: readonly string[]): Promise<void> {
  const node = await client.coordinator('group', groupId)
  for (const groupInstanceId of instanceIds) {
    const member = { memberId: '', groupInstanceId, reason: 'dismissed' }
    try {
      await leaveGroupV5.api.async(await client.common(node), groupId, [member])
    } catch (error) {
      const members = responseOf<{ members?: readonly { errorCode: number }[] }>(error)?.members ?? []
      if (members[0]?.errorCode !== UNKNOWN_MEMBER_ID) throw error
    }
  }
}

/** No broker could be reached for a while: a membership outlives that. */
function passing(error: unknown): boolean {
  return error instanceof MillraceError && error.disposition === 'retry'
}

class SyncRefused extends Error {
  constructor(cause: unknown) {
    super('SyncGroup was refused', { cause })
  }
}

interface WireMember {
  readonly memberId: string
  readonly groupInstanceId?: string | null
  readonly metadata: Buffer | null
}

// The standard layouts, so that the broker and its tools can read topics and assignments; the user data is ours alone.
function decodeMember(member: WireMember): GroupMember {
  const { userData } = decodeConsumerProtocolSubscription(member.metadata ?? EMPTY)
  return { memberId: member.memberId, instanceId: member.groupInstanceId ?? null, userData }
}

function encodeAssignment(assignment: GroupAssignment): Buffer {
  const topics = new Map<string, number[]>()
  for (const { topic, partition } of assignment.partitions) {
    const list = topics.get(topic)
    if (list === undefined) topics.set(topic, [partition])
    else list.push(partition)
  }
  const assignedPartitions = [...topics].map(([topic, partitions]) => ({ topic, partitions }))
  return encodeConsumerProtocolAssignment({ version: 0, assignedPartitions, userData: assignment.userData })
}

function decodeAssignment(bytes: Buffer): GroupAssignment {
  if (bytes.length === 0) return { partitions: [], userData: EMPTY } // the leader had nothing for us
  const { assignedPartitions, userData } = decodeConsumerProtocolAssignment(bytes)
  const partitions: TopicPartition[] = []
  for (const { topic, partitions: list } of assignedPartitions) for (const partition of list) partitions.push({ topic, partition })
  return { partitions, userData: Buffer.from(userData) }
}
