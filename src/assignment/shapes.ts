// Members of one group whose topologies have different shapes (topology/shape.ts): which of them the group runs, and what each member makes of
// what it is given. Tasks go by number, and a number means something else in another shape. Pure.
//
// Invariants
// 1. A group runs one shape at a time. Who told another is given no task, no standby, and no place in the list of those that answer queries.
// 2. What runs goes on: the shape whose members adopted the newest assignment; of several (nobody has adopted any) the one with the most
//    tasks; then the leader's own. So a leader that is new among members at work leaves them what they have, and ends.
// 3. A member takes an assignment for its own shape only. One that was made before its shape was heard (a static member that comes back is
//    given what its predecessor had) does not count: it is told again.
// 4. Who tells none, or one in another form, is taken to have the same shape as whoever asks: an older version knows nothing of it.
import { type Claimant, type Share, shareOut, standingShares } from './hand-over.ts'

/** Of a member's topology: its id, and what it was made from, a fact a line. */
export interface Told {
  readonly id: string
  readonly facts: readonly string[]
}

/** `adopt`: it is of our shape. `adoptAndTell`: so it is, but made when another shape was told under this name. `tell`: it is of another
 *  shape, and made before ours was heard. `end`: it is of another shape, and ours was heard. */
export type Verdict = 'adopt' | 'adoptAndTell' | 'tell' | 'end'

/** The leader's answer to members of whatever shapes: every member is in it. */
export function shareOutOneShape(
  members: readonly Claimant[],
  own: string,
  tasks: readonly string[],
  stateful: readonly string[] = [],
): ReadonlyMap<string, Share> {
  const shape = shapeThatRuns(members, own)
  const differs = (member: Claimant): boolean => told(member, own) !== '' && member.shape !== shape
  const same = members.filter((member) => !differs(member))
  const shares = shape === own ? shareOut(same, tasks, stateful) : standingShares(same)
  return new Map(
    members.map((member) => {
      const share = shares.get(member.memberId)
      return [member.memberId, share === undefined ? refusing(member, shape) : { ...share, shape }]
    }),
  )
}

function refusing({ owned, shape: foreign }: Claimant, shape: string): Share {
  return { tasks: [], refused: owned, released: [], awaited: [], standbys: [], peers: [], shape, foreign, facts: [] }
}

/** Invariant 2. */
export function shapeThatRuns(members: readonly Claimant[], own: string): string {
  const shapes = new Map<string, { generation: number; tasks: number }>()
  for (const member of members) {
    const shape = told(member, own)
    if (shape === '') continue
    const { owned, generation } = member
    const known = shapes.get(shape)
    if (known === undefined || generation > known.generation) shapes.set(shape, { generation, tasks: owned.length })
    else if (generation === known.generation) known.tasks += owned.length
  }
  const [first] = [...shapes].sort(
    ([a, x], [b, y]) => y.generation - x.generation || y.tasks - x.tasks || Number(b === own) - Number(a === own) || (a < b ? -1 : 1),
  )
  return first?.[0] ?? own
}

export function verdictOf({ shape, foreign }: Pick<Share, 'shape' | 'foreign'>, own: string): Verdict {
  if (comparable(shape, own) !== '' && shape !== own) return foreign === own ? 'end' : 'tell'
  return comparable(foreign, own) === '' || foreign === own ? 'adopt' : 'adoptAndTell'
}

const told = ({ shape }: Claimant, own: string): string => comparable(shape, own)

/** '': it says nothing that could be held against the other. */
function comparable(shape: string, own: string): string {
  const formOf = (id: string): string => id.slice(0, id.indexOf(':') + 1)
  return formOf(shape) !== '' && formOf(shape) === formOf(own) ? shape : ''
}

const NAMED_MAX = 3

/** In words, for one line; '': the facts of the other are not known. */
export function differenceOf(there: readonly string[], here: readonly string[]): string {
  if (there.length === 0) return ''
  const only = (where: string, facts: readonly string[], others: readonly string[]): string[] => {
    const own = facts.filter((fact) => !others.includes(fact)).map((fact) => `sub-topology ${fact}`)
    const more = own.length > NAMED_MAX ? `, and ${own.length - NAMED_MAX} more` : ''
    return own.length === 0 ? [] : [`only ${where}: ${own.slice(0, NAMED_MAX).join(', ')}${more}`]
  }
  return [...only('there', there, here), ...only('here', here, there)].join('; ')
}
