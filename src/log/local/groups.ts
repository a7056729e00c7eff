// Consumer groups of an in-process log: who is a member, under which generation, with which partitions. The protocol of a broker
// without the network: a member joins, everybody gives up what it holds and re-joins, the first member shares out anew.
//
// Invariants
// 1. The generation rises only when every attached member has re-joined (its `onRevoke` was awaited) or was left behind after
//    LIMITS.rebalanceTimeoutMs. Until then commits of the old generation are taken.
// 2. A commit is taken from a present member under the present generation only, or from nobody's (null) into a group without members.
// 3. A static member's place outlives its `close` by LIMITS.sessionTimeoutMs; whoever comes back under its instance id gets the
//    same partitions under the same generation, and a predecessor that is still there ends with STREAM_FENCED.
// 4. Callbacks are called one after the other, never from inside the caller's own call of `start`, `rejoin` or `close`.
import { EMPTY } from '../../base/bytes.ts'
import { MillraceError } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import type { World } from '../../base/ports.ts'
import type { Group, GroupAssignment, GroupIdentity, GroupOptions } from '../log.ts'
import type { State } from './state.ts'

interface Member {
  memberId: string
  readonly instanceId: string | null
  userData: Buffer
  assignment: GroupAssignment | null
  /** Null when its process went away (static members only). */
  session: GroupSession | null
  /** Has re-joined in the present round. */
  joined: boolean
  endSession: (() => void) | null
}

export interface GroupState {
  readonly groupId: string
  readonly world: World
  generation: number
  members: Member[]
  /** A round is under way: everybody is asked to re-join. */
  round: { cancel: () => void } | null
  /** Another round was asked for meanwhile. */
  again: boolean
  checking: boolean
}

export interface LocalGroup extends Group {
  /** As if its process had died and its session had ended: no callback is called any more. */
  crash(): void
}

export function localGroup(state: State, options: GroupOptions, gone: () => void): LocalGroup {
  let group = state.groups.get(options.groupId)
  if (group === undefined) {
    group = { groupId: options.groupId, world: state.world, generation: 0, members: [], round: null, again: false, checking: false }
    state.groups.set(options.groupId, group)
  }
  return new GroupSession(group, options, gone)
}

/** Null, or why offsets of this group are not taken from this identity. */
export function checkIdentity(state: State, identity: GroupIdentity | null, groupId: string): MillraceError | null {
  const group = state.groups.get(groupId)
  const refuse = (why: string): MillraceError =>
    new MillraceError(
      'STREAM_FENCED',
      `group ${groupId} refuses the offsets: ${why}; the epoch is dropped, its records are read again by their owner`,
    )
  if (identity === null)
    return group === undefined || group.members.length === 0 ? null : refuse('it has members, and only they may commit')
  if (identity.groupId !== groupId) return refuse(`the committer belongs to group ${identity.groupId}`)
  const member = group?.members.find((of) => of.memberId === identity.memberId)
  if (group === undefined || member === undefined) return refuse(`${identity.memberId} is no member any more`)
  if (identity.generation !== group.generation) return refuse(`generation ${identity.generation} is over, it is ${group.generation} now`)
  return null
}

class GroupSession implements LocalGroup {
  readonly #group: GroupState
  readonly options: GroupOptions
  #member: Member | null = null
  /** The generation of the assignment this member was handed. */
  #generation = -1
  #revoking = false
  #started: { resolve: () => void; reject: (error: unknown) => void } | null = null
  #ended = false
  readonly #gone: () => void

  constructor(group: GroupState, options: GroupOptions, gone: () => void) {
    this.#group = group
    this.#gone = gone
    this.options = options
  }

  start(): Promise<void> {
    if (this.#member !== null || this.#ended) {
      return Promise.reject(new MillraceError('STREAM_CLOSED', `group ${this.#group.groupId}: a membership is started once`))
    }
    return new Promise((resolve, reject) => {
      this.#started = { resolve, reject }
      this.#enter()
    })
  }

  identity(): GroupIdentity {
    if (this.#member === null || this.#generation < 0) {
      throw new MillraceError('STREAM_INTERNAL', `group ${this.#group.groupId}: there is no identity before the first assignment`)
    }
    return {
      groupId: this.#group.groupId,
      generation: this.#generation,
      memberId: this.#member.memberId,
      instanceId: this.options.instanceId,
    }
  }

  rejoin(): void {
    if (this.#member === null || this.#ended) return
    if (this.#group.round !== null) this.#group.again = true
    else beginRound(this.#group)
  }

  async close(leave = false): Promise<void> {
    this.#leave(!leave)
  }

  crash(): void {
    this.#leave(false)
  }

  /** Takes a place in the group: a new one, or the one its instance id had. */
  #enter(): void {
    const group = this.#group
    const { instanceId } = this.options
    const memberId = `${instanceId ?? 'member'}-${group.world.random.hex(8)}`
    const userData = this.options.userData()
    const place = instanceId === null ? undefined : group.members.find((of) => of.instanceId === instanceId)
    if (place === undefined) {
      this.#member = { memberId, instanceId, userData, assignment: null, session: this, joined: true, endSession: null }
      group.members.push(this.#member)
      beginRound(group)
      return
    }
    const before = place.session
    place.endSession?.()
    place.endSession = null
    place.memberId = memberId
    place.session = this
    this.#member = place
    before?.replaced()
    if (group.round === null && place.assignment !== null) {
      queueMicrotask(() => {
        if (group.round === null && place.session === this && place.assignment !== null) this.assigned(place.assignment, group.generation)
      })
      return
    }
    place.userData = userData
    place.joined = true
    if (group.round === null) beginRound(group)
    else check(group)
  }

  /** Another process came under the same instance id. */
  replaced(): void {
    const error = new MillraceError(
      'STREAM_FENCED',
      `group ${this.#group.groupId}: another process has taken over the instance id ${this.options.instanceId}; give each process its own`,
    )
    this.#ended = true
    queueMicrotask(() => this.options.onFatal(error))
    this.#started?.reject(error)
    this.#started = null
  }

  /** Gives up what it holds and joins the round. */
  async revoke(): Promise<void> {
    if (this.#revoking) return
    this.#revoking = true
    try {
      if (this.#generation >= 0) await this.options.onRevoke(false)
      const member = this.#member
      if (this.#ended || member === null) return
      if (member.session !== this || !this.#group.members.includes(member)) {
        this.#member = null
        this.#generation = -1
        await this.options.onRevoke(true)
        if (!this.#ended) this.#enter()
        return
      }
      member.userData = this.options.userData()
      member.joined = true
      check(this.#group)
    } catch (error) {
      this.fail(error)
    } finally {
      this.#revoking = false
    }
  }

  assigned(assignment: GroupAssignment, generation: number): void {
    this.#generation = generation
    try {
      this.options.onAssign(assignment)
    } catch (error) {
      this.fail(error)
      return
    }
    this.#started?.resolve()
    this.#started = null
  }

  /** A callback of its owner threw: the membership is over. */
  fail(error: unknown): void {
    if (this.#ended) return
    this.#leave(false)
    this.options.onFatal(error)
    this.#started?.reject(error)
    this.#started = null
  }

  #leave(keepPlace: boolean): void {
    this.#gone()
    if (this.#ended) return
    this.#ended = true
    const group = this.#group
    const member = this.#member
    this.#started?.reject(new MillraceError('STREAM_CLOSED', `group ${group.groupId}: the membership was closed`))
    this.#started = null
    if (member === null || member.session !== this) return
    member.session = null
    if (keepPlace && member.instanceId !== null && member.assignment !== null) {
      member.joined = true
      member.endSession = group.world.timers.after(LIMITS.sessionTimeoutMs, () => remove(group, member))
      if (group.round !== null) check(group)
    } else remove(group, member)
  }
}

/** Ends what is under way: no timer is left behind. */
export function closeGroups(state: State): void {
  for (const group of state.groups.values()) {
    group.round?.cancel()
    group.round = null
    for (const member of group.members) member.endSession?.()
    group.members = []
  }
}

function remove(group: GroupState, member: Member): void {
  const at = group.members.indexOf(member)
  if (at < 0) return
  group.members.splice(at, 1)
  if (group.members.length === 0) {
    group.round?.cancel()
    group.round = null
    group.again = false
    group.generation++
  } else if (group.round === null) beginRound(group)
  else check(group)
}

function beginRound(group: GroupState): void {
  if (group.round !== null) {
    check(group)
    return
  }
  for (const member of group.members) {
    // who has never been assigned holds nothing to give up, and a place whose process is away is kept as it is
    member.joined = member.session === null || member.assignment === null
  }
  group.again = false
  group.round = { cancel: group.world.timers.after(LIMITS.rebalanceTimeoutMs, () => leaveBehind(group)) }
  for (const member of [...group.members]) if (!member.joined) queueMicrotask(() => void member.session?.revoke())
  check(group)
}

/** Those who did not re-join in time are members no more; they find out when their `onRevoke` ends. */
function leaveBehind(group: GroupState): void {
  for (const member of group.members.filter((of) => !of.joined)) remove(group, member)
}

/** Ends the round in a while, if everybody is there: joins of the same moment share one round. */
function check(group: GroupState): void {
  if (group.checking) return
  group.checking = true
  queueMicrotask(() => {
    group.checking = false
    if (group.round !== null && group.members.length > 0 && group.members.every((member) => member.joined)) endRound(group)
  })
}

function endRound(group: GroupState): void {
  const leader = group.members.find((member) => member.session !== null)
  group.round?.cancel()
  group.round = null
  if (leader === undefined) return
  let shares: ReadonlyMap<string, GroupAssignment>
  try {
    shares =
      leader.session?.options.assign(group.members.map(({ memberId, instanceId, userData }) => ({ memberId, instanceId, userData }))) ??
      new Map()
  } catch (error) {
    leader.session?.fail(error)
    return
  }
  group.generation++
  const { generation } = group
  for (const member of group.members) member.assignment = shares.get(member.memberId) ?? { partitions: [], userData: EMPTY }
  for (const member of [...group.members]) if (member.assignment !== null) member.session?.assigned(member.assignment, generation)
  if (group.again && group.round === null) beginRound(group)
}
