// The coordinator of one consumer group, classic protocol: joins, generations, sessions, static members, and the group's committed
// offsets with those of open transactions beside them.
//
// Invariants
// 1. The generation rises when everybody has joined, or the others were waited for long enough. A member that waits in a join does not
//    lose its session.
// 2. A static member keeps its place while its session lasts; whoever joins under its instance id gets it, under the same generation
//    when nothing else goes on, and the member before is fenced.
// 3. Offsets of a transaction count from its marker on; until then who asks for stable ones is told to wait.
import type { World } from '../../../src/base/ports.ts'
import { partitionName } from '../../../src/base/record.ts'
import type { CommittedOffset, GroupIdentity } from '../../../src/log/log.ts'
import type { Chance } from '../chance.ts'
import type { Reply } from './network.ts'
import type { OffsetsHolder } from './transactions.ts'

export interface Joined {
  readonly memberId: string
  readonly generation: number
  readonly leader: boolean
  /** A static leader that has come back: the old plan stands. */
  readonly skipAssignment: boolean
  readonly members: readonly { readonly memberId: string; readonly instanceId: string | null; readonly userData: Buffer }[]
}

interface Member {
  readonly id: string
  readonly instanceId: string | null
  userData: Buffer
  join: Reply<Joined> | null
  sync: Reply<Buffer> | null
  assignment: Buffer
  session: () => void
}

export interface GroupTimes {
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  /** How long the first join of an empty group waits for others. */
  readonly initialDelayMs: number
}

export class SimGroup implements OffsetsHolder {
  readonly id: string
  generation = 0
  state: 'empty' | 'preparing' | 'completing' | 'stable' = 'empty'
  readonly members = new Map<string, Member>()
  readonly offsets = new Map<string, CommittedOffset>()
  /** Every position that was ever committed, in order. */
  readonly history: CommittedOffset[] = []
  readonly #world: World
  readonly #chance: Chance
  readonly #times: GroupTimes
  readonly #trace: ((who: string, what: string) => void) | null
  readonly #statics = new Map<string, string>()
  readonly #named = new Set<string>()
  readonly #pending = new Map<number, CommittedOffset[]>()
  readonly #epochs = new Map<number, number>()
  #leader = ''
  #round: () => void = () => {}

  constructor(id: string, world: World, chance: Chance, times: GroupTimes, trace: ((who: string, what: string) => void) | null) {
    this.id = id
    this.#world = world
    this.#chance = chance
    this.#times = times
    this.#trace = trace
  }

  // --- membership ----------------------------------------------------------------------------------------------------

  join(memberId: string, instanceId: string | null, userData: Buffer, reply: Reply<Joined>): void {
    if (memberId === '') {
      if (instanceId === null) {
        const named = `member-${this.#world.random.hex(4)}`
        this.#named.add(named)
        reply.refuse(`MEMBER_ID_REQUIRED ${named}`)
        return
      }
      const held = this.#statics.get(instanceId)
      const fresh = `${instanceId}-${this.#world.random.hex(4)}`
      if (held !== undefined) this.#replace(held, fresh, instanceId, userData, reply)
      else this.#enter(fresh, instanceId, userData, reply)
      return
    }
    const refusal = this.#fencedInstance(memberId, instanceId)
    if (refusal !== null) {
      reply.refuse(refusal)
      return
    }
    const member = this.members.get(memberId)
    if (member === undefined) {
      if (!this.#named.delete(memberId)) {
        reply.refuse('UNKNOWN_MEMBER_ID')
        return
      }
      this.#enter(memberId, instanceId, userData, reply)
      return
    }
    const changed = !member.userData.equals(userData)
    member.userData = userData
    if (this.state !== 'preparing' && !changed && this.#leader !== memberId) {
      this.#present(member, reply, false)
      return
    }
    if (this.state === 'completing' && !changed) {
      this.#present(member, reply, false)
      return
    }
    member.join = reply
    if (this.state === 'preparing') this.#tryComplete()
    else this.#rebalance()
  }

  sync(memberId: string, instanceId: string | null, generation: number, plan: ReadonlyMap<string, Buffer>, reply: Reply<Buffer>): void {
    const refusal = this.#refusal(memberId, instanceId, generation)
    if (refusal !== null) {
      reply.refuse(refusal)
      return
    }
    const member = this.members.get(memberId) as Member
    if (this.state === 'preparing') {
      reply.refuse('REBALANCE_IN_PROGRESS')
      return
    }
    this.#live(member)
    if (this.state === 'stable') {
      reply.ok(member.assignment)
      return
    }
    member.sync = reply
    if (memberId !== this.#leader) return
    for (const each of this.members.values()) each.assignment = plan.get(each.id) ?? Buffer.alloc(0)
    this.#round()
    this.state = 'stable'
    for (const each of this.members.values()) {
      each.sync?.ok(each.assignment)
      each.sync = null
    }
  }

  heartbeat(memberId: string, instanceId: string | null, generation: number): string | null {
    const refusal = this.#refusal(memberId, instanceId, generation)
    if (refusal !== null) return refusal
    this.#live(this.members.get(memberId) as Member)
    return this.state === 'preparing' ? 'REBALANCE_IN_PROGRESS' : null
  }

  leave(memberId: string): void {
    this.#named.delete(memberId)
    const member = this.members.get(memberId)
    if (member !== undefined) this.#remove(member, 'leaves')
  }

  /** The coordinator has moved: sessions begin anew, joins and syncs under way are lost. */
  moved(): void {
    for (const member of this.members.values()) {
      member.join?.refuse('NOT_COORDINATOR')
      member.sync?.refuse('NOT_COORDINATOR')
      member.join = null
      member.sync = null
      this.#live(member)
    }
    if (this.state === 'completing') this.#rebalance()
  }

  #enter(id: string, instanceId: string | null, userData: Buffer, reply: Reply<Joined>): void {
    const member: Member = { id, instanceId, userData, join: reply, sync: null, assignment: Buffer.alloc(0), session: () => {} }
    this.members.set(id, member)
    if (instanceId !== null) this.#statics.set(instanceId, id)
    this.#live(member)
    if (this.state === 'preparing') this.#tryComplete()
    else this.#rebalance()
  }

  #replace(held: string, id: string, instanceId: string, userData: Buffer, reply: Reply<Joined>): void {
    const old = this.members.get(held) as Member
    old.session()
    old.join?.refuse('FENCED_INSTANCE_ID')
    old.sync?.refuse('FENCED_INSTANCE_ID')
    const member: Member = { id, instanceId, userData, join: null, sync: null, assignment: old.assignment, session: () => {} }
    // its place in the order of the members stays
    const all = [...this.members.values()].map((each) => (each === old ? member : each))
    this.members.clear()
    for (const each of all) this.members.set(each.id, each)
    this.#statics.set(instanceId, id)
    if (this.#leader === held) this.#leader = id
    this.#live(member)
    this.#trace?.('broker', `group: ${id} takes the place of ${held}`)
    if (this.state === 'stable') {
      this.#present(member, reply, true)
      return
    }
    member.join = reply
    if (this.state === 'preparing') this.#tryComplete()
    else this.#rebalance()
  }

  #present(member: Member, reply: Reply<Joined>, skipAssignment: boolean): void {
    const leader = this.#leader === member.id
    reply.ok({ memberId: member.id, generation: this.generation, leader, skipAssignment, members: leader ? this.#list() : [] })
  }

  #rebalance(): void {
    const first = this.state === 'empty'
    for (const member of this.members.values()) {
      member.sync?.refuse('REBALANCE_IN_PROGRESS')
      member.sync = null
    }
    this.#round()
    this.state = 'preparing'
    this.#trace?.('broker', `group: a rebalance of ${[...this.members.keys()].join(', ')} begins`)
    this.#round = this.#world.timers.after(first ? this.#times.initialDelayMs : this.#times.rebalanceTimeoutMs, () => this.#complete())
    if (!first) this.#tryComplete()
  }

  #tryComplete(): void {
    for (const member of this.members.values()) if (member.join === null) return
    this.#round()
    this.#round = this.#world.timers.after(0.05, () => this.#complete()) // joins of the same moment share one round
  }

  #complete(): void {
    for (const member of [...this.members.values()]) {
      if (member.join === null && member.instanceId === null) this.#drop(member)
    }
    const joined = [...this.members.values()].filter((member) => member.join !== null)
    if (joined.length === 0) {
      if (this.members.size === 0) this.#empty()
      else this.#round = this.#world.timers.after(this.#times.rebalanceTimeoutMs, () => this.#complete())
      return
    }
    this.generation++
    this.state = 'completing'
    if (!joined.some((member) => member.id === this.#leader)) this.#leader = (joined[0] as Member).id
    this.#trace?.('broker', `group: generation ${this.generation}, ${joined.map((member) => member.id).join(', ')} of ${this.members.size}`)
    for (const member of joined) {
      const reply = member.join as Reply<Joined>
      member.join = null
      this.#live(member)
      this.#present(member, reply, false)
    }
    const { generation } = this
    this.#round = this.#world.timers.after(this.#times.rebalanceTimeoutMs, () => {
      if (this.state === 'completing' && this.generation === generation) this.#rebalance()
    })
  }

  #live(member: Member): void {
    member.session()
    member.session = this.#world.timers.after(this.#times.sessionTimeoutMs, () => {
      if (this.members.get(member.id) !== member) return
      if (member.join !== null) this.#live(member)
      else this.#remove(member, 'is not heard of any more')
    })
  }

  #remove(member: Member, why: string): void {
    this.#trace?.('broker', `group: ${member.id} ${why}`)
    member.join?.refuse('UNKNOWN_MEMBER_ID')
    this.#drop(member)
    if (this.members.size === 0) this.#empty()
    else if (this.state === 'preparing') this.#tryComplete()
    else this.#rebalance()
  }

  #drop(member: Member): void {
    member.session()
    member.sync?.refuse('UNKNOWN_MEMBER_ID')
    this.members.delete(member.id)
    if (member.instanceId !== null && this.#statics.get(member.instanceId) === member.id) this.#statics.delete(member.instanceId)
  }

  #empty(): void {
    this.#round()
    this.state = 'empty'
    this.generation++
    this.#leader = ''
  }

  #list(): Joined['members'] {
    const list = [...this.members.values()].map(({ id, instanceId, userData }) => ({ memberId: id, instanceId, userData }))
    const turn = this.#chance.draw(list.length) // a broker's members come in no order
    return [...list.slice(turn), ...list.slice(0, turn)]
  }

  #fencedInstance(memberId: string, instanceId: string | null): string | null {
    const held = instanceId === null ? undefined : this.#statics.get(instanceId)
    return held !== undefined && held !== memberId ? 'FENCED_INSTANCE_ID' : null
  }

  #refusal(memberId: string, instanceId: string | null, generation: number): string | null {
    const fenced = this.#fencedInstance(memberId, instanceId)
    if (fenced !== null) return fenced
    if (!this.members.has(memberId)) return 'UNKNOWN_MEMBER_ID'
    return generation === this.generation ? null : 'ILLEGAL_GENERATION'
  }

  // --- offsets -------------------------------------------------------------------------------------------------------

  #mayCommit(of: Pick<GroupIdentity, 'memberId' | 'generation' | 'instanceId'>, transactional: boolean): string | null {
    if (of.generation < 0 && of.memberId === '') return transactional || this.members.size === 0 ? null : 'UNKNOWN_MEMBER_ID'
    const refusal = this.#refusal(of.memberId, of.instanceId, of.generation)
    return refusal ?? (this.state === 'completing' && !transactional ? 'REBALANCE_IN_PROGRESS' : null)
  }

  commitPlain(of: Pick<GroupIdentity, 'memberId' | 'generation' | 'instanceId'>, offsets: readonly CommittedOffset[]): string | null {
    const refusal = this.#mayCommit(of, false)
    if (refusal === null) this.#set(offsets)
    return refusal
  }

  commitTransactional(
    of: Pick<GroupIdentity, 'memberId' | 'generation' | 'instanceId'>,
    pid: number,
    epoch: number,
    offsets: readonly CommittedOffset[],
  ): string | null {
    const refusal = this.#mayCommit(of, true)
    if (refusal !== null) return refusal
    if (epoch < (this.#epochs.get(pid) ?? -1)) return 'INVALID_PRODUCER_EPOCH'
    this.#epochs.set(pid, epoch)
    this.#pending.set(pid, [...(this.#pending.get(pid) ?? []), ...offsets])
    return null
  }

  endOffsets(pid: number, epoch: number, commit: boolean): void {
    this.#epochs.set(pid, Math.max(epoch, this.#epochs.get(pid) ?? -1))
    if (commit) this.#set(this.#pending.get(pid) ?? [])
    this.#pending.delete(pid)
  }

  /** In the order asked; a name: the refusal. */
  fetchOffsets(names: readonly string[], stable: boolean): (CommittedOffset | null)[] | string {
    if (stable) {
      for (const pending of this.#pending.values()) {
        if (pending.some((of) => names.includes(partitionName(of.topic, of.partition)))) return 'UNSTABLE_OFFSET_COMMIT'
      }
    }
    return names.map((name) => this.offsets.get(name) ?? null)
  }

  #set(offsets: readonly CommittedOffset[]): void {
    for (const offset of offsets) this.offsets.set(partitionName(offset.topic, offset.partition), offset)
    this.history.push(...offsets)
  }
}
