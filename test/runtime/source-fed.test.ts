// Tables whose topic is their changelog: made again from it, at any moment, they are what they were, and what comes of them does not depend on
// when that was.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { systemWorld } from '../../src/base/system.ts'
import { json, string, topology } from '../../src/index.ts'
import { changelogHolder } from '../../src/runtime/changelog-holder.ts'
import { queryableStore, type QueryableStore } from '../../src/runtime/query.ts'
import { memoryProvider } from '../../src/state/memory.ts'
import type { StoreProvider } from '../../src/state/store.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'
import { plan as planOf } from '../../src/topology/plan.ts'
import { logOf, run } from '../support/counted-keys.ts'
import { proxied } from '../support/proxied.ts'
import { load, type InputRecord, readAll } from '../support/run-worker.ts'
import { runsOf } from '../support/tier.ts'

const isNumber = (value: unknown): value is number => typeof value === 'number'
/** The table's values are numbers: others are not decoded. Below it a callback throws at multiples of 5. */
const prices = topology(
  'prices',
  (t) => {
    const rows = t.table('prices', { key: string(), value: json<number>(isNumber), store: 'prices' })
    rows
      .mapValues(
        (n) => {
          if (n % 5 === 0) throw new Error(`no change to ${n}`)
          return n + 1
        },
        { value: json<number>() },
      )
      .toStream()
      .to('changes', { key: string(), value: json<number>() })
    t.stream('sales', { key: string(), value: json<number>() })
      .leftJoin(rows, (amount, price) => `${amount} at ${price ?? 'none'}`, { value: json<string>() })
      .to('sold', { key: string(), value: json<string>() })
  },
  { optimize: true },
)

const KEYS = ['a', 'b', 'c', 'd']
const STEP = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      topic: fc.constant('prices'),
      key: fc.option(fc.constantFrom(...KEYS), { freq: 9 }),
      value: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constant(null), fc.constant('not a price')),
      timestamp: fc.integer({ min: 0, max: 1000 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      topic: fc.constant('sales'),
      key: fc.constantFrom(...KEYS),
      value: fc.integer({ min: 1, max: 9 }),
      timestamp: fc.integer({ min: 0, max: 1000 }),
    }),
  },
  { weight: 2, arbitrary: fc.constantFrom('commit' as const, 'crash' as const) },
)

it('outputs and rows are those of a map, whatever commits and crashes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(STEP, { maxLength: 60, size: 'max' }), fc.integer({ min: 1, max: 3 }), async (steps, partitions) => {
      await using driver = new TopologyTestDriver(prices, { partitions })
      const rows = new Map<string, number>()
      const [changes, sold, letters]: [unknown[], unknown[], unknown[]] = [[], [], []]
      for (const step of steps) {
        if (step === 'commit' || step === 'crash') {
          await driver[step]()
          continue
        }
        const { topic, key, value, timestamp } = step
        await driver.input(topic).pipe({ key, value, timestamp })
        if (topic === 'sales') sold.push([key, `${value} at ${rows.get(key as string) ?? 'none'}`])
        else if (typeof value === 'string') letters.push(key)
        else if (key !== null) {
          if (value === null) rows.delete(key)
          else rows.set(key, value)
          if (value === null || value % 5 !== 0) changes.push([key, value === null ? null : value + 1])
          else letters.push(key) // the row stays all the same
        }
      }
      const read = (topic: string) => driver.output(topic).readAll()
      expect(read('changes').map(({ key, value }) => [key, value])).toEqual(changes)
      expect(read('sold').map(({ key, value }) => [key, value])).toEqual(sold)
      expect(read('prices-dead-letter').map(({ key }) => key)).toEqual(letters)
      await driver.commit()
      await driver.crash() // all of it comes from the topic
      for (const key of KEYS) expect(driver.store('prices').get(key), key).toBe(rows.get(key) ?? null)
    }),
    { numRuns: runsOf(25, 200) },
  )
})

const record = (topic: string, key: string | null, value: unknown, timestamp: number): InputRecord => ({
  topic,
  key: key === null ? null : Buffer.from(key),
  value: value === null ? null : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
  timestamp,
})
const world = systemWorld()
const TOPICS = ['prices', 'sales', 'changes', 'sold']
const PRICES = [
  record('prices', 'a', 1, 10),
  record('prices', 'b', 2, 20),
  record('prices', null, 3, 30),
  record('prices', 'a', '{"cut off', 40),
  record('prices', 'c', 5, 50), // throws below
  record('prices', 'b', null, 60),
  record('prices', 'd', 7, -1), // no time
  record('prices', 'a', 8, 5),
]
const ROWS = ['a=8@5', 'c=5@50']

async function rowsOf(provider: StoreProvider): Promise<string[]> {
  const rows: string[] = []
  const { store } = await provider.open('0_0', 'prices', true)
  for await (const chunk of store.scan({ from: null, to: null }))
    for (const [key, { value, timestamp }] of chunk) rows.push(`${key}=${value}@${timestamp}`)
  await store.close()
  return rows
}

async function started(partitions = 1) {
  const log = logOf()
  await log.createTopics(TOPICS.map((name) => ({ name, partitions, kind: 'plain' })))
  await load(log, PRICES, partitions)
  const worker = (provider: StoreProvider, more: { standbys?: number; member?: string } = {}) =>
    run({ log: log.another(), topology: prices, applicationId: 'app', provider, partitions, ...more })
  return { log, worker }
}

describe('under a worker', () => {
  it('there is no changelog topic, and a lost disk is made again from the topic: the same rows, with their times', async () => {
    const { log, worker } = await started()
    const disk = memoryProvider()
    const first = await worker(disk)
    await first.untilCaughtUp()
    await first.worker.close()
    expect((await log.topicNames()).filter((name) => name.includes('changelog'))).toEqual([])
    expect(await rowsOf(disk)).toEqual(ROWS)

    const other = memoryProvider()
    const second = await worker(other)
    await second.untilCaughtUp()
    await second.worker.close()
    expect(second.restored()).toBe(5) // those that give a row or take one
    expect(await rowsOf(other)).toEqual(ROWS)
    expect((await readAll(log, 'changes')).flat().map(({ key, value }) => `${key}=${value}`)).toEqual(['a=2', 'b=3', 'b=null', 'a=9'])
  })

  it('what its serdes read as null is no row: made again from the topic, too', async () => {
    const nullable = topology(
      'nulls',
      (t) => {
        const serdes = { key: json<string | null>(), value: json<number | null>() }
        t.table('prices', { ...serdes, store: 'prices' })
          .toStream()
          .to('changes', serdes)
      },
      { optimize: true },
    )
    const log = logOf()
    await log.createTopics(TOPICS.map((name) => ({ name, partitions: 1, kind: 'plain' })))
    await load(log, [record('prices', '"a"', 1, 10), record('prices', '"b"', 2, 20), record('prices', '"a"', 'null', 30)], 1)
    await load(log, [record('prices', 'null', 4, 40)], 1)
    for (const disk of [memoryProvider(), memoryProvider()]) {
      const { untilCaughtUp, worker } = await run({
        log: log.another(),
        topology: nullable,
        applicationId: 'app',
        provider: disk,
        partitions: 1,
      })
      await untilCaughtUp()
      await worker.close()
      expect(await rowsOf(disk)).toEqual(['"b"=2@20'])
    }
  })

  it('a disk that is there goes on behind its checkpoint', async () => {
    const { log, worker } = await started()
    const disk = memoryProvider()
    const first = await worker(disk)
    await first.untilCaughtUp()
    await first.worker.close()
    await load(log, [record('prices', 'e', 11, 100)], 1)
    const second = await worker(disk)
    await second.untilCaughtUp()
    await second.worker.close()
    expect(second.restored()).toBe(0)
    expect(await rowsOf(disk)).toEqual([...ROWS, 'e=11@100'])
  })

  it('what is not committed yet is not restored: a sale before it does not see the price of later', async () => {
    const { log, worker } = await started()
    const first = await worker(memoryProvider())
    await first.untilCaughtUp()
    await first.worker.close()
    await load(log, [record('sales', 'a', 1, 200), record('prices', 'a', 99, 300)], 1)
    const second = await worker(memoryProvider())
    await second.untilCaughtUp()
    expect((await readAll(log, 'sold')).flat().map(({ value }) => String(value))).toEqual(['"1 at 8"'])
  })

  it('rows that were cut off from the topic are missed by name', async () => {
    const { log, worker } = await started()
    const first = await worker(memoryProvider())
    await first.untilCaughtUp()
    await first.worker.close()
    const client = log.another()
    const offsets: typeof client.offsets = async (at, which) =>
      (await client.offsets(at, which)).map((offset) => (which === 'earliest' ? Math.max(offset, 2) : offset))
    const cut = { ...proxied(client), offsets }
    const second = await run({ log: cut, topology: prices, applicationId: 'app', provider: memoryProvider(), partitions: 1 })
    await expect
      .poll(() => second.caughtUp().catch(String), { timeout: 5_000 })
      .toMatch(/store prices: its changelog prices-0 begins at offset 2, and the store needs it from 0/)
  })

  it('reads without a process are of what is committed', async () => {
    const { log, worker } = await started()
    const first = await worker(memoryProvider())
    await first.untilCaughtUp()
    await first.worker.close()
    await load(log, [record('prices', 'a', 99, 300)], 1)
    const plan = planOf(prices, 'app')
    const holder = await changelogHolder(log, plan, queryableStore(plan, 'prices') as QueryableStore, world, {
      partition: null,
      keeps: () => true,
    })
    const stores = [...holder.tasks().values()].flatMap((task) => task.stores)
    const row = stores[0]?.overlay.store.getSync(Buffer.from('a'))
    expect(String(row?.value)).toBe('8')
  })

  it('reads without a process come to their end when the topic was cut off there', async () => {
    const { log, worker } = await started()
    const first = await worker(memoryProvider())
    await first.untilCaughtUp()
    await first.worker.close()
    const client = log.another()
    const committed: typeof client.committed = async (group, at) =>
      (await client.committed(group, at)).map((each) => (each === null ? null : { ...each, offset: each.offset + 5 }))
    const plan = planOf(prices, 'app')
    const { tasks } = await changelogHolder(
      { ...proxied(client), committed },
      plan,
      queryableStore(plan, 'prices') as QueryableStore,
      world,
      { partition: null, keeps: () => true },
    )
    const [store] = [...tasks().values()].flatMap((task) => task.stores)
    expect(String(store?.overlay.store.getSync(Buffer.from('a'))?.value)).toBe('8')
  })
})

describe('a standby', () => {
  it('keeps the table as far as its task has come, and no further', async () => {
    const { log, worker } = await started(2)
    const disks = [memoryProvider(), memoryProvider()] as const
    const a = await worker(disks[0], { member: 'a', standbys: 1 })
    await a.untilCaughtUp()
    const b = await worker(disks[1], { member: 'b', standbys: 1 })
    const figures = () => [a, b].flatMap(({ worker: of }) => of.standbys.figures().filter(({ store }) => store === 'prices'))
    await expect.poll(() => [a, b].every(({ worker: of }) => of.ready && of.tasks.size === 1), { timeout: 10_000 }).toBe(true)
    await expect.poll(() => figures().length, { timeout: 10_000 }).toBe(2)
    await load(log, [record('prices', 'a', 21, 400), record('prices', 'b', 22, 400), record('prices', 'c', 23, 400)], 2)
    await a.untilCaughtUp()
    const ends = await log.offsets(
      [0, 1].map((partition) => ({ topic: 'prices', partition })),
      'latest',
    )
    await expect
      .poll(
        () =>
          figures()
            .map(({ position }) => position)
            .sort(),
        { timeout: 10_000 },
      )
      .toEqual([...ends].sort())
    const restored = b.restored()
    await a.worker.close()
    await expect.poll(() => b.worker.tasks.size, { timeout: 10_000 }).toBe(2)
    await load(
      log,
      ['a', 'b', 'c'].map((key) => record('sales', key, 1, 500)),
      2,
    )
    await b.untilCaughtUp()
    expect(
      (await readAll(log, 'sold'))
        .flat()
        .map(({ value }) => String(value))
        .sort(),
    ).toEqual(['"1 at 21"', '"1 at 22"', '"1 at 23"'])
    expect(b.restored()).toBe(restored)
  })
})
