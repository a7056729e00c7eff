// kill -9 of a real `millrace run` on the embedded log while it works: nothing lost, nothing twice, state and output as without.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StreamProcessor } from 'millrace'
import { afterEach, describe, expect, test } from 'vitest'
import { systemWorld } from '../../src/base/system.ts'
import { connectControl } from '../../src/control/client.ts'
import catalog, { type CatalogRow } from '../../topologies/catalog.ts'
import { CATALOG_TOPICS, deliver, historyOf } from '../support/catalog-history.ts'
import { catalogOf, differences, entitiesOf } from '../support/catalog-oracle.ts'
import { goneBack, tableOf } from '../support/catalog-outputs.ts'
import { progressOf } from '../support/embedded.ts'
import { consumed, millrace, startProcessor, succeed } from '../support/processor.ts'
import { CountedEvents, type Counts } from './counted-events.ts'
import { ran } from '../support/bars.ts'
import { runsOf } from '../support/tier.ts'

const CATALOG_KILLS = 10
/** Processors that are killed side by side, each on a log of its own: much of a kill is waiting. */
const COUNTING_PROCESSORS = runsOf(1, 3)
const COUNTING_KILLS = runsOf(10, 97)
const timeoutMs = (kills: number): number => 60_000 + kills * 20_000
const CATALOG = 'topologies/catalog.ts'
const COUNTING = 'test/crash/counting.ts'
const BACKLOG = runsOf(10_000, 4_000)
const { timers, random, clock } = systemWorld()

const cleanups: (() => void)[] = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup()
})

function freshDir(): string {
  const base = mkdtempSync(join(tmpdir(), 'millrace-processor-'))
  cleanups.push(() => rmSync(base, { recursive: true, force: true }))
  return join(base, 'state')
}

/** Asks until the answer is yes, or says at the end what was wrong. */
async function until(limitMs: number, wrong: () => Promise<readonly string[]>, eachMs = 200): Promise<void> {
  const deadline = clock.monotonic() + limitMs
  for (;;) {
    const found = await wrong()
    if (found.length === 0) return
    if (clock.monotonic() > deadline) expect(found.slice(0, 5)).toEqual([])
    await timers.sleep(eachMs)
  }
}

const parts = <T>(all: readonly T[], count: number): T[][] =>
  Array.from({ length: count }, (_, i) => all.slice((i * all.length) / count, ((i + 1) * all.length) / count))

describe('kill -9 of a processor', () => {
  test(`${CATALOG_KILLS} kills of the catalog, fed while it runs: the oracle’s table and stores`, {
    timeout: timeoutMs(CATALOG_KILLS),
  }, async () => {
    const stateDir = freshDir()
    const history = historyOf({ categories: 60, brands: 20, channels: 4, products: 600, edits: 4_000 }, 21)
    const { events } = deliver(history, { shuffle: true, duplicates: 0.2, staleAfterDelete: 0.5 }, 22)
    const [first = [], ...rest] = parts(events, CATALOG_KILLS + 1).map((part) => part.map((event) => JSON.stringify(event)))
    await succeed(['produce', '--state-dir', stateDir, '--topology', CATALOG, '--partitions', '4'], first)
    const unsent: string[][] = []
    for (const part of rest) {
      const processor = startProcessor(CATALOG, '--state-dir', stateDir)
      await processor.ready
      const sent = millrace(['produce', '--state-dir', stateDir], part)
      await timers.sleep(random.below(600))
      expect((await processor.kill()).signal, processor.said()).toBe('SIGKILL')
      // It had died under the producer: whether the part arrived is not known, so it is sent again.
      if ((await sent).code !== 0) unsent.push(part)
    }
    const outputsBefore = (await consumed('catalog', stateDir)).length
    expect(outputsBefore, 'outputs of the killed').toBeGreaterThan(0)
    const processor = startProcessor(CATALOG, '--state-dir', stateDir)
    await processor.ready
    for (const part of unsent) await succeed(['produce', '--state-dir', stateDir], part)
    const expected = catalogOf(history)
    await until(30_000, async () => differences(tableOf(await consumed<string, CatalogRow>('catalog', stateDir)), expected))
    expect(await processor.stop()).toEqual({ code: 0, signal: null })
    const outputs = await consumed<string, CatalogRow>('catalog', stateDir)
    expect(differences(tableOf(outputs), expected)).toEqual([])
    expect(goneBack(outputs)).toEqual([])

    const app = new StreamProcessor(catalog, { stateDir })
    await app.start()
    try {
      await until(10_000, async () => (app.status().ready ? [] : ['not ready']))
      const entities = entitiesOf(history)
      for (const store of ['products', 'categories', 'brands', 'variants'] as const) {
        const rows = new Map<string, unknown>()
        for await (const [key, value] of app.store<string>(store).all()) rows.set(key, value)
        expect(rows, store).toEqual(entities[store])
      }
      expect(app.status().restored, 'records restored after SIGTERM').toBe(0)
    } finally {
      await app.close()
    }
    ran('4', CATALOG_KILLS)
    console.info(`${CATALOG_KILLS} kills, ${unsent.length} parts sent again, ${outputsBefore} of ${outputs.length} outputs by the killed`)
  })

  test(`${COUNTING_KILLS} kills while counting, each of ${COUNTING_PROCESSORS}: for each key exactly 1 to n, in order`, {
    timeout: timeoutMs(COUNTING_KILLS),
  }, async () => {
    await Promise.all(Array.from({ length: COUNTING_PROCESSORS }, () => killWhileCounting(COUNTING_KILLS)))
  })
})

async function killWhileCounting(killsMin: number): Promise<void> {
  const stateDir = freshDir()
  const counted = new CountedEvents(stateDir)
  await counted.write(BACKLOG)
  let killedAtWork = 0
  let workMs = 300 // of this machine, about: too early finds nothing committed, too late finds nothing left to do
  let kills = 0
  let before = BACKLOG
  for (; kills < killsMin || (killedAtWork === 0 && kills < 3 * killsMin); kills++) {
    const words = ['--state-dir', stateDir, '--commit-interval', random.below(2) === 0 ? '20ms' : '100ms']
    const processor = startProcessor(COUNTING, ...words)
    await processor.ready
    await timers.sleep(workMs * (0.5 + random.below(100) / 200))
    expect((await processor.kill()).signal, processor.said()).toBe('SIGKILL')
    const after = await counted.backlog()
    if (after === before) workMs *= 1.5
    else if (after === 0) workMs /= 1.5
    else killedAtWork++
    if (after < BACKLOG) await counted.write(BACKLOG - after)
    before = Math.max(after, BACKLOG)
  }
  expect(killedAtWork, 'kills that came between commits').toBeGreaterThan(0)
  const processor = startProcessor(COUNTING, '--state-dir', stateDir)
  await processor.ready
  await until(runsOf(30_000, 120_000), async () => counted.wrong(await counts(stateDir)))
  expect(await processor.stop()).toEqual({ code: 0, signal: null })
  expect(counted.wrong(await counts(stateDir))).toEqual([])
  ran('4', kills)
  console.info(`${kills} kills, ${killedAtWork} of them between commits, ${counted.written} events`)
}

async function counts(stateDir: string): Promise<Counts> {
  return {
    counts: await consumed<string, number>('counts', stateDir),
    'group-counts': await consumed<string, number>('group-counts', stateDir),
  }
}

test('SIGTERM under load: status 0 within 10 s, and the next start restores nothing', { timeout: 90_000 }, async () => {
  const stateDir = freshDir()
  const history = historyOf({ categories: 60, brands: 20, channels: 4, products: 1_500, edits: 6_000 }, 31)
  const { events } = deliver(history, { shuffle: true }, 32)
  const lines = events.map((event) => JSON.stringify(event))
  const [first, rest] = [lines.slice(0, 0.8 * lines.length), lines.slice(0.8 * lines.length)]
  await succeed(['produce', '--state-dir', stateDir, '--topology', CATALOG, '--partitions', '4'], first)
  const processor = startProcessor(CATALOG, '--state-dir', stateDir)
  await processor.ready
  const sent = millrace(['produce', '--state-dir', stateDir], rest)
  const control = await connectControl(stateDir)
  await until(
    20_000,
    async () => {
      const figures = await control?.figures()
      const total = (of: 'records' | 'lag'): number => figures?.tasks.reduce((sum, task) => sum + task[of], 0) ?? 0
      return (['records', 'lag'] as const).filter((of) => total(of) === 0)
    },
    5,
  )
  control?.close()
  const stoppedMs = clock.monotonic()
  expect(await processor.stop(), processor.said()).toEqual({ code: 0, signal: null })
  expect(clock.monotonic() - stoppedMs).toBeLessThan(10_000)
  const cutOff = (await sent).code !== 0
  const { backlog } = await progressOf(stateDir, 'catalog', CATALOG_TOPICS)
  expect(cutOff || backlog > 0, 'it was stopped under load').toBe(true)

  const app = new StreamProcessor(catalog, { stateDir })
  await app.start()
  try {
    await until(10_000, async () => (app.status().ready ? [] : ['not ready']))
    expect(app.status().restored).toBe(0)
  } finally {
    await app.close()
  }
  const again = startProcessor(CATALOG, '--state-dir', stateDir)
  await again.ready
  await succeed(['produce', '--state-dir', stateDir], rest)
  await until(30_000, async () => differences(tableOf(await consumed<string, CatalogRow>('catalog', stateDir)), catalogOf(history)))
  expect(goneBack(await consumed<string, CatalogRow>('catalog', stateDir))).toEqual([])
  expect(await again.stop()).toEqual({ code: 0, signal: null })
  console.info(`stopped with ${backlog} records unread${cutOff ? ' and a producer cut off' : ''}`)
})
