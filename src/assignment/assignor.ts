// Who runs which task: a pure function of the members and the tasks. Sticky (a member keeps what it ran), balanced to within one task,
// the same answer on every leader whatever the order of the members.

export interface AssignmentMember {
  readonly memberId: string
  /** Task ids it ran until now. */
  readonly owned: readonly string[]
  /** Task ids whose state it has on disk. */
  readonly stored: readonly string[]
}

/** Task ids by member; every member is in it, every task once. */
export function assignTasks(members: readonly AssignmentMember[], tasks: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const sorted = [...members].sort((a, b) => (a.memberId < b.memberId ? -1 : 1))
  const all = [...tasks].sort(byTask)
  const plan = new Map<string, string[]>(sorted.map((member) => [member.memberId, []]))
  if (sorted.length === 0) return plan
  const least = Math.floor(all.length / sorted.length)
  let extras = all.length - least * sorted.length // so many members get one more
  const free = new Set(all)
  const keep = (member: AssignmentMember, wanted: readonly string[]): void => {
    const mine = plan.get(member.memberId) as string[]
    for (const task of wanted) {
      if (!free.has(task)) continue
      if (mine.length >= least) {
        if (mine.length > least || extras === 0) break
        extras--
      }
      free.delete(task)
      mine.push(task)
    }
  }
  for (const member of sorted) keep(member, [...member.owned].sort(byTask))
  for (const member of sorted) keep(member, [...member.stored].sort(byTask))
  for (const task of [...free]) {
    const member = sorted.reduce((best, next) =>
      (plan.get(next.memberId) as string[]).length < (plan.get(best.memberId) as string[]).length ? next : best,
    )
    ;(plan.get(member.memberId) as string[]).push(task)
  }
  for (const list of plan.values()) list.sort(byTask)
  return plan
}

/** `<sub-topology>_<partition>`, by number: partitions of one sub-topology spread over the members. */
function byTask(a: string, b: string): number {
  const [aSub = 0, aPartition = 0] = a.split('_').map(Number)
  const [bSub = 0, bPartition = 0] = b.split('_').map(Number)
  return aSub - bSub || aPartition - bPartition
}
