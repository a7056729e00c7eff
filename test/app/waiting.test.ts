// Records that wait in a running processor: over a restart, until their row comes, or until the wall clock says that it is enough,
// although nothing else happens.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openLog } from '../../src/app.ts'
import { systemWorld } from '../../src/base/system.ts'
import { resolveConfig } from '../../src/config.ts'
import { recordsControl } from '../../src/control/records.ts'
import { StreamProcessor, string, topology } from '../../src/index.ts'
import { plan } from '../../src/topology/plan.ts'
import { withEmbeddedLog } from '../support/embedded.ts'

const TEXT = { key: string(), value: string() }
const waiting = (timeout: number) =>
  topology('waits', (t) => {
    const rows = t.table('rows', TEXT)
    t.stream('in', TEXT)
      .join(rows, (value, row) => `${value}${row}`, { buffer: { timeout }, on: (value) => value, value: string(), store: 'waiting' })
      .to('out', TEXT)
  })
let stateDir: string
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'millrace-waiting-'))
})
afterEach(() => rmSync(stateDir, { recursive: true, force: true }))

async function write(topic: string, pairs: readonly (readonly [key: string, value: string])[]): Promise<void> {
  const world = systemWorld()
  const log = await openLog(resolveConfig('waits', { stateDir }), world)
  const lines = pairs.map(([key, value], i) => ({ number: i + 1, bytes: Buffer.from(JSON.stringify({ topic, key, value, timestamp: 1 })) }))
  await recordsControl({ log, plan: plan(waiting(1), 'waits'), world, createPartitions: 2 }).produce(lines)
  await log.close()
}

/** How many records a topic has. */
const written = (topic: string): Promise<number> =>
  withEmbeddedLog(stateDir, async (log) => {
    const count = (await log.topics([topic])).get(topic)?.partitions ?? 0
    const ends = await log.offsets(
      Array.from({ length: count }, (_, partition) => ({ topic, partition })),
      'latest',
    )
    return ends.reduce((a, b) => a + b, 0)
  })

async function run(timeout: number, forMs: number): Promise<void> {
  await using app = new StreamProcessor(waiting(timeout), { stateDir })
  await app.start()
  await new Promise((resolve) => setTimeout(resolve, forMs))
}

test('they go on after a restart when their row comes', { timeout: 30_000 }, async () => {
  await write('in', [
    ['a', 'x'],
    ['b', 'y'],
  ])
  await write('rows', [['z', 'row']])
  await run(600_000, 1_000)
  expect(await written('out')).toBe(0)
  await write('rows', [['x', '1']])
  await run(600_000, 1_000)
  expect([await written('out'), await written('waits-dead-letter')]).toEqual([1, 0])
})

test('their time is over by the wall clock, though nothing else comes', { timeout: 30_000 }, async () => {
  await write('in', [['a', 'x']])
  await write('rows', [['z', 'row']])
  await run(1_000, 3_000)
  expect([await written('out'), await written('waits-dead-letter')]).toEqual([0, 1])
})
