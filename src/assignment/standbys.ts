// Who keeps the stores of whose tasks current: a pure function of the members, the tasks that have state, and who is to run them.
//
// Invariants
// 1. A task has `count` standbys, or as many as there are hosts beside the one that is to run it: never on that one, never two on one. A
//    host is a disk: members of one process share it.
// 2. With the tasks that they run, as even over the members as invariant 1 allows.
// 3. Sticky: who stands by for a task, or runs it until now, goes on with its stores, the one that is furthest first.
// 4. The same answer on every leader, whatever the order of members and tasks.
// 5. New standbys of one member's tasks are spread over the others, so that its end does not fall on one of them alone.
import { type AssignmentMember, byTask, reach, sizesOf } from './assignor.ts'

export interface StandbyMember extends AssignmentMember {
  /** Tasks whose stores it keeps current until now. */
  readonly standingBy: readonly string[]
  /** '': a host of its own. */
  readonly host: string
}

/** Task ids by member; every member is in it. `running`: the tasks that each is to run. */
export function assignStandbys(
  members: readonly StandbyMember[],
  tasks: readonly string[],
  running: ReadonlyMap<string, readonly string[]>,
  count: number,
): ReadonlyMap<string, readonly string[]> {
  const sorted = [...members].sort((a, b) => (a.memberId < b.memberId ? -1 : 1))
  const plan = new Map<string, Set<string>>(sorted.map(({ memberId }) => [memberId, new Set()]))
  const hosts = new Map(sorted.map(({ memberId, host }) => [memberId, host === '' ? `\n${memberId}` : host]))
  const wanted = Math.min(count, new Set(hosts.values()).size - 1)
  if (wanted <= 0) return new Map(sorted.map(({ memberId }) => [memberId, []]))
  const runner = new Map<string, string>()
  for (const [memberId, list] of running) for (const task of list) runner.set(task, memberId)
  const all = [...tasks].sort(byTask)
  const heirs = new Map<string, number>() // by runner and standby: how many of its tasks lie there
  const placed = new Map<string, string>() // by task and host: the member
  const bytes = new Map<string, number>()
  const sizes = sizesOf(sorted)
  const on = (memberId: string): Set<string> => plan.get(memberId) as Set<string>
  const load = (memberId: string): number => (running.get(memberId)?.length ?? 0) + on(memberId).size
  const pair = (task: string, memberId: string): string => `${runner.get(task) ?? ''}\n${memberId}`
  const may = (memberId: string, task: string, from = ''): boolean => {
    const host = hosts.get(memberId)
    return hosts.get(runner.get(task) ?? '') !== host && (placed.get(`${task}\n${host}`) ?? from) === from
  }
  const put = (memberId: string, task: string, by: 1 | -1): void => {
    const place = `${task}\n${hosts.get(memberId)}`
    if (by > 0) on(memberId).add(task)
    else on(memberId).delete(task)
    if (by > 0) placed.set(place, memberId)
    else placed.delete(place)
    heirs.set(pair(task, memberId), (heirs.get(pair(task, memberId)) ?? 0) + by)
    bytes.set(memberId, (bytes.get(memberId) ?? 0) + by * (sizes.get(task) ?? 0))
  }
  const holds = (member: StandbyMember, task: string): boolean => member.standingBy.includes(task) || member.owned.includes(task)

  const open = new Map(all.map((task) => [task, wanted]))
  const give = (member: StandbyMember, task: string): void => {
    put(member.memberId, task, 1)
    open.set(task, (open.get(task) as number) - 1)
  }
  // who has the stores open now, then who has them on disk
  for (const has of [holds, (member: StandbyMember, task: string) => reach(member, task) >= 0]) {
    for (const task of all) {
      const these = sorted.filter((member) => has(member, task)).sort((a, b) => reach(b, task) - reach(a, task))
      for (const member of these) if ((open.get(task) as number) > 0 && may(member.memberId, task)) give(member, task)
    }
  }
  for (const task of all) {
    while ((open.get(task) as number) > 0) {
      const rank = ({ memberId }: StandbyMember): readonly number[] => [
        load(memberId),
        heirs.get(pair(task, memberId)) ?? 0,
        bytes.get(memberId) ?? 0,
      ]
      const free = sorted.filter(({ memberId }) => may(memberId, task))
      give(
        free.reduce((best, next) => (before(rank(next), rank(best)) ? next : best)),
        task,
      )
    }
  }
  while (shift(sorted, on, load, may, put, holds));
  return new Map(sorted.map(({ memberId }) => [memberId, [...on(memberId)].sort(byTask)]))
}

function before(a: readonly number[], b: readonly number[]): boolean {
  const at = a.findIndex((n, i) => n !== b[i])
  return at >= 0 && (a[at] as number) < (b[at] as number)
}

/** Takes one from a member that has two more than another, along a chain of members where it can't go there at once. False: there is no
 *  such chain, so it cannot be more even. */
function shift(
  sorted: readonly StandbyMember[],
  on: (memberId: string) => ReadonlySet<string>,
  load: (memberId: string) => number,
  may: (memberId: string, task: string, from: string) => boolean,
  put: (memberId: string, task: string, by: 1 | -1) => void,
  holds: (member: StandbyMember, task: string) => boolean,
): boolean {
  for (const from of [...sorted].sort((a, b) => load(b.memberId) - load(a.memberId))) {
    const came = new Map<StandbyMember, { readonly before: StandbyMember; readonly task: string } | null>([[from, null]])
    const queue = [from]
    for (let here = queue.shift(); here !== undefined; here = queue.shift()) {
      if (load(here.memberId) <= load(from.memberId) - 2) {
        for (let step = came.get(here) ?? null; step !== null; step = came.get(here) ?? null) {
          put(step.before.memberId, step.task, -1)
          put(here.memberId, step.task, 1)
          here = step.before
        }
        return true
      }
      const moved = new Set<string>() // on the way here: twice, and two of them might meet on a host
      for (let step = came.get(here) ?? null; step !== null; step = came.get(step.before) ?? null) moved.add(step.task)
      for (const next of sorted) {
        if (came.has(next)) continue
        const { memberId } = here
        const movable = [...on(memberId)].filter((task) => !moved.has(task) && may(next.memberId, task, memberId)).sort(byTask)
        // one that it has no state of yet moves for nothing
        const task = movable.find((each) => !holds(here as StandbyMember, each)) ?? movable[0]
        if (task === undefined) continue
        came.set(next, { before: here, task })
        queue.push(next)
      }
    }
  }
  return false
}
