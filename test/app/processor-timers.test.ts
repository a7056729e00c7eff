// Processors on a real clock and real disks: timers fire without records, ranges come from LevelDB, and a restart goes on with both.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openLog } from '../../src/app.ts'
import { systemWorld } from '../../src/base/system.ts'
import { resolveConfig } from '../../src/config.ts'
import { recordsControl } from '../../src/control/records.ts'
import { json, keyValue, StreamProcessor, string, topology } from '../../src/index.ts'
import { plan } from '../../src/topology/plan.ts'

const ticking = topology('ticking', (t) => {
  const seen = t.store(keyValue({ name: 'seen', key: string(), value: string() }))
  const ticks = t.store(keyValue({ name: 'ticks', key: string(), value: json<number>() }))
  t.stream('in', { key: string(), value: string() }).process(
    (context) => {
      const [rows, counts] = [context.store(seen), context.store(ticks)]
      const count = (name: string): number => {
        const n = (counts.get(name) ?? 0) + 1
        counts.put(name, n)
        return n
      }
      context.schedule('20ms', 'wall', () => {
        let n = 0
        for (const _ of rows.all()) n++
        counts.put('rows', n)
        count('wall')
      })
      const twice = context.schedule('15ms', 'wall', () => {
        if (count('twice') === 2) twice.cancel()
      })
      context.schedule('10ms', 'stream', () => void count('stream'))
      return { process: ({ key, value }) => rows.put(key, value) }
    },
    { stores: [seen, ticks] },
  )
})

let stateDir: string
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'millrace-timers-'))
})
afterEach(() => rmSync(stateDir, { recursive: true, force: true }))

test('timers fire without records, read what is on disk, and stay cancelled over a restart', async () => {
  const world = systemWorld()
  const log = await openLog(resolveConfig('ticking', { stateDir }), world)
  const lines = Array.from({ length: 2_500 }, (_, i) => ({
    number: i + 1,
    bytes: Buffer.from(JSON.stringify({ topic: 'in', key: `k${i}`, value: 'x', timestamp: Math.floor(i / 100) })),
  }))
  await recordsControl({ log, plan: plan(ticking, 'ticking'), world, createPartitions: 1 }).produce(lines)
  await log.close()
  let before: number
  {
    await using app = new StreamProcessor(ticking, { stateDir, commitInterval: '20ms' })
    await app.start()
    const count = (name: string) => app.store<string, number>('ticks').get(name)
    await expect.poll(() => count('rows'), { timeout: 10_000 }).toBe(2_500)
    await expect.poll(() => count('wall'), { timeout: 10_000 }).toBeGreaterThan(5)
    expect(count('twice')).toBe(2)
    expect(count('stream')).toBe(3) // at 0, 10 and 20
    before = count('wall') as number
  }
  await using again = new StreamProcessor(ticking, { stateDir, commitInterval: '20ms' })
  await again.start()
  const count = (name: string) => again.store<string, number>('ticks').get(name)
  await expect.poll(() => count('wall'), { timeout: 10_000 }).toBeGreaterThan(before + 3)
  expect(count('rows')).toBe(2_500)
  expect(count('twice')).toBe(2)
  expect(count('stream')).toBe(3)
  expect(again.status()).toMatchObject({ rewinds: 0, deadLetters: 0 })
}, 30_000)
