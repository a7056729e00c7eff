// Which process answers for which task: part of what the leader tells every member, so that a query of a key goes to whoever has it. Pure.
//
// Invariants
// 1. A task that changes hands is its former owner's until that one has let go: it runs there.
// 2. Who has no address is in no list: it answers nobody.
import type { Claimant } from './hand-over.ts'

/** Where a process answers queries. */
export interface Place {
  /** `host:port` of its HTTP server; '': nowhere. */
  readonly address: string
  /** Where it runs: a loopback address is good on that machine only. */
  readonly machine: string
}

/** A process that answers queries, and the tasks that one of its members runs or is to run. */
export interface Peer extends Place {
  /** The process, as `Claim.host`. */
  readonly host: string
  readonly tasks: readonly string[]
}

/** What a member tells the group of its process, and hears of the others. */
export interface Peering {
  readonly place: Place
  /** True: the group knows another place of this process than the one that it has now, and is to be told. */
  heard(peers: readonly Peer[]): boolean
}

/** A static member that comes back is given what it had; what it says of itself is not looked at then. One with another disk, and so another
 *  name of its process, is not in the list at all. */
export function isMisplaced(peers: readonly Peer[], host: string, { address, machine }: Place): boolean {
  const own = peers.filter((peer) => peer.host === host)
  return own.length === 0 || own.some((peer) => peer.address !== address || peer.machine !== machine)
}

/** `standing`: whose claim to a task stands; `target`: who is to run it. */
export function peersOf(
  members: readonly Pick<Claimant, 'memberId' | 'host' | 'address' | 'machine'>[],
  standing: ReadonlyMap<string, string | null>,
  target: ReadonlyMap<string, readonly string[]>,
): readonly Peer[] {
  const tasks = new Map<string, string[]>(members.map(({ memberId }) => [memberId, []]))
  for (const [memberId, ids] of target) for (const id of ids) tasks.get(standing.get(id) ?? memberId)?.push(id)
  return members.flatMap(({ memberId, host, address, machine }) =>
    address === '' ? [] : [{ host, address, machine, tasks: tasks.get(memberId) ?? [] }],
  )
}
