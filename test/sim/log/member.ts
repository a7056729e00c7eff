// The group port: one member, as src/log/kafka/group.ts drives it (the same loop, the same order of revoke, join, sync and assign).
import { MillraceError } from '../../../src/base/errors.ts'
import { failure, judge, responseOf } from '../../../src/log/kafka/errors.ts'
import type { Group, GroupAssignment, GroupIdentity, GroupOptions } from '../../../src/log/log.ts'
import type { RequestKind } from '../../../src/log/outcome.ts'
import type { SimClient } from './client.ts'
import type { Joined, SimGroup } from './groups.ts'

const RETRY_MS = 20
const LEAVE_TIMEOUT_MS = 100

class SyncRefused extends Error {
  constructor(cause: unknown) {
    super('sync was refused', { cause })
  }
}

export class SimMember implements Group {
  readonly #client: SimClient
  readonly #options: GroupOptions
  #memberId = ''
  #generation = -1
  #rejoin = false
  #closed = false
  #wakeSleep: (() => void) | null = null
  #loop: Promise<void> = Promise.resolve()
  #abandon: () => void = () => {}

  constructor(client: SimClient, options: GroupOptions) {
    this.#client = client
    this.#options = options
    client.parts.add(this)
  }

  async start(): Promise<void> {
    await this.#join()
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
    this.#abandon()
    await this.#loop
    if ((!leave && this.#options.instanceId !== null) || this.#memberId === '') return
    const memberId = this.#memberId
    const leaving = this.#call<object>('leave', 'leave', (group) => {
      group.leave(memberId)
      return {}
    }).catch(() => {})
    await Promise.race([leaving, this.#client.world.timers.sleep(LEAVE_TIMEOUT_MS)])
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

  get #heartbeatMs(): number {
    return this.#client.cluster.options.times.sessionTimeoutMs / 4
  }

  async #beat(): Promise<void> {
    try {
      await this.#heartbeat()
    } catch (error) {
      if (this.#closed) return
      const { outcome } = judge('heartbeat', error)
      if (outcome === 'rejoin') await this.#rebalance(false)
      else if (outcome === 'lost') await this.#rebalance(true)
      else if (outcome === 'forgotten') {
        this.#memberId = ''
        await this.#rebalance(true)
      } else if (outcome !== 'refresh') throw this.#fatal('heartbeat', error)
    }
  }

  async #heartbeat(): Promise<void> {
    const [memberId, generation, { instanceId }] = [this.#memberId, this.#generation, this.#options]
    await this.#call<object>('heartbeat', 'heartbeat', (group) => group.heartbeat(memberId, instanceId, generation) ?? {})
  }

  async #rebalance(lost: boolean): Promise<void> {
    this.#rejoin = false
    if (lost) this.#generation = -1
    let revoking = true
    const beats = async (): Promise<void> => {
      while (revoking && !lost && !this.#closed) {
        await this.#sleep(this.#heartbeatMs)
        if (revoking && !this.#closed) await this.#heartbeat().catch(() => {})
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
        if (cause instanceof MillraceError) throw cause
        const { outcome } = judge(kind, cause)
        if (outcome === 'named') this.#memberId = responseOf<{ memberId: string }>(cause)?.memberId ?? ''
        else if (outcome === 'forgotten') this.#memberId = ''
        else if (outcome === 'refresh') await this.#client.world.timers.sleep(RETRY_MS)
        else if (outcome !== 'rejoin' && outcome !== 'lost') throw this.#fatal(kind, cause)
      }
    }
  }

  async #joinOnce(): Promise<GroupAssignment> {
    const { instanceId } = this.#options
    const { times } = this.#client.cluster.options
    this.#rejoin = false // the user data is read now
    const [asked, userData] = [this.#memberId, this.#options.userData()]
    const joining = this.#client.call<Joined>(
      'join',
      `join as ${asked === '' ? (instanceId ?? 'new') : asked}`,
      this.#client.wire('group'),
      (reply) => {
        if (this.#client.cluster.groupsAway) reply.refuse('NOT_COORDINATOR')
        else this.#group.join(asked, instanceId, userData, reply)
      },
      times.rebalanceTimeoutMs + times.requestTimeoutMs,
    )
    const abandoned = new Promise<never>((_, reject) => {
      this.#abandon = () => reject(new MillraceError('STREAM_CLOSED', 'the membership was closed'))
    })
    joining.catch(() => {})
    const joined = await Promise.race([joining, abandoned])
    this.#memberId = joined.memberId
    const plan = new Map<string, Buffer>()
    if (joined.leader && !joined.skipAssignment) {
      for (const [id, assignment] of this.#options.assign(joined.members)) plan.set(id, encode(assignment))
    }
    try {
      const assignment = await this.#client.call<Buffer>(
        'sync',
        'sync',
        this.#client.wire('group'),
        (reply) => {
          if (this.#client.cluster.groupsAway) reply.refuse('NOT_COORDINATOR')
          else this.#group.sync(joined.memberId, instanceId, joined.generation, plan, reply)
        },
        times.rebalanceTimeoutMs,
      )
      this.#generation = joined.generation
      return decode(assignment)
    } catch (error) {
      throw new SyncRefused(error)
    }
  }

  get #group(): SimGroup {
    return this.#client.cluster.group(this.#options.groupId)
  }

  #call<T extends object>(kind: RequestKind, what: string, handle: (group: SimGroup) => T | string): Promise<T> {
    return this.#client.once(kind, what, this.#client.wire('group'), () =>
      this.#client.cluster.groupsAway ? 'NOT_COORDINATOR' : handle(this.#group),
    )
  }

  #fatal(kind: RequestKind, error: unknown): MillraceError {
    return failure(kind, `membership of group ${this.#options.groupId} as ${this.#options.instanceId ?? this.#memberId}`, error)
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

function encode({ partitions, userData }: GroupAssignment): Buffer {
  return Buffer.from(JSON.stringify({ partitions, userData: userData.toString('base64') }))
}

function decode(bytes: Buffer): GroupAssignment {
  if (bytes.length === 0) return { partitions: [], userData: Buffer.alloc(0) } // the leader had nothing for us
  const { partitions, userData } = JSON.parse(bytes.toString()) as { partitions: GroupAssignment['partitions']; userData: string }
  return { partitions, userData: Buffer.from(userData, 'base64') }
}
