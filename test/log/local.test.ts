// What only an in-process log promises: nothing but microtasks and the World's timers, members that are late or away, crashes.
import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/base/limits.ts'
import { localLog } from '../../src/log/local/log.ts'
import { emptyPartition } from '../../src/log/local/partition.ts'
import { emptyState } from '../../src/log/local/state.ts'
import type { Group, GroupMember, Log } from '../../src/log/log.ts'
import { type MemoryLog, memoryLog } from '../../src/log/memory.ts'
import { append, commit, freshWriter, position, refusal, textOf } from '../contract/log/steps.ts'
import { type ManualWorld, manualWorld, settled } from './manual-world.ts'

const topic = 'topic'

async function makeLog(): Promise<{ world: ManualWorld; log: MemoryLog }> {
  const world = manualWorld()
  const log = memoryLog(world)
  await log.createTopics([{ name: topic, partitions: 4, kind: 'plain' }])
  return { world, log }
}

interface Joined {
  readonly group: Group
  readonly events: string[]
  onRevoke: (lost: boolean) => Promise<void>
}

function join(log: Log, name: string, instanceId: string | null = null): Joined {
  const events: string[] = []
  const joined: { group: Group; events: string[]; onRevoke: Joined['onRevoke'] } = {
    group: undefined as never,
    events,
    onRevoke: async () => {},
  }
  joined.group = log.group({
    groupId: 'group',
    instanceId,
    topics: [topic],
    userData: () => Buffer.from(name),
    assign: (members: readonly GroupMember[]) =>
      new Map(
        members.map((member, i) => [
          member.memberId,
          {
            partitions: [0, 1, 2, 3].filter((p) => p % members.length === i).map((partition) => ({ topic, partition })),
            userData: Buffer.alloc(0),
          },
        ]),
      ),
    onRevoke(lost) {
      events.push(lost ? 'lost' : 'revoke')
      return joined.onRevoke(lost)
    },
    onAssign: (assignment) => events.push(assignment.partitions.map((p) => p.partition).join('')),
    onFatal: (error) => events.push(`fatal ${String((error as { code?: string }).code ?? error)}`),
  })
  return joined
}

describe('the log in memory', () => {
  it('needs microtasks only, and never waits in poll(0)', async () => {
    const { world, log } = await makeLog()
    let macrotask = false
    setImmediate(() => {
      macrotask = true
    })
    const a = join(log, 'a')
    const b = join(log, 'b')
    await Promise.all([a.group.start(), b.group.start()])
    expect([a.events, b.events]).toEqual([['02'], ['13']])
    const writer = await freshWriter(log)
    const reader = log.reader()
    reader.assign([{ topic, partition: 0, offset: 0 }])
    expect(await reader.poll(0)).toEqual([])
    append(writer, topic, ['x'])
    await writer.drain()
    expect(await reader.poll(0)).toEqual([])
    await commit(writer, { identity: a.group.identity(), groupId: 'group', offsets: [position(topic, 0, 1)] })
    expect((await reader.poll(0)).flatMap((chunk) => chunk.records.map(textOf))).toEqual(['x'])
    expect(await log.committed('group', [{ topic, partition: 0 }])).toEqual([position(topic, 0, 1)])
    await a.group.close()
    await b.group.close()
    await log.close()
    expect(macrotask).toBe(false)
    expect(world.pending).toBe(0)
  })

  it('waits in poll by the timers of the World', async () => {
    const { world, log } = await makeLog()
    const reader = log.reader()
    reader.assign([{ topic, partition: 0, offset: 0 }])
    let done = false
    const polled = reader.poll(1_000).then((chunks) => {
      done = true
      return chunks
    })
    await world.advance(999)
    expect(done).toBe(false)
    await world.advance(1)
    expect(await polled).toEqual([])
    const next = reader.poll(1_000)
    const writer = await freshWriter(log)
    append(writer, topic, ['x'])
    await commit(writer)
    expect((await next).flatMap((chunk) => chunk.records.map(textOf))).toEqual(['x'])
    await log.close()
    expect(world.pending).toBe(0)
  })

  it('hands a committed run out as it is, without a copy', async () => {
    const { log } = await makeLog()
    const writer = await freshWriter(log)
    append(writer, topic, ['a', 'b'])
    await commit(writer)
    const seen = []
    for (let i = 0; i < 2; i++) {
      const reader = log.reader()
      reader.assign([{ topic, partition: 0, offset: 0 }])
      seen.push((await reader.poll(0))[0]?.records)
    }
    expect(seen[0]).toBe(seen[1])
  })

  it('loses what a crashed client had open, its members and nothing else', async () => {
    const { log } = await makeLog()
    const client = log.another()
    const writer = await freshWriter(client, 'exactly_once', 'w')
    append(writer, topic, ['kept'])
    await commit(writer)
    append(writer, topic, ['sealed'])
    writer.seal()
    append(writer, topic, ['open'])
    const other = await freshWriter(log)
    append(other, topic, ['other'])
    await commit(other)
    const a = join(client, 'a')
    const b = join(log, 'b')
    await Promise.all([a.group.start(), b.group.start()])
    client.crash()
    await settled()
    expect(a.events).toEqual(['02'])
    expect(b.events).toEqual(['13', 'revoke', '0123'])
    await refusal('STREAM_CLOSED', () => writer.flush())
    await refusal('STREAM_CLOSED', () => client.topics([]))
    const reader = log.reader()
    reader.assign([{ topic, partition: 0, offset: 0 }])
    expect((await reader.poll(0)).flatMap((chunk) => chunk.records.map(textOf))).toEqual(['kept', 'other'])
    await log.close()
  })
})

describe('a durable log in process', () => {
  it('waits with the committed offsets for a commit that is under way, but not for ever', async () => {
    const world = manualWorld()
    const writes: (() => void)[] = []
    const state = emptyState(world, {
      createTopics: async (specs) =>
        specs.map((spec) => ({ spec, partitions: [emptyPartition(spec.name, 0, `${spec.name}-0`)], deleted: false })),
      async deleteTopics() {},
      commit: () => new Promise((resolve) => writes.push(resolve)),
      settled() {},
      async close() {},
    })
    const log = localLog('embedded', state, true)
    await log.createTopics([{ name: topic, partitions: 1, kind: 'plain' }])
    const writer = await freshWriter(log)
    append(writer, topic, ['x'])
    const done = commit(writer, { groupId: 'group', offsets: [position(topic, 0, 1)] })
    await settled()
    const at = [{ topic, partition: 0 }]
    const answers: unknown[] = []
    const asked = log.committed('group', at).then((offsets) => answers.push(offsets[0]))
    await settled()
    expect([writes.length, answers]).toEqual([1, []])
    writes[0]?.()
    await Promise.all([done, asked])
    expect(answers).toEqual([position(topic, 0, 1)])

    append(writer, topic, ['y'])
    const stuck = commit(writer, { groupId: 'group', offsets: [position(topic, 0, 2)] })
    await settled()
    const refused = refusal('STREAM_UNSTABLE', () => log.committed('group', at))
    await world.advance(LIMITS.stableOffsetsTimeoutMs)
    await refused
    writes[1]?.()
    await stuck
    await log.close()
  })
})

describe('a group of an in-process log', () => {
  it('leaves a member behind that does not give up in time; it comes back as a new one', async () => {
    const { world, log } = await makeLog()
    const a = join(log, 'a')
    const b = join(log, 'b')
    await a.group.start()
    const old = a.group.identity()
    let release = (): void => {}
    a.onRevoke = (lost) => (lost ? Promise.resolve() : new Promise((resolve) => (release = resolve)))
    const started = b.group.start()
    await world.advance(LIMITS.rebalanceTimeoutMs - 1)
    expect(b.events).toEqual([])
    await world.advance(1)
    await started
    expect(b.events).toEqual(['0123'])
    const writer = await freshWriter(log)
    await refusal('STREAM_FENCED', () => commit(writer, { identity: old, groupId: 'group', offsets: [position(topic, 0, 1)] }))
    a.onRevoke = async () => {}
    release()
    await settled()
    expect(a.events).toEqual(['0123', 'revoke', 'lost', '13'])
    expect(b.events).toEqual(['0123', 'revoke', '02'])
    expect(a.group.identity().memberId).not.toBe(old.memberId)
    await log.close()
    expect(world.pending).toBe(0)
  })

  it('gives the place of a static member away when its session ends', async () => {
    const { world, log } = await makeLog()
    const a = join(log, 'a', 'one')
    const b = join(log, 'b', 'two')
    await Promise.all([a.group.start(), b.group.start()])
    await a.group.close()
    await world.advance(LIMITS.sessionTimeoutMs - 1)
    expect(b.events).toEqual(['13'])
    await world.advance(1)
    expect(b.events).toEqual(['13', 'revoke', '0123'])
    await b.group.close()
    const again = join(log, 'b', 'two')
    await again.group.start()
    expect(again.events).toEqual(['0123'])
    await log.close()
    expect(world.pending).toBe(0)
  })

  it('ends the membership whose own callback throws, and goes on without it', async () => {
    const { log } = await makeLog()
    const a = join(log, 'a')
    const b = join(log, 'b')
    await a.group.start()
    a.onRevoke = () => Promise.reject(new Error('its own fault'))
    await b.group.start()
    expect(a.events).toEqual(['0123', 'revoke', 'fatal Error: its own fault'])
    expect(b.events).toEqual(['0123'])
    await log.close()
  })

  it('takes no offsets of nobody while it has members', async () => {
    const { log } = await makeLog()
    const a = join(log, 'a')
    await a.group.start()
    const writer = await freshWriter(log)
    await refusal('STREAM_FENCED', () => commit(writer, { groupId: 'group', offsets: [position(topic, 0, 1)] }))
    await a.group.close()
    await writer.init()
    await commit(writer, { groupId: 'group', offsets: [position(topic, 0, 2)] })
    expect(await log.committed('group', [{ topic, partition: 0 }])).toEqual([position(topic, 0, 2)])
    await log.close()
  })
})
