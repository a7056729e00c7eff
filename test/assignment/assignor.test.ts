import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type AssignmentMember, assignTasks, SKEW_BYTES } from '../../src/assignment/assignor.ts'

const tasks = (count: number) => Array.from({ length: count }, (_, i) => `${i % 3}_${Math.floor(i / 3)}`)
const none = (memberId: string): AssignmentMember => ({ memberId, owned: [], stored: [] })

describe('the assignor', () => {
  it('gives one member everything', () => {
    expect(assignTasks([none('a')], tasks(4)).get('a')).toEqual(['0_0', '0_1', '1_0', '2_0'])
  })

  it('prefers the member that has the state on disk', () => {
    const plan = assignTasks([none('a'), { memberId: 'b', owned: [], stored: ['0_0', '1_0'] }], ['0_0', '0_1', '1_0', '1_1'])
    expect(plan.get('b')).toEqual(['0_0', '1_0'])
  })

  it('moves only what balance asks for when a member joins', () => {
    const plan = assignTasks([{ memberId: 'a', owned: tasks(6), stored: [] }, none('b')], tasks(6))
    expect(plan.get('a')).toHaveLength(3)
    expect(plan.get('b')).toHaveLength(3)
  })

  it('property: every task once, balanced, the same for any order of the members, and stable', () => {
    const member = fc.record({ owned: fc.subarray(tasks(12)), stored: fc.subarray(tasks(12)) })
    fc.assert(
      fc.property(fc.array(member, { minLength: 1, maxLength: 5 }), fc.nat(12), (members, count) => {
        const named = members.map((m, i) => ({ memberId: `m${i}`, ...m }))
        const plan = assignTasks(named, tasks(count))
        expect([...plan.values()].flat().sort()).toEqual([...tasks(count)].sort())
        const sizes = [...plan.values()].map((list) => list.length)
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
        expect(assignTasks([...named].reverse(), tasks(count))).toEqual(plan)
        const again = assignTasks(
          named.map((m) => ({ ...m, owned: plan.get(m.memberId) ?? [] })),
          tasks(count),
        )
        expect(again).toEqual(plan)
      }),
    )
  })

  it('property: as many tasks stay as balance allows, whatever the order of members and tasks', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 0, max: 14 }),
        fc.array(fc.nat(6), { minLength: 14, maxLength: 14 }),
        fc.array(fc.nat(1_000), { minLength: 14, maxLength: 14 }),
        fc.infiniteStream(fc.nat()),
        (memberCount, taskCount, owners, sizes, shuffle) => {
          const all = tasks(taskCount)
          const bytes = Object.fromEntries(all.map((task, i) => [task, sizes[i] as number]))
          // an owner of memberCount or more: nobody's
          const members = Array.from({ length: memberCount }, (_, m) => ({
            memberId: `m${m}`,
            owned: all.filter((_, i) => owners[i] === m),
            stored: [],
            bytes,
          }))
          const plan = assignTasks(members, all)
          const least = Math.floor(taskCount / memberCount)
          const extras = taskCount % memberCount
          const mayStay =
            members.reduce((sum, { owned }) => sum + Math.min(owned.length, least), 0) +
            Math.min(extras, members.filter(({ owned }) => owned.length > least).length)
          const stayed = members.reduce((sum, { memberId, owned }) => {
            const mine = plan.get(memberId) ?? []
            return sum + owned.filter((task) => mine.includes(task)).length
          }, 0)
          expect(stayed).toBe(mayStay)
          const mixed = <T>(list: readonly T[]): T[] =>
            [...list]
              .map((of) => [shuffle.next().value as number, of] as const)
              .sort(([a], [b]) => a - b)
              .map(([, of]) => of)
          expect(assignTasks(mixed(members.map((m) => ({ ...m, owned: mixed(m.owned) }))), mixed(all))).toEqual(plan)
        },
      ),
    )
  })

  it('moves the small states and spreads new tasks by size', () => {
    const bytes = { '0_0': 10, '0_1': 900, '0_2': 20, '0_3': 800 }
    const owned = ['0_0', '0_1', '0_2', '0_3']
    const plan = assignTasks([{ memberId: 'a', owned, stored: [], bytes }, none('b')], owned)
    expect(plan.get('a')).toEqual(['0_1', '0_3'])
    const fresh = assignTasks([{ ...none('a'), bytes }, none('b')], owned)
    expect(fresh.get('a')).toEqual(['0_0', '0_1'])
    expect(fresh.get('b')).toEqual(['0_2', '0_3'])
  })

  it('of several that have the state, the one that is furthest gets a task', () => {
    const at = (n: number) => ({ '0_0': n })
    const stored = ['0_0']
    const plan = assignTasks(
      [
        { ...none('a'), stored, at: at(10) },
        { ...none('b'), stored, at: at(70) },
        { ...none('c'), stored },
      ],
      stored,
    )
    expect(plan.get('b')).toEqual(['0_0'])
  })

  it('uneven sizes: the large states are not all with one member, and nothing moves for a small difference', () => {
    const large = 3 * SKEW_BYTES
    const bytes = { '0_0': large, '0_1': large, '0_2': 1, '0_3': 2 }
    const a = { ...none('a'), owned: ['0_0', '0_1'], bytes }
    const b = { ...none('b'), owned: ['0_2', '0_3'], bytes }
    const plan = assignTasks([a, b], Object.keys(bytes))
    expect(plan.get('a')).toEqual(['0_1', '0_2'])
    expect(plan.get('b')).toEqual(['0_0', '0_3'])
    const near = { '0_0': SKEW_BYTES / 2, '0_1': SKEW_BYTES / 2, '0_2': 1, '0_3': 2 }
    const kept = assignTasks(
      [
        { ...a, bytes: near },
        { ...b, bytes: near },
      ],
      Object.keys(near),
    )
    expect(kept.get('a')).toEqual(['0_0', '0_1'])
  })

  it('property: with sizes that matter tasks and bytes are shared, whatever the order, and asked again nothing moves', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.array(fc.record({ gigabytes: fc.integer({ min: 0, max: 40 }), owner: fc.nat(6) }), { maxLength: 20 }),
        (memberCount, of) => {
          const all = tasks(of.length)
          const size = (task: string) => (of[all.indexOf(task)]?.gigabytes ?? 0) * 2 ** 30
          const bytes = Object.fromEntries(all.map((task) => [task, size(task)]))
          const members = Array.from({ length: memberCount }, (_, m) => {
            return { memberId: `m${m}`, owned: all.filter((_, t) => of[t]?.owner === m), stored: [], bytes }
          })
          const plan = assignTasks(members, all)
          const counts = [...plan.values()].map((list) => list.length)
          expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
          expect([...plan.values()].flat().sort()).toEqual([...all].sort())
          const held = [...plan.values()].map((list) => list.reduce((sum, task) => sum + size(task), 0))
          const [full, empty] = [held.indexOf(Math.max(...held)), held.lastIndexOf(Math.min(...held))]
          const apart = (held[full] as number) - (held[empty] as number)
          // no exchange of the fullest with the emptiest would halve the distance
          if (apart > SKEW_BYTES) {
            for (const out of plan.get(`m${full}`) ?? [])
              for (const back of plan.get(`m${empty}`) ?? [])
                expect(Math.abs(apart - 2 * (size(out) - size(back)))).toBeGreaterThan(apart / 2)
          }
          expect(assignTasks([...members].reverse(), [...all].reverse())).toEqual(plan)
          const next = members.map((m) => ({ ...m, owned: plan.get(m.memberId) ?? [] }))
          expect(assignTasks(next, all)).toEqual(plan)
        },
      ),
    )
  })
})
