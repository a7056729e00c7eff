// Workers that come, go and die under load: whoever runs a task, every record counts once, on both sides of a repartition topic.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MillraceError } from '../../src/base/errors.ts'
import { systemWorld } from '../../src/base/system.ts'
import { json, string, topology } from '../../src/index.ts'
import type { Log } from '../../src/log/log.ts'
import { type MemoryLog, memoryLog } from '../../src/log/memory.ts'
import { type MemoryProvider, memoryProvider } from '../../src/state/memory.ts'
import type { StoreProvider } from '../../src/state/store.ts'
import { padChangelogs } from '../support/pad-changelogs.ts'
import { proxied } from '../support/proxied.ts'
import { type InputRecord, load, type RunningWorker, readAll, runWorker } from '../support/run-worker.ts'
import { runsOf } from '../support/tier.ts'

const world = systemWorld()
const PARTITIONS = 3

const counted = topology('counted', (t) => {
  const input = t.stream('in', { key: string(), value: json<string>() })
  input.groupByKey().count({ store: 'by-key' }).toStream().to('keys', { key: string(), value: json<number>() })
  input
    .groupBy((value) => value, { key: string() })
    .count({ store: 'by-value' })
    .toStream()
    .to('values', { key: string(), value: json<number>() })
})

type Action =
  | { readonly kind: 'load'; readonly records: number; readonly waitMs: number }
  | { readonly kind: 'join' }
  | { readonly kind: 'leave' | 'kill' | 'killAndLoseDisk' | 'refuseCommit' | 'loseAnswer'; readonly which: number }

interface Member {
  readonly client: MemoryLog
  readonly provider: MemoryProvider
  readonly running: RunningWorker
  fault: 'none' | 'refuseCommit' | 'loseAnswer'
}

/** As a disk: answers what was read when it was asked, and writes, a turn of the event loop later; an open store is locked. */
function slow(inner: StoreProvider): StoreProvider {
  const held = new Set<string>()
  return {
    async open(task, name, persistent) {
      const id = `${task}/${name}`
      if (held.has(id)) throw new MillraceError('STREAM_STATE_LOCKED', `store ${id} is open already`)
      held.add(id)
      const { store, rebuilt } = await inner.open(task, name, persistent)
      const late: typeof store = {
        ...proxied(store),
        async getMany(keys) {
          const found = await store.getMany(keys)
          await world.timers.turn()
          return found
        },
        async apply(writes, checkpoint) {
          await world.timers.turn()
          await store.apply(writes, checkpoint)
          await world.timers.turn()
        },
        async close() {
          await store.close()
          held.delete(id)
        },
      }
      return { store: late, rebuilt }
    },
    setAside: (task, name, reason) => inner.setAside(task, name, reason),
  }
}

async function play(actions: readonly Action[], standbys: number): Promise<{ log: MemoryLog; sent: InputRecord[] }> {
  const log = memoryLog(world)
  await log.createTopics(['in', 'keys', 'values'].map((name) => ({ name, partitions: PARTITIONS, kind: 'plain' })))
  const members: Member[] = []
  const disks: MemoryProvider[] = []
  const sent: InputRecord[] = []
  let names = 0
  const join = async (): Promise<Member> => {
    const client = log.another()
    const provider = disks.pop() ?? memoryProvider()
    const held: { member: Member | null } = { member: null }
    const failing: Log = {
      ...proxied<Log>(client),
      writer(options) {
        const of = client.writer(options)
        return {
          ...proxied(of),
          bufferedBytes: 0,
          async commit(identity, groupId, offsets) {
            const fault = held.member?.fault ?? 'none'
            if (held.member !== null) held.member.fault = 'none'
            if (fault !== 'refuseCommit') await of.commit(identity, groupId, offsets)
            else await padChangelogs(log)
            if (fault !== 'none') throw new MillraceError('STREAM_DOUBT', `injected: ${fault}`)
          },
        }
      },
    }
    const setup = { log: failing, topology: counted, applicationId: 'app', provider: slow(provider), world, partitions: PARTITIONS }
    const running = await runWorker({ ...setup, commitIntervalMs: 1, standbys, member: `m${names++}` })
    held.member = { client, provider, running, fault: 'none' }
    members.push(held.member)
    return held.member
  }
  await join()
  for (const action of actions) {
    if (action.kind === 'load') {
      const records = Array.from({ length: action.records }, (_, i): InputRecord => {
        const n = sent.length + i
        return { topic: 'in', key: Buffer.from(`k${n % 7}`), value: Buffer.from(`"v${n % 5}"`), timestamp: n }
      })
      sent.push(...records)
      await load(log, records, PARTITIONS)
      if (action.waitMs > 0) await world.timers.sleep(action.waitMs)
    } else if (action.kind === 'join') {
      if (members.length < 3) await join()
    } else if (action.kind === 'refuseCommit' || action.kind === 'loseAnswer') {
      const member = members[action.which % members.length]
      if (member !== undefined) member.fault = action.kind
    } else if (members.length > 1 || action.kind !== 'leave') {
      const [member] = members.splice(action.which % members.length, 1)
      if (member === undefined) continue
      if (action.kind === 'leave') await member.running.worker.close()
      else {
        member.client.crash()
        member.provider.crash()
        await member.running.worker.close().catch(() => {})
      }
      if (action.kind !== 'killAndLoseDisk') disks.push(member.provider)
    }
  }
  const last = members.at(-1) ?? (await join())
  await last.running.untilCaughtUp(10_000)
  for (const member of members) await member.running.worker.close()
  return { log, sent }
}

async function seen(log: Log, topic: string): Promise<Record<string, number[]>> {
  const lists: Record<string, number[]> = {}
  for (const { key, value } of (await readAll(log, topic)).flat()) {
    const name = String(key)
    lists[name] = [...(lists[name] ?? []), Number(String(value))]
  }
  return lists
}

function expected(names: readonly string[]): Record<string, number[]> {
  const lists: Record<string, number[]> = {}
  for (const name of names) lists[name] = [...(lists[name] ?? []), (lists[name]?.length ?? 0) + 1]
  return lists
}

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('load' as const),
      records: fc.integer({ min: 1, max: 60 }),
      waitMs: fc.constantFrom(0, 1, 5, 20),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('join' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom('leave', 'kill', 'killAndLoseDisk', 'refuseCommit', 'loseAnswer'), which: fc.nat(2) }),
  },
)

describe('workers that share the tasks', () => {
  it(
    'property: come, go, die and doubt under load, and every record counts once',
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(action, { minLength: 3, maxLength: 14 }), fc.constantFrom(0, 1, 2), async (actions, standbys) => {
          const { log, sent } = await play(actions, standbys)
          expect(await seen(log, 'keys')).toEqual(expected(sent.map(({ key }) => String(key))))
          expect(await seen(log, 'values')).toEqual(expected(sent.map(({ value }) => JSON.parse(String(value)))))
          expect((await readAll(log, 'app-dead-letter')).flat()).toEqual([])
          await log.close()
        }),
        { numRuns: runsOf(60, 600) },
      )
    },
    runsOf(120_000, 600_000),
  )
})
