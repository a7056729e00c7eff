// Who runs which task: a pure function of the members and the tasks.
//
// Invariants
// 1. Every task once; the numbers of tasks of any two members differ by one at most.
// 2. Sticky: as many tasks stay where they are as invariant 1 allows. What moves goes to who has its state on disk, as far as it may.
// 3. The same answer on every leader, whatever the order of members and tasks.
// 4. Where sizes are known the large states stay and the small ones move, and new tasks are spread by size, within invariants 1 and 2.

export interface AssignmentMember {
  readonly memberId: string
  /** Task ids it ran until now; no task of two members. */
  readonly owned: readonly string[]
  /** Task ids whose state it has on disk. */
  readonly stored: readonly string[]
  /** Bytes of state by task, where known. */
  readonly bytes?: Readonly<Record<string, number>>
}

/** Task ids by member; every member is in it, every task once. */
export function assignTasks(members: readonly AssignmentMember[], tasks: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const sorted = [...members].sort((a, b) => (a.memberId < b.memberId ? -1 : 1))
  const sizes = sizesOf(sorted)
  const bySize = (a: string, b: string): number => (sizes.get(b) ?? 0) - (sizes.get(a) ?? 0) || byTask(a, b)
  const plan = new Map<string, string[]>(sorted.map((member) => [member.memberId, []]))
  const held = new Map<string, number>() // bytes by member
  if (sorted.length === 0) return plan
  const least = Math.floor(tasks.length / sorted.length)
  let extras = tasks.length - least * sorted.length // so many members get one more
  const free = new Set([...tasks].sort(bySize))
  const give = (memberId: string, task: string): void => {
    free.delete(task)
    ;(plan.get(memberId) as string[]).push(task)
    held.set(memberId, (held.get(memberId) ?? 0) + (sizes.get(task) ?? 0))
  }
  const keep = (member: AssignmentMember, wanted: readonly string[]): void => {
    const mine = plan.get(member.memberId) as string[]
    for (const task of [...wanted].sort(bySize)) {
      if (!free.has(task)) continue
      if (mine.length >= least) {
        if (mine.length > least || extras === 0) break
        extras--
      }
      give(member.memberId, task)
    }
  }
  for (const member of sorted) keep(member, member.owned)
  for (const member of sorted) keep(member, member.stored)
  const load = ({ memberId }: AssignmentMember): readonly [number, number] => [
    (plan.get(memberId) as string[]).length,
    held.get(memberId) ?? 0,
  ]
  for (const task of [...free]) {
    const member = sorted.reduce((best, next) => {
      const [count, bytes] = load(next)
      const [bestCount, bestBytes] = load(best)
      return count < bestCount || (count === bestCount && bytes < bestBytes) ? next : best
    })
    give(member.memberId, task)
  }
  for (const list of plan.values()) list.sort(byTask)
  return plan
}

/** The largest that anybody tells: an owner knows best, an old copy is smaller as a rule. */
function sizesOf(members: readonly AssignmentMember[]): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>()
  for (const { bytes = {} } of members)
    for (const [task, size] of Object.entries(bytes)) sizes.set(task, Math.max(size, sizes.get(task) ?? 0))
  return sizes
}

/** `<sub-topology>_<partition>`, by number: partitions of one sub-topology spread over the members. */
function byTask(a: string, b: string): number {
  const [aSub = 0, aPartition = 0] = a.split('_').map(Number)
  const [bSub = 0, bPartition = 0] = b.split('_').map(Number)
  return aSub - bSub || aPartition - bPartition
}
