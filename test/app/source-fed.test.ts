// A table whose topic is its changelog, on disk: `verify` holds its store against the topic, as far as that was processed, and rebuilds it
// from there; a start does so too; `query` without a process reads it.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openLog } from '../../src/app.ts'
import { type Verdict, verifyStores } from '../../src/app/verify.ts'
import { systemWorld } from '../../src/base/system.ts'
import { resolveConfig } from '../../src/config.ts'
import { recordsControl } from '../../src/control/records.ts'
import { json, StreamProcessor, string, topology } from '../../src/index.ts'
import type { Log } from '../../src/log/log.ts'
import { levelProvider } from '../../src/state/leveldb.ts'
import { plan as planOf } from '../../src/topology/plan.ts'
import { proxied } from '../support/proxied.ts'

const shop = topology('shop', (t) => void t.table('prices', { key: string(), value: json<number>(), store: 'prices' }), { optimize: true })
const plan = planOf(shop, 'shop')
const world = systemWorld()
let stateDir = ''
beforeAll(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'millrace-fed-'))
})
afterAll(() => rmSync(stateDir, { recursive: true, force: true }))

async function withLog<T>(act: (log: Log) => Promise<T>): Promise<T> {
  const log = await openLog(resolveConfig('shop', { stateDir }), world)
  try {
    return await act(log)
  } finally {
    await log.close()
  }
}

const write = (...lines: readonly (readonly [key: string, value: number | null])[]): Promise<unknown> =>
  withLog((log) => {
    const texts = lines.map(([key, value]) => JSON.stringify({ topic: 'prices', key, value }))
    return recordsControl({ log, plan, world, createPartitions: 1 }).produce(
      texts.map((text, i) => ({ number: i + 1, bytes: Buffer.from(text) })),
    )
  })

/** `cutOff`: so many offsets behind its end are committed of the topic, as if it had been cut off. */
const verified = (rebuild: boolean, cutOff = 0): Promise<Verdict[]> =>
  withLog(async (whole) => {
    const committed: Log['committed'] = async (group, at) =>
      (await whole.committed(group, at)).map((each) => (each === null || cutOff === 0 ? each : { ...each, offset: 6 + cutOff }))
    const log = { ...proxied(whole), committed }
    const verdicts: Verdict[] = []
    for await (const verdict of verifyStores({ log, plan, stateDir, world, rebuild })) verdicts.push(verdict)
    return verdicts
  })

async function runUntil(rows: object): Promise<void> {
  await using app = new StreamProcessor(shop, { stateDir, commitInterval: '20ms' })
  await app.start()
  const found = async (): Promise<object> => {
    const all: Record<string, number> = {}
    for await (const [key, value] of app.store<string, number>('prices').all()) all[key] = value
    return all
  }
  await expect.poll(found, { timeout: 10_000 }).toEqual(rows)
}

test('verify, rebuild, query and a lost disk', { timeout: 60_000 }, async () => {
  await write(['a', 1], ['b', 2], ['c', 3], ['b', null])
  await runUntil({ a: 1, c: 3 })
  await write(['a', 9], ['d', 4]) // not processed yet
  expect(await verified(false)).toMatchObject([{ store: 'prices', state: 'sound', rows: 2, behind: 0 }])
  expect(await verified(false, 5)).toMatchObject([{ state: 'sound', behind: 2 }]) // to the end that there is

  const folder = { dir: join(stateDir, 'shop'), world }
  const { store } = await levelProvider(folder).open('0_0', 'prices', true)
  const at = store.checkpoint()?.changelogOffset as number
  await store.apply([{ key: Buffer.from('c'), value: Buffer.from('7'), timestamp: 1 }], { changelogOffset: at })
  await store.close()
  expect(await verified(true)).toMatchObject([{ state: 'differs', other: 1, rebuilt: true }])
  expect(await verified(false)).toMatchObject([{ state: 'sound', rows: 2 }])
  const row = (key: string) => withLog((log) => recordsControl({ log, plan, world, createPartitions: 1 }).query('prices', key))
  expect([await row('a'), await row('b'), await row('d')]).toEqual([{ value: 1 }, null, null])

  rmSync(folder.dir, { recursive: true })
  await runUntil({ a: 9, c: 3, d: 4 })
  expect(await withLog((log) => log.topicNames())).not.toContain('shop-prices-changelog')
})
