import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assignTasks } from '../../src/assignment/assignor.ts'
import { assignStandbys, type StandbyMember } from '../../src/assignment/standbys.ts'

const tasks = (count: number) => Array.from({ length: count }, (_, i) => `${i % 3}_${Math.floor(i / 3)}`)
const member = (memberId: string, more: Partial<StandbyMember> = {}): StandbyMember => ({
  memberId,
  owned: [],
  stored: [],
  standingBy: [],
  host: '',
  ...more,
})
const sizes = (of: ReadonlyMap<string, readonly string[]>): number[] => [...of.values()].map((list) => list.length)

describe('standbys', () => {
  it('are dealt to the others, as even as may be, never to the one that runs the task', () => {
    const members = [member('a'), member('b'), member('c')]
    const running = assignTasks(members, tasks(6))
    const standbys = assignStandbys(members, tasks(6), running, 1)
    expect(sizes(standbys)).toEqual([2, 2, 2])
    for (const [memberId, list] of standbys) expect(list.filter((task) => running.get(memberId)?.includes(task))).toEqual([])
    // the tasks of one that dies fall to both of the others
    for (const dead of members) {
      const heirs = [...standbys].filter(([, list]) => list.some((task) => running.get(dead.memberId)?.includes(task)))
      expect(heirs, dead.memberId).toHaveLength(2)
    }
  })

  it('there are none where nobody is left to hold them', () => {
    const alone = [member('a')]
    expect(assignStandbys(alone, tasks(3), assignTasks(alone, tasks(3)), 2).get('a')).toEqual([])
    expect(assignStandbys([], tasks(3), new Map(), 1)).toEqual(new Map())
  })

  it('who ran the task until now goes on with its stores; of two that hold them, the one that is further', () => {
    const running = new Map([
      ['a', []],
      ['b', ['0_0']],
      ['c', []],
    ])
    const demoted = [
      member('a', { owned: ['0_0'], at: { '0_0': 90 } }),
      member('b'),
      member('c', { standingBy: ['0_0'], at: { '0_0': 80 } }),
    ]
    expect(assignStandbys(demoted, ['0_0'], running, 1).get('a')).toEqual(['0_0'])
    const behind = [member('a', { stored: ['0_0'] }), member('b'), member('c', { standingBy: ['0_0'], at: { '0_0': 80 } })]
    expect(assignStandbys(behind, ['0_0'], running, 1).get('c')).toEqual(['0_0'])
  })

  const state = fc.record({
    members: fc.integer({ min: 1, max: 6 }),
    count: fc.integer({ min: 0, max: 14 }),
    n: fc.integer({ min: 0, max: 3 }),
    owners: fc.array(fc.nat(6), { minLength: 14, maxLength: 14 }),
    holders: fc.array(fc.subarray([0, 1, 2, 3, 4, 5]), { minLength: 14, maxLength: 14 }),
    at: fc.array(fc.nat(1_000), { minLength: 14, maxLength: 14 }),
  })
  const membersOf = ({ members, count, owners, holders, at }: typeof state extends fc.Arbitrary<infer T> ? T : never): StandbyMember[] =>
    Array.from({ length: members }, (_, m) => {
      const owned = tasks(count).filter((_, t) => owners[t] === m)
      const standingBy = tasks(count).filter((_, t) => owners[t] !== m && (holders[t] as number[]).includes(m))
      const reached = [...owned, ...standingBy].map(
        (task) => [task, ((at[tasks(count).indexOf(task)] as number) * (m + 3)) % 1_000] as const,
      )
      return member(`m${m}`, { owned, stored: [...owned, ...standingBy], standingBy, at: Object.fromEntries(reached) })
    })

  it('property: each task runs once and has its standbys on others, even, the same for any order, and stable', () => {
    fc.assert(
      fc.property(state, fc.infiniteStream(fc.nat()), (given, shuffle) => {
        const members = membersOf(given)
        const all = tasks(given.count)
        const running = assignTasks(members, all)
        const standbys = assignStandbys(members, all, running, given.n)
        const each = Math.min(given.n, members.length - 1)
        for (const task of all) {
          expect([...running.values()].filter((list) => list.includes(task))).toHaveLength(1)
          const holders = [...standbys].filter(([, list]) => list.includes(task)).map(([memberId]) => memberId)
          expect(holders, task).toHaveLength(each)
          for (const memberId of holders) expect(running.get(memberId)).not.toContain(task)
        }
        for (const list of standbys.values()) expect(new Set(list).size).toBe(list.length)
        const loads = members.map(({ memberId }) => (running.get(memberId)?.length ?? 0) + (standbys.get(memberId)?.length ?? 0))
        expect(Math.max(...loads) - Math.min(...loads)).toBeLessThanOrEqual(1)
        const mixed = <T>(list: readonly T[]): T[] =>
          [...list]
            .map((of) => [shuffle.next().value as number, of] as const)
            .sort(([a], [b]) => a - b)
            .map(([, of]) => of)
        expect(assignStandbys(mixed(members), mixed(all), running, given.n)).toEqual(standbys)
        const next = members.map((m) => ({ ...m, owned: running.get(m.memberId) ?? [], standingBy: standbys.get(m.memberId) ?? [] }))
        expect(assignTasks(next, all)).toEqual(running)
        expect(assignStandbys(next, all, running, given.n)).toEqual(standbys)
      }),
    )
  })

  it('property: members of one host share a disk: a task is on each disk once', () => {
    fc.assert(
      fc.property(state, fc.array(fc.nat(2), { minLength: 6, maxLength: 6 }), (given, hosts) => {
        const members = membersOf(given).map((each, i) => ({ ...each, host: `h${hosts[i]}` }))
        const all = tasks(given.count)
        const running = assignTasks(members, all)
        const standbys = assignStandbys(members, all, running, given.n)
        const disks = new Set(members.map(({ host }) => host)).size
        for (const task of all) {
          const on = members.filter((m) => running.get(m.memberId)?.includes(task) || standbys.get(m.memberId)?.includes(task))
          expect(on).toHaveLength(1 + Math.min(given.n, disks - 1))
          expect(new Set(on.map(({ host }) => host)).size).toBe(on.length)
        }
        const next = members.map((m) => ({ ...m, owned: running.get(m.memberId) ?? [], standingBy: standbys.get(m.memberId) ?? [] }))
        expect(assignStandbys(next, all, running, given.n)).toEqual(standbys)
      }),
    )
  })

  it('property: where only some tasks have state, still each has its standbys, and it is stable', () => {
    fc.assert(
      fc.property(state, fc.array(fc.boolean(), { minLength: 14, maxLength: 14 }), (given, which) => {
        const members = membersOf(given)
        const some = tasks(given.count).filter((_, t) => which[t])
        const running = assignTasks(members, tasks(given.count))
        const standbys = assignStandbys(members, some, running, given.n)
        expect([...standbys.values()].flat().sort()).toEqual(
          some.flatMap((task) => Array<string>(Math.max(0, Math.min(given.n, members.length - 1))).fill(task)).sort(),
        )
        const next = members.map((m) => ({ ...m, owned: running.get(m.memberId) ?? [], standingBy: standbys.get(m.memberId) ?? [] }))
        expect(assignStandbys(next, some, running, given.n)).toEqual(standbys)
      }),
    )
  })

  it('property: the tasks of a member that ends go to their standbys, wherever room can be made there', () => {
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 6 }), fc.integer({ min: 0, max: 20 }), (count, taskCount) => {
        const members = Array.from({ length: count }, (_, m) => member(`m${m}`))
        const all = tasks(taskCount)
        const running = assignTasks(members, all)
        const standbys = assignStandbys(members, all, running, 1)
        const left = members.slice(1).map(({ memberId }) => {
          const [owned, standingBy] = [running.get(memberId) ?? [], standbys.get(memberId) ?? []]
          return member(memberId, { owned, standingBy, at: Object.fromEntries([...owned, ...standingBy].map((task) => [task, 5])) })
        })
        const after = assignTasks(left, all)
        for (const task of running.get('m0') ?? []) {
          const heir = [...after].find(([, list]) => list.includes(task))?.[0] as string
          const standby = [...standbys].find(([, list]) => list.includes(task))?.[0] as string
          if (heir === standby) continue
          // the standby is full, and has no task that its heir could have taken over with its state
          const at = left.find(({ memberId }) => memberId === heir)?.at ?? {}
          expect(after.get(standby)?.length).toBeGreaterThanOrEqual(after.get(heir)?.length as number)
          expect(after.get(standby)?.filter((each) => at[each] !== undefined)).toEqual([])
        }
      }),
    )
  })
})
