// The leader's half of an assignment: from the members' claims to what each of them gets on the wire. Pure.
import { decodeClaim, encodeShare, shareOut } from '../assignment/hand-over.ts'
import type { GroupAssignment, GroupMember } from '../log/log.ts'
import { inputsOf, type TaskDeps, taskId } from './recover.ts'

export function assignShares(deps: TaskDeps, members: readonly GroupMember[]): ReadonlyMap<string, GroupAssignment> {
  const tasks = deps.sized.tasks.flatMap((count, sub) => Array.from({ length: count }, (_, partition) => taskId(sub, partition)))
  const shares = shareOut(
    members.map(({ memberId, userData }) => ({ memberId, ...decodeClaim(userData) })),
    tasks,
  )
  return new Map(
    [...shares].map(([memberId, share]) => [
      memberId,
      { partitions: share.tasks.flatMap((id) => inputsOf(deps, id)), userData: encodeShare(share) },
    ]),
  )
}
