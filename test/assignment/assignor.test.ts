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
})
