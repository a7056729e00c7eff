// Who runs which task: a pure function of the members and the tasks.
//
// Invariants
// 1. Every task once; the numbers of tasks of any two members differ by one at most.
// 2. Sticky: as many tasks stay where they are as invariant 1 allows, but for 5 and 6. What moves goes to who has its state on disk, and
//    of several to the one that is furthest, as far as invariant 1 lets it.
// 3. The same answer on every leader, whatever the order of members and tasks. Asked again with its own answer it changes nothing.
// 4. Where sizes are known the large states stay and the small ones move, and new tasks are spread by size, within invariants 1 and 2.
// 5. Members whose states lie further apart than SKEW_BYTES exchange one task for one, where that at least halves the distance: a restore
//    that is worth it.
// 6. A task that would have to be restored from nothing, as its standby is full, goes to the standby all the same, where that one can pass
//    another task on to a standby that has room.

export interface AssignmentMember {
  readonly memberId: string
  /** Task ids it ran until now; no task of two members. */
  readonly owned: readonly string[]
  /** Task ids whose state it has on disk. */
  readonly stored: readonly string[]
  /** Bytes of state by task, where known. */
  readonly bytes?: Readonly<Record<string, number>>
  /** How far the state goes, by task: the sum of its stores' changelog positions, where known. */
  readonly at?: Readonly<Record<string, number>>
}

/** What the states of two members may lie apart before tasks change places for it: about half a minute of restoring. */
export const SKEW_BYTES = 256 * 1024 * 1024

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
  /** False: it has as many as it may. */
  const keep = ({ memberId }: AssignmentMember, task: string): boolean => {
    const { length } = plan.get(memberId) as string[]
    if (length > least || (length === least && extras === 0)) return false
    if (length === least) extras--
    give(memberId, task)
    return true
  }
  for (const member of sorted) {
    for (const task of [...member.owned].sort(bySize)) if (free.has(task) && !keep(member, task)) break
  }
  for (const task of [...free]) {
    for (const member of sorted.filter((each) => reach(each, task) >= 0).sort((a, b) => reach(b, task) - reach(a, task)))
      if (keep(member, task)) break
  }
  for (const task of [...free]) {
    const way = roundabout(sorted, plan, task, least, extras)
    if (way === null) continue
    const list = plan.get(way.from.memberId) as string[]
    list.splice(list.indexOf(way.passed), 1)
    held.set(way.from.memberId, (held.get(way.from.memberId) ?? 0) - (sizes.get(way.passed) ?? 0))
    give(way.from.memberId, task)
    keep(way.to, way.passed)
  }
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
  level(plan, held, sizes)
  for (const list of plan.values()) list.sort(byTask)
  return plan
}

/** How far a member's state of a task goes; 0 where it is on disk and nobody knows, -1 where there is none. */
export function reach({ stored, at = {} }: AssignmentMember, task: string): number {
  return at[task] ?? (stored.includes(task) ? 0 : -1)
}

interface Way {
  readonly from: AssignmentMember
  readonly passed: string
  readonly to: AssignmentMember
}

/** Invariant 6: who is to have the task, and what it passes on to whom. Only states that are known to be kept current count. */
function roundabout(
  members: readonly AssignmentMember[],
  plan: ReadonlyMap<string, readonly string[]>,
  task: string,
  least: number,
  extras: number,
): Way | null {
  const tasksOf = ({ memberId }: AssignmentMember): readonly string[] => plan.get(memberId) as readonly string[]
  const keepsUp = ({ at = {} }: AssignmentMember, id: string): boolean => at[id] !== undefined
  const roomy = members.filter((each) => tasksOf(each).length < least || (tasksOf(each).length === least && extras > 0))
  for (const from of members) {
    if (!keepsUp(from, task)) continue
    for (const passed of tasksOf(from)) {
      const to = roomy.find((each) => each !== from && keepsUp(each, passed))
      if (to !== undefined) return { from, passed, to }
    }
  }
  return null
}

/** Invariant 5. Each exchange lessens the sum of squares of what the members hold, so it ends. */
function level(plan: ReadonlyMap<string, string[]>, held: Map<string, number>, sizes: ReadonlyMap<string, number>): void {
  const size = (task: string): number => sizes.get(task) ?? 0
  const bytes = (memberId: string): number => held.get(memberId) ?? 0
  for (;;) {
    const byBytes = [...plan.keys()].sort((a, b) => bytes(b) - bytes(a) || (a < b ? -1 : 1))
    const [full = '', empty = ''] = [byBytes[0], byBytes.at(-1)]
    const apart = bytes(full) - bytes(empty)
    if (apart <= SKEW_BYTES) return
    let best: { readonly out: string; readonly back: string; readonly left: number } | null = null
    for (const out of [...(plan.get(full) as string[])].sort(byTask)) {
      for (const back of [...(plan.get(empty) as string[])].sort(byTask)) {
        const left = Math.abs(apart - 2 * (size(out) - size(back)))
        if (left <= apart / 2 && left < (best?.left ?? Number.POSITIVE_INFINITY)) best = { out, back, left }
      }
    }
    if (best === null) return
    const { out, back } = best
    for (const [memberId, gone, come] of [
      [full, out, back],
      [empty, back, out],
    ] as const) {
      const list = plan.get(memberId) as string[]
      list[list.indexOf(gone)] = come
      held.set(memberId, bytes(memberId) - size(gone) + size(come))
    }
  }
}

/** The largest that anybody tells: an owner knows best, an old copy is smaller as a rule. */
export function sizesOf(members: readonly AssignmentMember[]): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>()
  for (const { bytes = {} } of members)
    for (const [task, size] of Object.entries(bytes)) sizes.set(task, Math.max(size, sizes.get(task) ?? 0))
  return sizes
}

/** `<sub-topology>_<partition>`, by number: partitions of one sub-topology spread over the members. */
export function byTask(a: string, b: string): number {
  const [aSub = 0, aPartition = 0] = a.split('_').map(Number)
  const [bSub = 0, bPartition = 0] = b.split('_').map(Number)
  return aSub - bSub || aPartition - bPartition
}
