// The leader's half of an assignment: from the members' claims to what each of them gets on the wire. Pure.
import { decodeClaim, encodeShare } from '../assignment/hand-over.ts'
import { shareOutOneShape, type Told } from '../assignment/shapes.ts'
import type { GroupAssignment, GroupMember } from '../log/log.ts'
import { inputsOf, type TaskDeps, taskId } from './recover.ts'

/** What the leader knows of shapes: its own; of the one that runs, if that is another, what it has heard; and what it has said itself. */
export interface LeaderKnows {
  readonly own: Told
  readonly heard: readonly string[]
  readonly said: Buffer | null
}

export function assignShares(
  deps: TaskDeps,
  members: readonly GroupMember[],
  { own, heard, said }: LeaderKnows,
): ReadonlyMap<string, GroupAssignment> {
  const { plan, tasks: counts } = deps.sized
  const ids = counts.map((count, sub) => Array.from({ length: count }, (_, partition) => taskId(sub, partition)))
  const hasState = (sub: number): boolean =>
    plan.subTopologies[sub]?.stores.some(({ changelog, source }) => changelog || source !== undefined) === true
  const shares = shareOutOneShape(
    members.map(({ memberId, userData }) => ({ memberId, ...decodeClaim(userData) })),
    own.id,
    ids.flat(),
    ids.filter((_, sub) => hasState(sub)).flat(),
  )
  return new Map(
    members.map(({ memberId, userData }) => {
      const share = shares.get(memberId)
      if (share === undefined) return [memberId, { partitions: [], userData: Buffer.alloc(0) }]
      const isOurs = share.shape === own.id
      const facts = share.foreign !== '' || said?.equals(userData) === true ? (isOurs ? own.facts : heard) : []
      // What the tasks of another shape read is not known here; it is for the log's own tools only.
      const partitions = isOurs ? share.tasks.flatMap((id) => inputsOf(deps, id)) : []
      return [memberId, { partitions, userData: encodeShare({ ...share, facts }) }]
    }),
  )
}
