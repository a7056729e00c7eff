// How tasks change hands without stopping the others: what each member says when it joins, what the leader answers. Pure.
//
// A task that moves is first taken from its owner: the assignment leaves it out, its new owner is told to await it. The owner commits,
// gives it up and joins again without it; the assignment after that gives it to the new one. Tasks that stay are never left out.
//
// Invariants
// 1. A task is given to a member only when no other member's claim to it stands.
// 2. Of several claims the one of the newest generation stands: an older one was made by somebody the group went on without. Two of the
//    same generation: neither stands, both have to let go.
// 3. A claim that does not stand is refused by name: what its member did since is not to be committed.
import { assignTasks } from './assignor.ts'
import { type Peer, type Peering, peersOf, type Place } from './peers.ts'
import { assignStandbys } from './standbys.ts'

export type { Peering }

export interface Claim extends Place {
  /** Task ids it runs, restores or has not let go of yet. */
  readonly owned: readonly string[]
  /** The generation whose assignment it adopted last; -1: none. */
  readonly generation: number
  /** Task ids whose state it has on disk. */
  readonly stored: readonly string[]
  /** Bytes of state by task, where known. */
  readonly bytes: Readonly<Record<string, number>>
  /** How far its state goes, by task: the sum of its stores' changelog positions, where known. */
  readonly at: Readonly<Record<string, number>>
  /** Tasks whose stores it keeps current for another member. */
  readonly standingBy: readonly string[]
  /** Members of one host share its disk; '': it has one of its own. */
  readonly host: string
  /** How many standbys of each task it is configured for. The largest number that any member says counts. */
  readonly standbys: number
  /** Of its topology (shapes.ts); '': it does not say, as an older version. */
  readonly shape: string
  /** The generation whose assignment was for another shape, and was not adopted; -1: none. A broker asks nobody for a new assignment
   *  because of a member that says again what it has said. */
  readonly passed: number
}

export interface Claimant extends Claim {
  readonly memberId: string
}

export interface Share {
  readonly tasks: readonly string[]
  /** Claimed, but somebody else's since. */
  readonly refused: readonly string[]
  /** Claimed, and to be let go of for others. It asks for the next assignment when they are gone. */
  readonly released: readonly string[]
  /** To come, when their owners have let go. */
  readonly awaited: readonly string[]
  /** Tasks of others whose stores it is to keep current. One that it still runs: from when it has given it up. */
  readonly standbys: readonly string[]
  /** The same for all: where each task is asked for. */
  readonly peers: readonly Peer[]
  /** The shape that it is a share of; '': not told. */
  readonly shape: string
  /** The other shape that its member has told, for which it is given nothing; '': none. */
  readonly foreign: string
  /** What `shape` was made from; for who has another one, and for the leader, whose place somebody else may have next. */
  readonly facts: readonly string[]
}

const OF_NO_SHAPE = { shape: '', foreign: '', facts: [] } as const
const NOTHING: Share = { tasks: [], refused: [], released: [], awaited: [], standbys: [], peers: [], ...OF_NO_SHAPE }

/** The leader's answer to all claims: every member is in it. `stateful`: the tasks that a standby is of use for. */
export function shareOut(
  members: readonly Claimant[],
  tasks: readonly string[],
  stateful: readonly string[] = [],
): ReadonlyMap<string, Share> {
  const standing = standingClaims(members)
  const target = assignTasks(
    members.map((member) => ({ ...member, owned: member.owned.filter((id) => standing.get(id) === member.memberId) })),
    tasks,
  )
  const standbys = assignStandbys(members, stateful, target, Math.max(0, ...members.map((member) => member.standbys)))
  const peers = peersOf(members, standing, target)
  return new Map(
    members.map(({ memberId, owned }) => {
      const mine = target.get(memberId) ?? []
      const given = (id: string): boolean => !standing.has(id) || standing.get(id) === memberId
      return [
        memberId,
        {
          tasks: mine.filter(given),
          refused: owned.filter((id) => standing.get(id) !== memberId),
          released: owned.filter((id) => standing.get(id) === memberId && !mine.includes(id)),
          awaited: mine.filter((id) => !given(id)),
          standbys: standbys.get(memberId) ?? [],
          peers,
          ...OF_NO_SHAPE,
        },
      ]
    }),
  )
}

/** Nothing is dealt out: each keeps what its claim stands to. */
export function standingShares(members: readonly Claimant[]): ReadonlyMap<string, Share> {
  const standing = standingClaims(members)
  const kept = new Map(members.map(({ memberId, owned }) => [memberId, owned.filter((id) => standing.get(id) === memberId)]))
  const peers = peersOf(members, standing, kept)
  return new Map(
    members.map(({ memberId, owned, standingBy }) => {
      const tasks = kept.get(memberId) ?? []
      const refused = owned.filter((id) => !tasks.includes(id))
      return [memberId, { ...NOTHING, tasks, refused, standbys: standingBy, peers }]
    }),
  )
}

/** Whose claim to a task stands; null: nobody's, although it is claimed. */
function standingClaims(members: readonly Claimant[]): ReadonlyMap<string, string | null> {
  const standing = new Map<string, { readonly memberId: string | null; readonly generation: number }>()
  for (const { memberId, owned, generation } of members) {
    for (const id of new Set(owned)) {
      const other = standing.get(id)
      if (other === undefined || generation > other.generation) standing.set(id, { memberId, generation })
      else if (generation === other.generation) standing.set(id, { memberId: null, generation })
    }
  }
  return new Map([...standing].map(([id, { memberId }]) => [id, memberId]))
}

/** Without a place: its process answers no queries for others. */
export function encodeClaim(claim: Omit<Claim, keyof Place> & Partial<Place>): Buffer {
  return Buffer.from(JSON.stringify(claim))
}

const CLAIMS_NOTHING: Claim = {
  owned: [],
  generation: -1,
  stored: [],
  bytes: {},
  at: {},
  standingBy: [],
  host: '',
  standbys: 0,
  address: '',
  machine: '',
  shape: '',
  passed: -1,
}

/** What a claim does not say, it does not claim: an older version knew fewer words. */
export function decodeClaim(bytes: Buffer): Claim {
  return bytes.length === 0 ? CLAIMS_NOTHING : { ...CLAIMS_NOTHING, ...(JSON.parse(bytes.toString()) as Partial<Claim>) }
}

export function encodeShare(share: Share): Buffer {
  return Buffer.from(JSON.stringify(share))
}

export function decodeShare(bytes: Buffer): Share {
  return bytes.length === 0 ? NOTHING : { ...NOTHING, ...(JSON.parse(bytes.toString()) as Partial<Share>) }
}
