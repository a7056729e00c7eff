// `verify`: a store is what its changelog says, or it is named, and rebuilt where that is asked for. Looking changes nothing.
import { appendFileSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { cpSync } from 'node:fs'
import { openLog } from '../../src/app.ts'
import { type Verdict, verifyStores } from '../../src/app/verify.ts'
import { systemWorld } from '../../src/base/system.ts'
import { resolveConfig } from '../../src/config.ts'
import { StreamProcessor } from '../../src/index.ts'
import { levelProvider } from '../../src/state/leveldb.ts'
import type { StateStore } from '../../src/state/store.ts'
import { plan as planOf } from '../../src/topology/plan.ts'
import { partitionOf } from '../../src/base/murmur2.ts'
import { shop, writeLines } from '../server/serving.ts'

const world = systemWorld()
const plan = planOf(shop, 'shop')
const ITEMS = Array.from({ length: 30 }, (_, i) => `k${i}`)
const sub = plan.subTopologies.find(({ stores }) => stores.some(({ name }) => name === 'items'))?.id as number
let base: string
let original: string
let stateDir: string

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'millrace-verify-'))
  original = join(base, 'original')
  await writeLines(original, [
    ...ITEMS.map((key) => ({ topic: 'items', key, value: { version: 1, name: 'x' } })),
    { topic: 'items', key: 'k3', value: { version: 2, op: 'delete' } },
    ...['1', '2', '1'].map((key) => ({ topic: 'numbers', key, value: 'x' })),
  ])
  const app = new StreamProcessor(shop, { stateDir: original, commitInterval: '20ms' })
  await app.start()
  while (app.status().records < 34) await world.timers.sleep(10)
  await app.close()
}, 60_000)
afterAll(() => rmSync(base, { recursive: true, force: true }))
let n = 0
beforeEach(() => {
  stateDir = join(base, `copy-${n++}`)
  cpSync(original, stateDir, { recursive: true })
})

async function verified(rebuild = false): Promise<readonly Verdict[]> {
  const log = await openLog(resolveConfig('shop', { stateDir }), world)
  const verdicts: Verdict[] = []
  try {
    for await (const verdict of verifyStores({ log, plan, stateDir, world, rebuild })) verdicts.push(verdict)
  } finally {
    await log.close()
  }
  expect(existsSync(join(stateDir, '.verify'))).toBe(false)
  return verdicts
}
/** The store `items` of the task that has a key. */
async function tampered(key: string, change: (store: StateStore, at: number) => Promise<void>): Promise<string> {
  const task = `${sub}_${partitionOf(Buffer.from(key), 3)}`
  const { store } = await levelProvider({ dir: join(stateDir, 'shop'), world }).open(task, 'items', true)
  await change(store, store.checkpoint()?.changelogOffset as number)
  await store.close()
  return task
}
const bad = (verdicts: readonly Verdict[]): readonly Verdict[] => verdicts.filter(({ state }) => state !== 'sound')

test('stores that a processor has left are sound, all of them, with their rows', async () => {
  const verdicts = await verified()
  expect(bad(verdicts)).toEqual([])
  expect(verdicts).toHaveLength(6)
  expect(verdicts.filter(({ store }) => store === 'items').reduce((sum, { rows }) => sum + rows, 0)).toBe(30) // a delete is remembered
  expect(verdicts.filter(({ store }) => store === 'counts').reduce((sum, { rows }) => sum + rows, 0)).toBe(2)
})

describe('a store that is not what its changelog says', () => {
  const other = Buffer.from('other')
  const cases: Readonly<Record<string, readonly [Partial<Verdict>, (store: StateStore, at: number, key: Buffer) => Promise<void>]>> = {
    'a row has another value': [
      { other: 1, missing: 0, extra: 0 },
      (store, at, key) => store.apply([{ key, value: other, timestamp: store.getSync(key)?.timestamp ?? 0 }], { changelogOffset: at }),
    ],
    'a row has another time': [
      { other: 1 },
      (store, at, key) => store.apply([{ key, value: store.getSync(key)?.value ?? null, timestamp: 77 }], { changelogOffset: at }),
    ],
    'a row is gone': [
      { missing: 1, other: 0 },
      (store, at, key) => store.apply([{ key, value: null, timestamp: 0 }], { changelogOffset: at }),
    ],
    'a row is one too many': [
      { extra: 1 },
      (store, at) => store.apply([{ key: Buffer.from('zz'), value: other, timestamp: 0 }], { changelogOffset: at }),
    ],
    'its checkpoint is outside of the changelog': [{ state: 'damaged' }, (store, at) => store.apply([], { changelogOffset: at + 9 })],
  }
  for (const [name, [wanted, change]] of Object.entries(cases)) {
    test(name, async () => {
      const task = await tampered('k1', (store, at) => change(store, at, Buffer.from('k1')))
      expect(bad(await verified())).toMatchObject([{ task, store: 'items', state: 'differs', rebuilt: false, ...wanted }])
      expect(bad(await verified(true)), 'looking has changed it').toMatchObject([{ task, state: 'differs', rebuilt: true, ...wanted }])
      expect(readdirSync(join(stateDir, 'shop', task))).toContain('items.damaged')
    })
  }
  test('a file of it is damaged', async () => {
    const task = `${sub}_0`
    const folder = join(stateDir, 'shop', task, 'items')
    for (const file of readdirSync(folder)) if (file.startsWith('MANIFEST')) writeFileSync(join(folder, file), 'no manifest')
    expect(bad(await verified())).toMatchObject([{ task, store: 'items', state: 'damaged' }])
    expect(bad(await verified(true))).toMatchObject([{ task, rebuilt: true }])
    expect(bad(await verified())).toEqual([])
  })
  test('after a rebuild the processor goes on with what it had', async () => {
    await tampered('k1', (store, at) => store.apply([{ key: Buffer.from('k1'), value: other, timestamp: 0 }], { changelogOffset: at }))
    await verified(true)
    await using app = new StreamProcessor(shop, { stateDir })
    await app.start()
    expect(app.status().restored).toBe(0)
    expect(app.store('items').get('k1')).toEqual({ version: 1, name: 'x' })
  })
})

describe('a store that is behind', () => {
  test('is sound: what came since is not compared, what came before is', async () => {
    const key = Buffer.from('k1')
    const other = { value: Buffer.from('other'), timestamp: 0 }
    const task = await tampered('k1', (store) => store.apply([{ key, ...other }], { changelogOffset: 0 }))
    const mine = async () => (await verified()).find((one) => one.task === task && one.store === 'items')
    expect(await mine()).toMatchObject({ state: 'sound', other: 0 })
    expect((await mine())?.behind).toBeGreaterThan(3)
    await tampered('k1', (store) => store.apply([{ key: Buffer.from('zz'), ...other }], { changelogOffset: 0 }))
    expect(await mine()).toMatchObject({ state: 'differs', extra: 1, other: 0 })
  })
  test('one that is not there yet is restored by a start', async () => {
    const task = `${sub}_1`
    rmSync(join(stateDir, 'shop', task, 'items'), { recursive: true })
    expect((await verified()).find((one) => one.task === task && one.store === 'items')).toMatchObject({ state: 'sound', rows: 0 })
  })
})

test('what is set aside, and files beside the tasks, are no stores', async () => {
  cpSync(join(stateDir, 'shop', `${sub}_0`, 'items'), join(stateDir, 'shop', `${sub}_0`, 'items.damaged'), { recursive: true })
  appendFileSync(join(stateDir, 'shop', 'note'), 'x')
  expect(await verified()).toHaveLength(6)
})
