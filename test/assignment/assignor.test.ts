import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type AssignmentMember, assignTasks } from '../../src/assignment/assignor.ts'

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
})
