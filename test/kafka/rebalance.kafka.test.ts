// Members that come, go and bounce on a real Kafka: what stays goes on, what moves is handed over, a bounce moves nothing.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { json, string, topology } from '../../src/index.ts'
import type { Log } from '../../src/log/log.ts'
import type { Task } from '../../src/runtime/task.ts'
import { type MemoryProvider, memoryProvider } from '../../src/state/memory.ts'
import type { Topology } from '../../src/topology/node.ts'
import { fresh } from '../contract/log/steps.ts'
import { counts, expectCounts, records } from '../support/counted-keys.ts'
import { load, type RunningWorker, runWorker } from '../support/run-worker.ts'
import { type RunningKafka, startKafka } from './broker.ts'
import { KAFKA, open, world } from './running.ts'

const PARTITIONS = 4
const EACH = 400 // records a round of load
const PAUSE_MS = 10_000 // tenths of a second, and a busy machine

/** What is the first sub-topology of `counts` is its second one. */
const reshaped = topology('counts', (t) => {
  t.stream('other', { key: string(), value: json<number>() }).to('out')
  t.stream('in', { key: string(), value: json<number>() }).groupByKey().count({ store: 'n' }).toStream().to('out')
})

interface Member extends RunningWorker {
  readonly log: Log
}

describe.runIf(KAFKA)('members that share the tasks', { timeout: 180_000 }, () => {
  let kafka: RunningKafka
  beforeAll(async () => {
    kafka = await startKafka()
  }, 120_000)
  afterAll(() => kafka?.stop(), 60_000)

  /** Each test has topics of its own. */
  async function scene() {
    const applicationId = fresh('app')
    const log = await open(kafka.brokers)
    const opened: Member[] = []
    let sent = 0
    return {
      log,
      get sent() {
        return sent
      },
      async load(n: number) {
        const keys = Array.from({ length: n }, (_, i) => `k${(sent + i) % 50}`)
        await load(log, records(keys, sent), PARTITIONS)
        sent += n
      },
      async start(member: string, provider: MemoryProvider, instanceId?: string, topology: Topology = counts): Promise<Member> {
        const own = await open(kafka.brokers)
        const setup = { topology, applicationId, provider, world, partitions: PARTITIONS, commitIntervalMs: 50, member }
        const running = await runWorker({ ...setup, log: own, ...(instanceId === undefined ? {} : { instanceId }) })
        const of = { ...running, log: own }
        opened.push(of)
        return of
      },
      async close() {
        for (const { worker, log: own } of opened) {
          await worker.close().catch(() => {})
          await own.close()
        }
        await log.deleteTopics(['in', 'out', 'other'])
        await log.close()
      },
    }
  }

  it('a static member that bounces within the session gets what it had: nothing moves, nothing is restored', async () => {
    const on = await scene()
    await on.load(EACH)
    const disks = { a: memoryProvider(), b: memoryProvider() }
    const a = await on.start('a', disks.a, 'a')
    const b = await on.start('b', disks.b, 'b')
    await settled(a, b)
    await a.untilCaughtUp()
    const before = { a: [...a.worker.tasks.keys()].sort(), b: [...b.worker.tasks.values()], rebalances: b.worker.counts.rebalances }
    await a.worker.close()
    await on.load(EACH)
    const began = world.clock.monotonic()
    const again = await on.start('a', disks.a, 'a')
    await until(() => again.worker.ready, 'the bounced member runs')
    const awayMs = world.clock.monotonic() - began
    await again.untilCaughtUp()
    expect([...again.worker.tasks.keys()].sort()).toEqual(before.a)
    expect(again.restored()).toBe(0)
    expect([...b.worker.tasks.values()]).toEqual(before.b)
    expect(b.worker.counts.rebalances).toBe(before.rebalances)
    console.info(`a bounce: running again ${Math.round(awayMs)} ms after the start, 0 records restored, no rebalance`)
    await again.worker.close()
    await b.worker.close()
    await expectCounts(on.log, on.sent)
    await on.close()
  })

  it('static members that come back with a topology of another shape end by name, whoever leads; with the old one they go on', async () => {
    const on = await scene()
    await on.log.createTopics([{ name: 'other', partitions: PARTITIONS, kind: 'plain' }])
    await on.load(EACH)
    const names = ['a', 'b']
    const disks = { a: memoryProvider(), b: memoryProvider() } as Readonly<Record<string, MemoryProvider>>
    const start = (name: string, topology: Topology): Promise<Member> => on.start(name, disks[name] as MemoryProvider, name, topology)
    const running = new Map<string, Member>()
    for (const name of names) running.set(name, await start(name, counts))
    await settled(...running.values())
    // first the one that does not lead: the leader tells it; then the leader
    for (const name of names.toReversed()) {
      const other = running.get(names.find((each) => each !== name) as string) as Member
      await running.get(name)?.worker.close()
      const upgraded = await start(name, reshaped)
      const ended = await until(
        async () =>
          (await upgraded.caughtUp().then(
            () => null,
            (error: unknown) => error,
          )) ?? false,
        'it ends',
      )
      expect(ended).toMatchObject({ code: 'STREAM_TOPOLOGY_MISMATCH', message: expect.stringContaining('only there: ') })
      expect(upgraded.worker.tasks.size).toBe(0)
      await upgraded.worker.close()
      await until(() => other.worker.tasks.size === PARTITIONS && other.worker.ready, 'the other one has all')
      running.set(name, await start(name, counts))
      await settled(...running.values())
    }
    await on.load(EACH)
    for (const member of running.values()) await member.untilCaughtUp()
    for (const { worker } of running.values()) await worker.close()
    await expectCounts(on.log, on.sent)
    await on.close()
  })

  it('a member that joins and one that leaves under load: what stays never stops for long, and every record counts once', async () => {
    const on = await scene()
    await on.load(EACH)
    const a = await on.start('a', memoryProvider())
    await a.untilCaughtUp()
    const kept = new Map(a.worker.tasks)
    let loading = true
    const loader = (async () => {
      while (loading) {
        await on.load(EACH)
        await world.timers.sleep(20)
      }
    })()
    await world.timers.sleep(1_000)
    const members = [a]
    const steady = await longestPauses(members, () => world.timers.sleep(2_000))
    const joining = await longestPauses(members, async () => {
      const b = await on.start('b', memoryProvider())
      members.push(b)
      await settled(a, b)
      await world.timers.sleep(500)
    })
    const stayed = [...a.worker.tasks.values()]
    expect(stayed).toHaveLength(2)
    expect(stayed.filter((task) => kept.get(task.id) === task)).toHaveLength(2)
    const leaving = await longestPauses(members, async () => {
      await members[1]?.worker.close()
      await until(() => a.worker.tasks.size === 4 && a.worker.ready, 'all tasks are back')
      await world.timers.sleep(500)
    })
    loading = false
    await loader
    await a.untilCaughtUp(60_000)
    expect(a.worker.counts.rewinds).toBe(0)
    const staying = (id: string): boolean => stayed.some((task) => task.id === id)
    const most = (of: ReadonlyMap<string, number>, which: (id: string) => boolean): string =>
      `${Math.round(Math.max(...[...of].filter(([id]) => which(id)).map(([, ms]) => ms)))} ms`
    console.info(
      `longest time without processing: without a rebalance ${most(steady, () => true)}; a join, tasks that stay ${most(joining, staying)}, ` +
        `that move ${most(joining, (id) => !staying(id))}; a leave, tasks that stay ${most(leaving, staying)}, that move ${most(leaving, (id) => !staying(id))}`,
    )
    for (const { id } of stayed) {
      expect(joining.get(id), `${id} while b joined`).toBeLessThan(PAUSE_MS)
      expect(leaving.get(id), `${id} while b left`).toBeLessThan(PAUSE_MS)
    }
    await a.worker.close()
    await expectCounts(on.log, on.sent)
    await on.close()
  })

  async function settled(...members: Member[]): Promise<void> {
    const share = PARTITIONS / members.length
    await until(() => members.every(({ worker }) => worker.ready && worker.tasks.size === share), 'the tasks are shared')
  }

  async function until<T>(what: () => T | false | Promise<T | false>, text: string): Promise<T> {
    const end = world.clock.monotonic() + 60_000
    for (;;) {
      const found = await what()
      if (found !== false) return found
      if (world.clock.monotonic() > end) throw new Error(`not within 60 s: ${text}`)
      await world.timers.sleep(5)
    }
  }

  /** By task, the longest time in which no member processed anything of it while `what` ran. */
  async function longestPauses(members: readonly Member[], what: () => Promise<unknown>): Promise<ReadonlyMap<string, number>> {
    const longest = new Map<string, number>()
    const last = new Map<string, number>()
    const seen = new Map<Task, number>()
    const look = (): void => {
      const atMs = world.clock.monotonic()
      for (const task of members.flatMap(({ worker }) => [...worker.tasks.values()])) {
        if (task.counts.records > (seen.get(task) ?? 0)) {
          longest.set(task.id, Math.max(longest.get(task.id) ?? 0, atMs - (last.get(task.id) ?? atMs)))
          last.set(task.id, atMs)
        }
        seen.set(task, task.counts.records)
      }
    }
    let done = false
    const watching = (async () => {
      for (; !done; look()) await world.timers.sleep(2)
    })()
    await what()
    done = true
    await watching
    const endMs = world.clock.monotonic()
    for (const [id, atMs] of last) longest.set(id, Math.max(longest.get(id) ?? 0, endMs - atMs))
    return longest
  }
})
