// Contract of a log: group membership. Who is told what, in which order, and under which generation a commit is taken.
import { describe, expect, it } from 'vitest'
import { partitionName, type TopicPartition } from '../../../src/base/record.ts'
import type { Group, GroupAssignment, GroupMember, Log } from '../../../src/log/log.ts'
import {
  append,
  commit,
  committedValues,
  fresh,
  freshTopic,
  freshWriter,
  position,
  readerAt,
  refusal,
  type SuiteOf,
  values,
  waitFor,
} from './steps.ts'

interface TestMember {
  readonly group: Group
  /** What has happened to it, in order: `revoke`, `lost`, `assign`. */
  readonly events: string[]
  readonly assignments: GroupAssignment[]
  /** The user data of all members, each time it led. */
  readonly led: string[][]
  readonly fatal: unknown[]
  userData: string
  onRevoke: (lost: boolean) => Promise<void>
}

/** Partitions go round robin over the members in the order of their user data. */
function share(topic: string, partitions: number, members: readonly GroupMember[]): Map<string, GroupAssignment> {
  const sorted = [...members].sort((a, b) => Buffer.compare(a.userData, b.userData))
  return new Map(
    sorted.map((member, i) => [
      member.memberId,
      {
        partitions: Array.from({ length: partitions }, (_, partition) => ({ topic, partition })).filter(
          (p) => p.partition % sorted.length === i,
        ),
        userData: Buffer.from(`for ${member.userData.toString()}`),
      },
    ]),
  )
}

function join(
  log: Log,
  groupId: string,
  topic: string,
  partitions: number,
  userData: string,
  instanceId: string | null = null,
): TestMember {
  const member: { -readonly [K in keyof TestMember]: TestMember[K] } = {
    group: undefined as unknown as Group,
    events: [],
    assignments: [],
    led: [],
    fatal: [],
    userData,
    onRevoke: async () => {},
  }
  member.group = log.group({
    groupId,
    instanceId,
    topics: [topic],
    userData: () => Buffer.from(member.userData),
    assign(members) {
      member.led.push(members.map((of) => of.userData.toString()).sort())
      return share(topic, partitions, members)
    },
    async onRevoke(lost) {
      member.events.push(lost ? 'lost' : 'revoke')
      await member.onRevoke(lost)
    },
    onAssign(assignment) {
      member.events.push('assign')
      member.assignments.push(assignment)
    },
    onFatal(error) {
      member.fatal.push(error)
    },
  })
  return member
}

function names(partitions: readonly TopicPartition[] | undefined): string[] {
  return (partitions ?? []).map((p) => partitionName(p.topic, p.partition)).sort()
}

function held(member: TestMember): number[] {
  return (member.assignments.at(-1)?.partitions ?? []).map((p) => p.partition).sort()
}

export function groupsContract(suite: SuiteOf): void {
  describe('a group', () => {
    it('of one member gives it everything, and user data travels both ways', async () => {
      const { log } = suite()
      const topic = await freshTopic(log, 3)
      const groupId = fresh('group')
      const a = join(log, groupId, topic, 3, 'a')
      await a.group.start()
      expect(a.events).toEqual(['assign'])
      expect(names(a.assignments[0]?.partitions)).toEqual([`${topic}-0`, `${topic}-1`, `${topic}-2`])
      expect(a.assignments[0]?.userData.toString()).toBe('for a')
      expect(a.led.at(-1)).toEqual(['a'])
      const identity = a.group.identity()
      expect(identity.groupId).toBe(groupId)
      expect(identity.memberId).not.toBe('')
      expect(identity.generation).toBeGreaterThanOrEqual(0)
      await a.group.close()
      expect(a.fatal).toEqual([])
    })

    it('is shared with who joins: a last commit under the old generation first, a new identity after', async () => {
      const { log, another } = suite()
      const topic = await freshTopic(log, 4)
      const out = await freshTopic(log)
      const groupId = fresh('group')
      const a = join(log, groupId, topic, 4, 'a')
      await a.group.start()
      const old = a.group.identity()
      const writer = await freshWriter(log)
      append(writer, out, ['first'])
      await commit(writer, { identity: old, groupId, offsets: [position(topic, 0, 1)] })

      const b = join(await another(), groupId, topic, 4, 'b')
      a.onRevoke = async () => {
        expect(b.events).toEqual([])
        append(writer, out, ['last'])
        await commit(writer, { identity: a.group.identity(), groupId, offsets: [position(topic, 0, 2)] })
        expect(a.group.identity()).toEqual(old)
        expect(b.events).toEqual([])
        a.events.push('revoked')
      }
      await b.group.start()
      await waitFor('both share', () => held(a).length === 2 && held(b).length === 2)
      expect(a.events.slice(0, 4)).toEqual(['assign', 'revoke', 'revoked', 'assign'])
      expect(held(a)).toEqual([0, 2])
      expect(held(b)).toEqual([1, 3])
      expect([...a.led, ...b.led]).toContainEqual(['a', 'b'])
      expect(b.assignments.at(-1)?.userData.toString()).toBe('for b')
      expect(a.group.identity().generation).toBeGreaterThan(old.generation)
      expect(b.group.identity().generation).toBe(a.group.identity().generation)
      expect(b.group.identity().memberId).not.toBe(a.group.identity().memberId)
      expect(await log.committed(groupId, [{ topic, partition: 0 }])).toEqual([position(topic, 0, 2)])

      append(writer, out, ['old generation'])
      await refusal('STREAM_FENCED', () => commit(writer, { identity: old, groupId, offsets: [position(topic, 0, 3)] }))
      await writer.init()
      append(writer, out, ['new generation'])
      await commit(writer, { identity: a.group.identity(), groupId, offsets: [position(topic, 0, 4)] })
      expect(await log.committed(groupId, [{ topic, partition: 0 }])).toEqual([position(topic, 0, 4)])
      expect(await committedValues(log, out)).toEqual(['first', 'last', 'new generation'])

      a.onRevoke = async () => {}
      await b.group.close()
      await waitFor('all is back with the one that stayed', () => held(a).length === 4)
      await a.group.close()
      await writer.close()
      expect([...a.fatal, ...b.fatal]).toEqual([])
    })

    it('refuses offsets of an old generation, an unknown member and after leaving, at_least_once too', async () => {
      const { log } = suite()
      const topic = await freshTopic(log)
      const groupId = fresh('group')
      const a = join(log, groupId, topic, 1, 'a')
      await a.group.start()
      const identity = a.group.identity()
      const writer = await freshWriter(log, 'at_least_once')
      await commit(writer, { identity, groupId, offsets: [position(topic, 0, 1)] })
      for (const wrong of [
        { ...identity, generation: identity.generation - 1 },
        { ...identity, generation: identity.generation + 1 },
        { ...identity, memberId: fresh('nobody') },
      ]) {
        const other = await freshWriter(log, 'at_least_once')
        await refusal('STREAM_FENCED', () => commit(other, { identity: wrong, groupId, offsets: [position(topic, 0, 9)] }))
        await other.close()
        const exact = await freshWriter(log)
        await refusal('STREAM_FENCED', () => commit(exact, { identity: wrong, groupId, offsets: [position(topic, 0, 9)] }))
        await exact.close()
      }
      await a.group.close()
      const late = await freshWriter(log)
      await refusal('STREAM_FENCED', () => commit(late, { identity, groupId, offsets: [position(topic, 0, 9)] }))
      await late.close()
      expect(await log.committed(groupId, [{ topic, partition: 0 }])).toEqual([position(topic, 0, 1)])
      await writer.close()
    })

    it('is assigned anew when a member asks: new user data reaches the leader', async () => {
      const { log, another } = suite()
      const topic = await freshTopic(log, 2)
      const groupId = fresh('group')
      const a = join(log, groupId, topic, 2, 'a')
      const b = join(await another(), groupId, topic, 2, 'b')
      await Promise.all([a.group.start(), b.group.start()])
      await waitFor('both share', () => held(a).length === 1 && held(b).length === 1)
      for (const [member, data] of [
        [b, 'b2'],
        [a, 'c'],
      ] as const) {
        member.userData = data
        member.group.rejoin()
        await waitFor(`${data} arrives`, () => member.assignments.at(-1)?.userData.toString() === `for ${data}`)
        await waitFor('both are assigned again', () => held(a)[0] !== held(b)[0])
      }
      expect([...a.led, ...b.led]).toContainEqual(['b2', 'c'])
      await waitFor('the order of the user data decides', () => held(b)[0] === 0 && held(a)[0] === 1)
      await Promise.all([a.group.close(), b.group.close()])
      expect([...a.fatal, ...b.fatal]).toEqual([])
    })

    it('keeps the place of a static member that comes back', async () => {
      const { log, another, options } = suite()
      const topic = await freshTopic(log, 2)
      const groupId = fresh('group')
      const a = join(log, groupId, topic, 2, 'a', fresh('instance'))
      const instance = fresh('instance')
      const b = join(await another(), groupId, topic, 2, 'b', instance)
      await a.group.start()
      await b.group.start()
      await waitFor('both share', () => held(a).length === 1 && held(b).length === 1)
      const generation = a.group.identity().generation
      const before = { events: [...a.events], old: b.group.identity() }
      await b.group.close()
      const again = join(await another(), groupId, topic, 2, 'b', instance)
      await again.group.start()
      expect(held(again)).toEqual(held(b))
      expect(again.group.identity()).toMatchObject({ generation, instanceId: instance })
      const none = readerAt(log, [])
      await values(none, options.settleMs)
      await none.close()
      expect(a.events).toEqual(before.events)
      expect(a.group.identity().generation).toBe(generation)
      const writer = await freshWriter(log)
      await refusal('STREAM_FENCED', () => commit(writer, { identity: before.old, groupId, offsets: [position(topic, 1, 1)] }))
      await writer.init()
      await commit(writer, { identity: again.group.identity(), groupId, offsets: [position(topic, 1, 2)] })
      await writer.close()
      await Promise.all([a.group.close(), again.group.close()])
      expect([...a.fatal, ...again.fatal]).toEqual([])
    })

    it('gives up the place of a static member that leaves, and not that of who has taken over from it', async () => {
      const { log, another } = suite()
      const topic = await freshTopic(log, 2)
      const groupId = fresh('group')
      const instance = fresh('instance')
      const a = join(log, groupId, topic, 2, 'a', fresh('instance'))
      const b = join(await another(), groupId, topic, 2, 'b', instance)
      await a.group.start()
      await b.group.start()
      await waitFor('both share', () => held(a).length === 1 && held(b).length === 1)
      const again = join(await another(), groupId, topic, 2, 'b', instance)
      await again.group.start()
      await waitFor('the first is told', () => b.fatal.length > 0)
      await b.group.close(true)
      expect([held(a).length, held(again).length]).toEqual([1, 1])
      const began = performance.now()
      await again.group.close(true)
      await waitFor('the other has all', () => held(a).length === 2)
      expect(performance.now() - began).toBeLessThan(20_000) // the session has 45 s
      await a.group.close(true)
      expect([...a.fatal, ...again.fatal]).toEqual([])
    })

    it('ends the membership of the process that a static member was taken over from', async () => {
      const { log, another } = suite()
      const topic = await freshTopic(log)
      const groupId = fresh('group')
      const instance = fresh('instance')
      const a = join(log, groupId, topic, 1, 'a', instance)
      await a.group.start()
      const again = join(await another(), groupId, topic, 1, 'a', instance)
      await again.group.start()
      expect(held(again)).toEqual([0])
      await waitFor('the first is told', () => a.fatal.length > 0)
      await refusal('STREAM_FENCED', () => {
        throw a.fatal[0]
      })
      await Promise.all([a.group.close(), again.group.close()])
      expect(again.fatal).toEqual([])
    })
  })
}
