// mapAsync in running processors: on the logs that need no broker, and killed in the middle of its calls.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemWorld } from '../../src/base/system.ts'
import { openEmbeddedLog } from '../../src/log/embedded/index.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { callsContract } from '../contract/calls.contract.ts'
import { consumed, startProcessorWith, succeed } from '../support/processor.ts'
import type { Job } from './calling.ts'

const world = systemWorld()
let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-calls-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

describe('calls', () => {
  callsContract('memory', world, async () => {
    const log = memoryLog(world)
    return { log, close: () => log.close() }
  })
  callsContract('embedded', world, async () => {
    const log = await openEmbeddedLog({ dir: join(dir, 'log'), world })
    return { log, close: () => log.close() }
  })

  test('kill -9 in the middle of calls: each result once, in order, the calls made again with the same key', {
    timeout: 90_000,
  }, async () => {
    const stateDir = join(dir, 'state')
    const calls = join(dir, 'calls')
    const [records, keys, kills] = [240, 12, 4]
    const lines = Array.from({ length: records }, (_, n) =>
      JSON.stringify({ topic: 'jobs', key: `k${n % keys}`, value: { n }, timestamp: n }),
    )
    const file = 'test/async/calling.ts'
    await succeed(['produce', '--state-dir', stateDir, '--topology', file, '--partitions', '2'], lines)
    const start = () => startProcessorWith({ env: { TEST_CALLS: calls } }, file, '--state-dir', stateDir)
    const done = async (): Promise<{ key: string; n: number }[]> =>
      (await consumed<string, Job>('done', stateDir)).map(({ key, value }) => ({ key, n: (value as Job).n }))
    for (let kill = 0; kill < kills; kill++) {
      const processor = start()
      await processor.ready
      await world.timers.sleep(150 + world.random.below(200))
      expect((await processor.kill()).signal, processor.said()).toBe('SIGKILL')
    }
    const before = (await done()).length
    expect(before).toBeLessThan(records)
    const processor = start()
    await processor.ready
    const endMs = world.clock.monotonic() + 40_000
    while ((await done()).length < records && world.clock.monotonic() < endMs) await world.timers.sleep(200)
    const stopMs = world.clock.monotonic()
    expect(await processor.stop()).toEqual({ code: 0, signal: null })
    expect(world.clock.monotonic() - stopMs).toBeLessThan(10_000)
    const results = await done()
    expect(results.map(({ n }) => n).sort((a, b) => a - b)).toEqual(lines.map((_, n) => n))
    for (let k = 0; k < keys; k++) {
      const order = results.filter(({ key }) => key === `k${k}`).map(({ n }) => n)
      expect(order).toEqual([...order].sort((a, b) => a - b))
    }
    const made = readFileSync(calls, 'utf8').trimEnd().split('\n')
    const pairs = new Set(made)
    expect([pairs.size, new Set([...pairs].map((pair) => pair.split(' ')[1])).size]).toEqual([records, records])
    expect(made.length, 'calls made again').toBeGreaterThan(records)
    console.info(`${kills} kills, ${before} of ${records} results by the killed, ${made.length} calls`)
  })
})
