// Saves of whole shops under disorder: any order gives the same rows, and nobody ever sees half of one: not in what is written, not in the
// stores of a processor that is at work. Spread over partitions they are complete when they say so; bundles wait for all of their products.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { StreamProcessor, type Topology } from 'millrace'
import { duplicated, replayed, TopologyTestDriver } from 'millrace/testing'
import { expect, test } from 'vitest'
import { bundlesOf, halves, judgeBundles, judgeSaves, judgeSpread, savesOf, shopRowsOf } from '../../scripts/scenario/catalog.ts'
import type { Sent } from '../../scripts/scenario/scenario.ts'
import { type ControlClient, connectControl } from '../../src/control/client.ts'
import bundles, { type BundleEvent } from '../../topologies/catalog/bundles.ts'
import type { Entry, Save } from '../../topologies/catalog/events.ts'
import saves, { type Change, type Shop, type ShopRow } from '../../topologies/catalog/saves.ts'
import spread from '../../topologies/catalog/spread.ts'
import { type CatalogEvent, historyOf } from '../support/catalog-history.ts'
import { seeded } from '../support/seeded.ts'
import { runsOf } from '../support/tier.ts'

const crashes = fc.array(fc.nat(1000), { maxLength: 3 })
const partitions = fc.integer({ min: 1, max: 3 })
const anyOrder = (all: readonly Sent[]) => fc.shuffledSubarray([...all], { minLength: all.length, maxLength: all.length })
const written = (driver: TopologyTestDriver, topic: string): Sent[] =>
  driver
    .output(topic)
    .readAll()
    .map(({ key, value }) => ({ topic, key, value }))

interface Arrival {
  readonly sent: readonly Sent[]
  readonly crashes: readonly number[]
  readonly partitions: number
}

/** All that is written; `behindEach` sees it behind each record. */
async function carried(
  topology: Topology,
  topic: string,
  { sent, crashes, partitions }: Arrival,
  behindEach: (before: readonly Sent[], seen: readonly Sent[]) => void = () => {},
): Promise<Sent[]> {
  await using driver = new TopologyTestDriver(topology, { partitions })
  const seen: Sent[] = []
  for (const [i, { topic: input, key, value }] of sent.entries()) {
    await driver.input(input).pipe({ key, value })
    if (i % 5 === 4) await driver.commit()
    if (crashes.some((at) => Math.floor((at * sent.length) / 1001) === i)) await driver.crash()
    seen.push(...written(driver, topic))
    behindEach(sent.slice(0, i + 1), seen)
  }
  return seen
}

const savedIn = (count: number) =>
  fc.record({ sent: replayed(duplicated(fc.nat().chain((seed) => anyOrder(savesOf(seeded(seed), count))))), crashes, partitions })

test('any order, duplicates, replays and crashes: behind each record the rows are those of the Saves that came, never of half of one', {
  timeout: runsOf(30_000, 300_000),
}, async () => {
  await fc.assert(
    fc.asyncProperty(savedIn(4), async (arrival) => {
      const seen = await carried(saves, 'shop-changes', arrival, (before, so) => expect(judgeSaves(before, so)).toEqual([]))
      expect(judgeSaves(arrival.sent, seen)).toEqual([])
    }),
    { numRuns: runsOf(40, 400) },
  )
})

test('a Save that is spread is complete once, in the order of its shop', { timeout: runsOf(30_000, 300_000) }, async () => {
  await fc.assert(
    fc.asyncProperty(savedIn(3), async (arrival) => {
      expect(judgeSpread(arrival.sent, await carried(spread, 'saves-complete', arrival))).toEqual([])
    }),
    { numRuns: runsOf(15, 150) },
  )
})

test('a bundle goes out when the last of its products is there, in the version that it names; a later one comes behind it', {
  timeout: runsOf(30_000, 300_000),
}, async () => {
  const arrivals = fc.nat().chain((seed) => {
    const random = seeded(seed)
    const history = historyOf({ categories: 1, brands: 0, channels: 2, products: 4, edits: 15 }, seed)
    const needed = history.filter(({ topic }) => topic === 'products' || topic === 'channels')
    const all = needed.map(({ topic, key, value }): Sent => ({ topic, key, value }))
    return anyOrder([...all, ...bundlesOf(random, needed as CatalogEvent[], 3)])
  })
  await fc.assert(
    fc.asyncProperty(fc.record({ sent: duplicated(arrivals), crashes, partitions }), async (arrival) => {
      const seen = await carried(bundles, 'bundles-ready', arrival, (before, so) => {
        for (const { value } of so as readonly { value: BundleEvent | null }[])
          for (const { id, version } of value?.products ?? [])
            expect(
              before.some(({ topic, key, value: product }) => topic === 'products' && key === id && (product as Save).version >= version),
            ).toBe(true)
      })
      expect(judgeBundles(arrival.sent, seen)).toEqual([])
    }),
    { numRuns: runsOf(15, 150) },
  )
})

test('a bundle that is deleted while it waits does not come back', async () => {
  const bundle: BundleEvent = { id: 'b', version: 1, op: 'upsert', name: 'Set', products: [{ id: 'p', version: 2 }], channels: [] }
  const product = (version: number): Sent => ({ topic: 'products', key: 'p', value: { id: 'p', version, op: 'upsert', name: 'P' } })
  const sent: Sent[] = [
    product(1),
    { topic: 'bundles', key: 'b', value: bundle },
    { topic: 'bundles', key: 'b', value: { ...bundle, version: 2, op: 'delete' } },
    product(2),
    { topic: 'bundles', key: 'b', value: bundle },
  ]
  const seen = await carried(bundles, 'bundles-ready', { sent, crashes: [500], partitions: 2 })
  expect(seen.map(({ value }) => (value as BundleEvent | null)?.version ?? null)).toEqual([1, null])
})

test('a category that is deleted takes its products with it in one Save, and brings them back in another', async () => {
  const save = (version: number, ...entries: Entry[]): Sent => ({
    topic: 'saves',
    key: 'north',
    value: { version, entries } satisfies Save,
  })
  const product = (id: string): Entry => ({ kind: 'product', id, name: id, cents: 5, category: 'home', channels: ['web', 'fair'] })
  const home = (name: string): Entry => ({ kind: 'category', id: 'home', name })
  const sent = [
    save(1, product('p1'), home('Home'), product('p2'), { kind: 'channel', id: 'web', name: 'Web' }),
    save(2, { kind: 'category', id: 'home', deleted: true }),
    save(4, home('House')),
    save(3, home('Late'), product('p1')),
  ]
  const seen = await carried(saves, 'shop-changes', { sent, crashes: [0, 400], partitions: 1 })
  const row = (id: string, category: string): ShopRow => ({ id, name: id, cents: 5, category, channels: ['Web'] })
  expect(seen.map(({ value }) => value as Change)).toEqual([
    { save: 1, n: 1, of: 2, id: 'p1', row: row('p1', 'Home') },
    { save: 1, n: 2, of: 2, id: 'p2', row: row('p2', 'Home') },
    { save: 2, n: 1, of: 2, id: 'p1', row: null },
    { save: 2, n: 2, of: 2, id: 'p2', row: null },
    { save: 4, n: 1, of: 2, id: 'p1', row: row('p1', 'House') },
    { save: 4, n: 2, of: 2, id: 'p2', row: row('p2', 'House') },
  ])
})

test('halves of a Save are seen', () => {
  const change = (save: number, n: number, of: number): Sent => ({
    topic: 'shop-changes',
    key: 'north',
    value: { save, n, of, id: 'p', row: null },
  })
  expect(halves([change(1, 1, 2), change(1, 2, 2), change(2, 1, 1)])).toEqual([])
  for (const some of [[change(1, 1, 2)], [change(1, 2, 2)], [change(1, 1, 2), change(2, 1, 1)]]) expect(halves(some)).toHaveLength(1)
  expect(judgeSaves(savesOf(seeded(1), 2), [])).toEqual(['the rows are not those of the Saves'])
})

// Each Save gives all products of its shop, and their category, the number of the Save. So rows with two numbers are half of one.
test('queries and readers while it works: never half of a Save', { timeout: runsOf(60_000, 200_000) }, async () => {
  const [shops, products, count] = [['north', 'south'], 200, runsOf(15, 60)]
  const lines = Array.from({ length: count }, (_, i) => i + 1).flatMap((version) =>
    shops.map((key) => {
      const entries = Array.from({ length: products }, (_, n): Entry => {
        return { kind: 'product', id: `p${n}`, name: `${version}`, cents: version, category: 'all', channels: [] }
      })
      entries.splice(products / 2, 0, { kind: 'category', id: 'all', name: `${version}` })
      return JSON.stringify({ topic: 'saves', key, value: { version, entries } satisfies Save })
    }),
  )
  const stateDir = mkdtempSync(join(tmpdir(), 'millrace-saves-'))
  try {
    await using app = new StreamProcessor(saves, { stateDir, commitInterval: '5ms' })
    await app.start()
    const [writer, reader] = (await Promise.all([connectControl(stateDir), connectControl(stateDir)])) as [ControlClient, ControlClient]
    const changesOf = async (): Promise<Sent[]> => {
      const all: Sent[] = []
      for await (const some of reader.consume('shop-changes', false, new AbortController().signal))
        all.push(...some.map((line) => JSON.parse(line) as Sent))
      return all
    }
    let done = false
    const writing = (async () => {
      for (let i = 0; i < lines.length; i += 6)
        await writer.produce(lines.slice(i, i + 6).map((line, n) => ({ number: n + 1, bytes: Buffer.from(line) })))
    })()
    const numbers = new Set<number>()
    const looks = async (): Promise<void> => {
      while (!done) {
        for (const shop of shops) {
          const rows: ShopRow[] = []
          for await (const [, row] of app.store<string, ShopRow>('rows').prefix(`${shop}/`)) rows.push(row)
          expect([0, products]).toContain(rows.length)
          for (const { cents, name, category } of rows) expect([name, category, cents]).toEqual([`${rows[0]?.cents}`, name, rows[0]?.cents])
          numbers.add(rows[0]?.cents ?? 0)
        }
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    const reads = async (): Promise<void> => {
      while (!done) expect(halves(await changesOf())).toEqual([])
    }
    const last = async (): Promise<void> => {
      await writing
      await expect.poll(() => app.store<string, Shop>('shops').get('south')?.saves, { timeout: 20_000 }).toBe(count)
      await expect.poll(() => app.store<string, Shop>('shops').get('north')?.saves, { timeout: 20_000 }).toBe(count)
    }
    await Promise.all([
      looks(),
      reads(),
      last().finally(() => {
        done = true
      }),
    ])
    expect(numbers.size, 'it was looked at in between').toBeGreaterThan(2)
    const sent = lines.map((line) => JSON.parse(line) as Sent)
    expect(judgeSaves(sent, await changesOf())).toEqual([])
    expect(shopRowsOf(sent).size).toBe(shops.length * products)
    for (const client of [writer, reader]) client.close()
  } finally {
    rmSync(stateDir, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
  }
})
