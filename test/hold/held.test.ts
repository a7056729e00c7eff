// holdUntil in running processors: on the logs that need no broker, and killed while records wait.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemWorld } from '../../src/base/system.ts'
import { openEmbeddedLog } from '../../src/log/embedded/index.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { holdContract } from '../contract/hold.contract.ts'
import { consumed, startProcessor, succeed } from '../support/processor.ts'
import { bundlesOf, type Entry, wrongOf } from './bundles.ts'
import type { Bundle } from './holding.ts'

const world = systemWorld()
let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-held-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

describe('held records', () => {
  holdContract('memory', world, async () => {
    const log = memoryLog(world)
    return { log, close: () => log.close() }
  })
  holdContract('embedded', world, async () => {
    const log = await openEmbeddedLog({ dir: join(dir, 'log'), world })
    return { log, close: () => log.close() }
  })

  test('kill -9 while they wait: each goes once, in order, and not before what it depends on', { timeout: 90_000 }, async () => {
    const stateDir = join(dir, 'state')
    const file = 'test/hold/holding.ts'
    const history = bundlesOf(9, { bundles: 400, products: 60, keys: 80 })
    const lines = (topic: string, entries: readonly Entry<unknown>[]): string[] =>
      entries.map(({ key, value }, i) => JSON.stringify({ topic, key, value, timestamp: i }))
    const ready = async (): Promise<Entry<Bundle>[]> =>
      (await consumed<string, Bundle>('ready', stateDir)).map(({ key, value }) => ({ key, value: value as Bundle }))
    await succeed(['produce', '--state-dir', stateDir, '--topology', file, '--partitions', '3'], lines('bundles', history.bundles))
    const kills = 3
    const part = Math.ceil(history.products.length / (kills + 1))
    let written = 0
    for (let kill = 0; kill < kills; kill++) {
      await succeed(['produce', '--state-dir', stateDir], lines('products', history.products.slice(written, written + part)))
      written += part
      const processor = startProcessor(file, '--state-dir', stateDir)
      await processor.ready
      await world.timers.sleep(world.random.below(500))
      expect((await processor.kill()).signal, processor.said()).toBe('SIGKILL')
      expect(wrongOf(history, await ready(), written, false)).toEqual([])
    }
    const before = (await ready()).length
    await succeed(['produce', '--state-dir', stateDir], lines('products', history.products.slice(written)))
    const processor = startProcessor(file, '--state-dir', stateDir)
    await processor.ready
    const endMs = world.clock.monotonic() + 40_000
    while ((await ready()).length < history.bundles.length && world.clock.monotonic() < endMs) await world.timers.sleep(200)
    expect(await processor.stop()).toEqual({ code: 0, signal: null })
    expect(wrongOf(history, await ready(), history.products.length, true)).toEqual([])
    console.info(`${kills} kills, ${before} of ${history.bundles.length} bundles gone before the last start`)
  })
})
