// StreamProcessor as a library, on the embedded log: its life from start to close, and what its errors say.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openLog } from '../../src/app.ts'
import { systemWorld } from '../../src/base/system.ts'
import { resolveConfig } from '../../src/config.ts'
import { recordsControl } from '../../src/control/records.ts'
import { type MillraceError, StreamProcessor, string, topology } from '../../src/index.ts'
import { plan } from '../../src/topology/plan.ts'

const counting = topology('count', (t) => t.stream('in', { key: string(), value: string() }).groupByKey().count({ store: 'counts' }))
let stateDir: string
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'millrace-app-'))
})
afterEach(() => rmSync(stateDir, { recursive: true, force: true }))

async function write(keys: readonly string[]): Promise<void> {
  const world = systemWorld()
  const log = await openLog(resolveConfig('count', { stateDir }), world)
  const lines = keys.map((key, i) => ({ number: i + 1, bytes: Buffer.from(`{"topic":"in","key":"${key}","value":"x"}`) }))
  await recordsControl({ log, plan: plan(counting, 'count'), world, createPartitions: 3 }).produce(lines)
  await log.close()
}

const refused = (act: () => unknown): MillraceError => {
  try {
    act()
  } catch (error) {
    return error as MillraceError
  }
  throw new Error('it was not refused')
}

test('a store answers as soon as start resolves, also after a long restore', async () => {
  const keys = Array.from({ length: 3_000 }, (_, i) => `k${i}`)
  await write(keys)
  {
    await using app = new StreamProcessor(counting, { stateDir })
    await app.start()
    expect(app.status().ready).toBe(true)
    await expect.poll(() => app.store<string, number>('counts').get('k2999'), { timeout: 10_000 }).toBe(1)
    await expect.poll(() => app.status().records, { timeout: 10_000 }).toBe(3_000)
  }
  rmSync(join(stateDir, 'count'), { recursive: true })
  await using again = new StreamProcessor(counting, { stateDir })
  await again.start()
  expect(again.status().restored).toBe(3_000)
  for (const key of keys) expect(again.store<string, number>('counts').get(key)).toBe(1)
})

test('one directory, one processor; started once; nothing answers before and after', async () => {
  const app = new StreamProcessor(counting, { stateDir })
  expect(refused(() => app.store('counts').get('a'))).toMatchObject({ code: 'STREAM_CLOSED', message: 'the processor is not running' })
  await app.start()
  await expect(app.start()).rejects.toMatchObject({ code: 'STREAM_USAGE' })
  expect(app.store('counts').get('a')).toBeNull()
  expect(refused(() => app.store('cuonts'))).toMatchObject({ message: 'no store cuonts in count; it has counts' })
  const other = new StreamProcessor(counting, { stateDir })
  await expect(other.start()).rejects.toMatchObject({ code: 'STREAM_STATE_LOCKED', message: expect.stringContaining(stateDir) })
  expect(app.store('counts').get('a')).toBeNull()
  await app.close()
  await app.close()
  expect(refused(() => app.store('counts').get('a'))).toMatchObject({ code: 'STREAM_CLOSED' })
  await expect(app.start()).rejects.toMatchObject({ code: 'STREAM_USAGE' })
})

test('closed at any moment of its start: close resolves, start says so, the directory is free', async () => {
  for (let turns = 0; turns < 40; turns++) {
    const app = new StreamProcessor(counting, { stateDir })
    const started = app.start().then(
      () => 'started',
      (error: MillraceError) => error.code,
    )
    for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve))
    await app.close()
    expect(['started', 'STREAM_CLOSED'], `after ${turns} turns`).toContain(await started)
  }
  await using again = new StreamProcessor(counting, { stateDir })
  await again.start()
}, 30_000)

test('a policy of failing ends it: failed tells the record, nothing of it is committed', async () => {
  await write(['a'])
  const throwing = topology('count', (t) =>
    t
      .stream('in', { key: string(), value: string() })
      .peek(() => {
        throw new Error('no')
      })
      .groupByKey()
      .count({ store: 'counts' }),
  )
  const app = new StreamProcessor(throwing, { stateDir, onError: 'fail' })
  const failed = app.failed.catch((error: unknown) => error)
  await app.start().catch(() => {})
  expect(await failed).toMatchObject({ code: 'STREAM_CALLBACK', message: expect.stringMatching(/^in-\d@0: .*peek-1 threw: no/) })
  await app.close()
  await using again = new StreamProcessor(counting, { stateDir })
  await again.start()
  await expect.poll(() => again.store('counts').get('a'), { timeout: 10_000 }).toBe(1)
})
