// Two versions of an application in one group, whose topologies have different shapes: the one that runs goes on, the other ends by name, and
// no record is processed by the wrong one.
import { expect, it } from 'vitest'
import type { MillraceError } from '../../src/base/errors.ts'
import { json, string, topology } from '../../src/index.ts'
import type { GroupOptions, Log } from '../../src/log/log.ts'
import type { MemoryLog } from '../../src/log/memory.ts'
import { decodeClaim, encodeClaim, encodeShare, decodeShare } from '../../src/assignment/hand-over.ts'
import { expectCounts, keysOf, logOf, records, run } from '../support/counted-keys.ts'
import { proxied } from '../support/proxied.ts'
import { load, readAll, type RunningWorker, type WorkerSetup } from '../support/run-worker.ts'

const PARTITIONS = 4
const text = { key: string(), value: json<number>() }

/** Its sub-topology 0 is another one, and what was 0 is 1. */
const reshaped = topology('counts', (t) => {
  t.stream('other', text).to('elsewhere', text)
  t.stream('in', text).groupByKey().count({ store: 'n' }).toStream().to('out', text)
})

/** The same shape, other functions. */
const sameShape = topology('counts', (t) => {
  t.stream('in', text)
    .filter(() => true)
    .groupByKey()
    .count({ store: 'n' })
    .toStream()
    .peek(() => {})
    .to('out', text)
})

interface Scene {
  readonly log: MemoryLog
  load(n: number): Promise<void>
  /** A member with a log of its own, unless one is given. */
  run(member: string, setup?: Partial<WorkerSetup>): Promise<RunningWorker>
  expectAll(): Promise<void>
}

async function scene(): Promise<Scene> {
  const log = logOf()
  await log.createTopics(['in', 'out', 'other', 'elsewhere'].map((name) => ({ name, partitions: PARTITIONS, kind: 'plain' })))
  let sent = 0
  return {
    log,
    async load(n) {
      await load(log, records(keysOf(n), sent), PARTITIONS)
      sent += n
    },
    run: (member, setup = {}) => run({ log: log.another(), partitions: PARTITIONS, member, ...setup }),
    expectAll: () => expectCounts(log, sent),
  }
}

/** What it gave up with. */
async function gaveUp(member: RunningWorker): Promise<unknown> {
  const look = (): Promise<unknown> =>
    member.caughtUp().then(
      () => null,
      (error: unknown) => error,
    )
  await expect.poll(look, { timeout: 10_000, interval: 5 }).not.toBeNull()
  return look()
}

const MISMATCH = { code: 'STREAM_TOPOLOGY_MISMATCH', disposition: 'stop' }
const WORDS =
  'application app runs with a topology of another shape than this one (only there: sub-topology 0 keeps the store n ' +
  '(keyValue string to json, changelog app-n-changelog), sub-topology 0 reads in; only here: sub-topology 0 reads other, sub-topology 1 has 4 ' +
  'tasks, sub-topology 1 keeps the store n (keyValue string to json, changelog app-n-changelog), and 1 more): the same task would mean two ' +
  'things; stop all instances of the application first, or give the new topology another application id'

it('a newcomer of another shape ends by name, without a task; who is at work goes on', async () => {
  const on = await scene()
  await on.load(200)
  const a = await on.run('a')
  await a.untilCaughtUp()
  const before = [...a.worker.tasks.values()]
  const b = await on.run('b', { topology: reshaped })
  const error = await gaveUp(b)
  expect(error).toMatchObject(MISMATCH)
  expect((error as MillraceError).message).toBe(WORDS)
  expect(b.worker.tasks.size).toBe(0)
  await b.worker.close()
  await on.load(200)
  await a.untilCaughtUp()
  expect([...a.worker.tasks.values()], 'the same tasks, never interrupted').toEqual(before)
  expect(a.worker.counts.rewinds).toBe(0)
  await on.expectAll()
})

it('a newcomer of the same shape shares the tasks without a word', async () => {
  const on = await scene()
  await on.load(200)
  const a = await on.run('a')
  const b = await on.run('b', { topology: sameShape })
  await expect.poll(() => [a.worker.tasks.size, b.worker.tasks.size], { timeout: 10_000, interval: 5 }).toEqual([2, 2])
  await on.load(200)
  await a.untilCaughtUp()
  await on.expectAll()
})

it('a static member that comes back with another shape is not taken for its predecessor, though it leads; nor is it with the old shape', async () => {
  const on = await scene()
  await on.load(200)
  const a = await on.run('a', { instanceId: 'a' })
  const b = await on.run('b', { instanceId: 'b' })
  await expect.poll(() => [a.worker.tasks.size, b.worker.tasks.size], { timeout: 10_000, interval: 5 }).toEqual([2, 2])
  await a.untilCaughtUp()
  await a.worker.close()
  const upgraded = await on.run('a', { instanceId: 'a', topology: reshaped })
  const error = await gaveUp(upgraded)
  expect(error).toMatchObject(MISMATCH)
  expect((error as MillraceError).message).toBe(WORDS) // it has them from what it was given in the place of the leader
  expect(upgraded.worker.tasks.size).toBe(0)
  // Its place is there still, with what was dealt to it under the other shape.
  const back = await on.run('a', { instanceId: 'a' })
  await expect.poll(() => [back.worker.tasks.size, b.worker.tasks.size], { timeout: 10_000, interval: 5 }).toEqual([2, 2])
  await upgraded.worker.close().catch(() => {})
  await on.load(200)
  await back.untilCaughtUp()
  await on.expectAll()
})

it('all are stopped, and the first of the new ones has a place of the old ones: it runs', async () => {
  const on = await scene()
  await on.load(200)
  const a = await on.run('a', { instanceId: 'a' })
  await a.untilCaughtUp()
  await a.worker.close()
  const again = await on.run('a', { instanceId: 'a', topology: reshaped })
  await expect.poll(() => again.worker.tasks.size, { timeout: 10_000, interval: 5 }).toBe(8)
  await on.load(200)
  await load(
    on.log,
    records(['k1']).map((record) => ({ ...record, topic: 'other' })),
    PARTITIONS,
  )
  await again.untilCaughtUp()
  await on.expectAll()
  expect((await readAll(on.log, 'elsewhere')).flat()).toHaveLength(1)
})

/** As a version that knows nothing of shapes. */
function older(log: MemoryLog): Log {
  return {
    ...proxied<Log>(log),
    group: (options: GroupOptions) =>
      log.group({
        ...options,
        userData() {
          const { shape: _, passed: __, ...claim } = decodeClaim(options.userData())
          return encodeClaim(claim as ReturnType<typeof decodeClaim>)
        },
        assign: (members) =>
          new Map(
            [...options.assign(members)].map(([memberId, { partitions, userData }]) => {
              const { shape: _, foreign: __, facts: ___, ...share } = decodeShare(userData)
              return [memberId, { partitions, userData: encodeShare(share as ReturnType<typeof decodeShare>) }]
            }),
          ),
      }),
  }
}

it.each(['the older one leads', 'the newer one leads'])(
  'with a version that tells no shape the tasks are shared as before: %s',
  async (who) => {
    const on = await scene()
    await on.load(200)
    const logs: readonly Log[] = [older(on.log.another()), on.log.another()]
    const [first, second] = who === 'the older one leads' ? logs : logs.toReversed()
    const a = await on.run('a', { log: first as Log })
    await a.untilCaughtUp()
    const b = await on.run('b', { log: second as Log })
    await expect.poll(() => [a.worker.tasks.size, b.worker.tasks.size], { timeout: 10_000, interval: 5 }).toEqual([2, 2])
    await on.load(200)
    await a.untilCaughtUp()
    await b.worker.close()
    await a.untilCaughtUp()
    await on.expectAll()
  },
)
