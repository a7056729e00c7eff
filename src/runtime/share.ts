// The leader's half of an assignment: from the members' claims to what each of them gets on the wire. Pure.
import { decodeClaim, encodeShare, shareOut } from '../assignment/hand-over.ts'
import type { GroupAssignment, GroupMember } from '../log/log.ts'
import { inputsOf, type TaskDeps, taskId } from './recover.ts'

export function assignShares(deps: TaskDeps, members: readonly GroupMember[]): ReadonlyMap<string, GroupAssignment> {
  const { plan, tasks: counts } = deps.sized
  const ids = counts.map((count, sub) => Array.from({ length: count }, (_, partition) => taskId(sub, partition)))
  const hasState = (sub: number): boolean =>
    plan.subTopologies[sub]?.stores.some(({ changelog, source }) => changelog || source !== undefined) === true
  const shares = shareOut(
    members.map(({ memberId, userData }) => ({ memberId, ...decodeClaim(userData) })),
    ids.flat(),
    ids.filter((_, sub) => hasState(sub)).flat(),
  )
  return new Map(
    [...shares].map(([memberId, share]) => [
      memberId,
      { partitions: share.tasks.flatMap((id) => inputsOf(deps, id)), userData: encodeShare(share) },
    ]),
  )
}
