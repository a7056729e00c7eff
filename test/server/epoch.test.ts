// A range is of one epoch, and whole: it waits while an epoch is on its way to the stores, and is refused while a task is missing.
import { afterEach, expect, test } from 'vitest'
import { LIMITS } from '../../src/base/limits.ts'
import { systemWorld } from '../../src/base/system.ts'
import { type QueryableStore, queryableStore } from '../../src/runtime/query.ts'
import { gatherRows, type RowPart } from '../../src/server/gather.ts'
import { type Refusal, refusalOf, refusalText } from '../../src/server/refusal.ts'
import { rangeRows, rowsAnswer, rowsHere } from '../../src/server/rows.ts'
import type { Served } from '../../src/server/served.ts'
import { memoryProvider } from '../../src/state/memory.ts'
import type { StateStore } from '../../src/state/store.ts'
import { plan as planOf } from '../../src/topology/plan.ts'
import { sizePlan } from '../../src/topology/sizing.ts'
import { shop } from './serving.ts'

const plan = planOf(shop, 'shop')
const counts = queryableStore(plan, 'counts') as QueryableStore
const all = { from: null, to: null, prefix: null, limit: 100 }
const world = systemWorld()
const { answerWaitMs } = LIMITS
afterEach(() => void Object.assign(LIMITS, { answerWaitMs }))

async function open(): Promise<{ stores: StateStore[]; served: Served; state: { applying: boolean } }> {
  const provider = memoryProvider()
  const stores: StateStore[] = []
  const tasks = new Map<string, unknown>()
  for (const partition of [0, 1, 2]) {
    const { store } = await provider.open(`${counts.subTopology}_${partition}`, 'counts', true)
    stores.push(store)
    tasks.set(`${counts.subTopology}_${partition}`, { stores: [{ name: 'counts', overlay: { store } }] })
  }
  const state = { applying: false }
  const sized = sizePlan(
    plan,
    new Map([
      ['items', 3],
      ['numbers', 3],
    ]),
  )
  const served = {
    plan,
    world,
    ready: () => true,
    sized: () => sized,
    tasks: () => tasks,
    applying: () => state.applying,
  } as unknown as Served
  for (const partition of stores.keys()) await write(stores, partition, 1)
  return { stores, served, state }
}

async function write(stores: readonly StateStore[], partition: number, count: number): Promise<void> {
  const key = Buffer.alloc(8)
  key.writeBigInt64BE(BigInt(partition))
  const writes = [{ key, value: Buffer.from(JSON.stringify(count)), timestamp: 0 }]
  await stores[partition]?.apply(writes, { changelogOffset: count })
}

async function rows(served: Served): Promise<unknown[]> {
  const query = rangeRows(counts, all)
  const here = (partitions: readonly number[]): Promise<RowPart> => rowsHere(served, counts, query, partitions)
  const gathered = await gatherRows(served, counts, query.limit, [], here)
  return JSON.parse(await rowsAnswer(gathered, query)).entries.map(({ value }: { value: unknown }) => value)
}

test('it waits for an epoch that only some stores have, and sees none that comes later', async () => {
  const { stores, served, state } = await open()
  expect(await rows(served)).toEqual([1, 1, 1])
  state.applying = true
  await write(stores, 0, 2)
  const asked = rows(served)
  await world.timers.sleep(20)
  for (const partition of [1, 2]) await write(stores, partition, 2)
  state.applying = false
  expect(await asked).toEqual([2, 2, 2])
})

test('it is refused while a task is missing, and when an epoch never ends', { timeout: 20_000 }, async () => {
  const { served, state } = await open()
  const missing = new Map([...served.tasks()].slice(1))
  const refused = async (by: Served): Promise<unknown> => refusalOf(await rows(by).catch((error: unknown) => error))
  expect(await refused({ ...served, tasks: () => missing })).toMatchObject({ code: 'NOT_READY', status: 503 })
  expect(await refused({ ...served, sized: () => null })).toMatchObject({ code: 'NOT_READY' })
  const restores = [
    { task: `${counts.subTopology}_0`, store: `${counts.subTopology}_0/counts`, restored: 7, remaining: 3, recordsPerSecond: 1 },
  ]
  const figures = (): ReturnType<Served['figures']> => ({
    epochs: 0,
    rewinds: 0,
    fenced: 0,
    rebalances: 0,
    restored: 7,
    restores,
    standbys: [],
  })
  const restoring = await refused({ ...served, ready: () => false, figures, tasks: () => missing })
  expect(refusalText(restoring as Refusal)).toBe('{"code":"STORE_RESTORING","restored":7,"remaining":3}')
  expect(restoring).toMatchObject({ status: 503 })
  state.applying = true
  Object.assign(LIMITS, { answerWaitMs: 200 })
  expect(await refused(served)).toMatchObject({ code: 'NOT_READY' })
})
