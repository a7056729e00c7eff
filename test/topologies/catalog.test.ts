// The catalog under every order of arrival: permutations, duplicates, crashes anywhere, one to four partitions. The oracle is plain code.
import fc from 'fast-check'
import { duplicated, replayed, TopologyTestDriver } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import catalog, { type CatalogRow } from '../../topologies/catalog.ts'
import { CATALOG_TOPICS, type CatalogEvent, deliver, type HistorySize, historyOf } from '../support/catalog-history.ts'
import { catalogOf, differences } from '../support/catalog-oracle.ts'
import { type CatalogOutput, goneBack, repeated, tableOf } from '../support/catalog-outputs.ts'
import { ran } from '../support/bars.ts'
import { holds, many } from '../support/many.ts'
import { runsOf } from '../support/tier.ts'

const SIZE = { categories: 4, brands: 2, channels: 2, products: 3, edits: 25 }
/** Where many run together. */
const SMALLER = { categories: 3, brands: 1, channels: 1, products: 2, edits: 9 }

interface Interruption {
  /** As a part of the whole, 0 to 1000. */
  readonly at: number
  readonly what: 'commit' | 'crash'
}

type Step = CatalogEvent | Interruption['what']

async function played(steps: readonly Step[], partitions: number): Promise<CatalogOutput[]> {
  const driver = new TopologyTestDriver(catalog, { partitions })
  const inputs = new Map(CATALOG_TOPICS.map((topic) => [topic, driver.input(topic)] as const))
  for (const step of steps) {
    if (typeof step === 'string') await driver[step]()
    else await inputs.get(step.topic)?.pipe(step)
  }
  const outputs = driver.output<string, CatalogRow>('catalog').readAll()
  await driver.close()
  return outputs.map(({ key, value }) => ({ key: key as string, value }))
}

async function outputsOf(
  events: readonly CatalogEvent[],
  partitions: number,
  interruptions: readonly Interruption[] = [],
): Promise<CatalogOutput[]> {
  const due = [...interruptions].sort((a, b) => a.at - b.at)
  const steps: Step[] = []
  for (let i = 0; i <= events.length; i++) {
    while (due[0] !== undefined && due[0].at * events.length <= i * 1000) steps.push((due.shift() as Interruption).what)
    const event = events[i]
    if (event !== undefined) steps.push(event)
  }
  return played(steps, partitions)
}

const IDS = new Set(['id', 'parentId', 'categoryId', 'brandId', 'productId', 'channelId'])

/** The same event in a catalog of its own. */
function ofCatalog(of: number, { value, ...event }: CatalogEvent): CatalogEvent {
  const own = (id: unknown): unknown => (typeof id === 'string' ? id.replaceAll(/[^@]+/g, (part) => `${part}.${of}`) : id)
  const fields = Object.entries(value).map(([name, field]) => [name, IDS.has(name) ? own(field) : field])
  return { ...event, key: own(event.key), value: Object.fromEntries(fields) } as CatalogEvent
}

/** A history in any order, with duplicates and a reader that is set back. */
const arrivalsOf = (size: HistorySize, copiesMax: number) =>
  fc.nat().chain((seed) => {
    const history = historyOf(size, seed)
    const anyOrder = fc.shuffledSubarray(history, { minLength: history.length, maxLength: history.length })
    return replayed(duplicated(anyOrder, { copiesMax }), { replaysMax: 1 })
  })
const arrivals = arrivalsOf(SIZE, 16)
const interruptions = fc.array(fc.record({ at: fc.nat(1000), what: fc.constantFrom('commit' as const, 'crash' as const) }), {
  maxLength: 6,
})
const partitions = fc.integer({ min: 1, max: 4 })

const event = (topic: CatalogEvent['topic'], value: Omit<CatalogEvent['value'], 'op'> & { op?: 'delete' }): CatalogEvent =>
  ({ topic, key: value.id, value: { op: 'upsert', ...value }, timestamp: 0 }) as unknown as CatalogEvent

describe('the generator and the oracle', () => {
  const history = historyOf({ categories: 20, brands: 5, channels: 3, products: 100, edits: 2_000 }, 1)
  test('a seed decides everything', () => {
    expect(historyOf(SIZE, 7)).toEqual(historyOf(SIZE, 7))
    expect(historyOf(SIZE, 7)).not.toEqual(historyOf(SIZE, 8))
    expect(deliver(history, { shuffle: true, duplicates: 0.2 }, 1)).toEqual(deliver(history, { shuffle: true, duplicates: 0.2 }, 1))
  })
  test('a history has what makes ordering hard', () => {
    const of = (topic: string, key: string): CatalogEvent[] => history.filter((event) => event.topic === topic && event.key === key)
    const products = [...new Set(history.filter(({ topic }) => topic === 'products').map(({ key }) => key))].map((key) =>
      of('products', key),
    )
    const moved = products.filter((events) => new Set(events.map(({ value }) => (value as { categoryId: string }).categoryId)).size > 1)
    const recreated = products.filter((events) => {
      const deleted = events.findIndex(({ value }) => value.op === 'delete')
      return deleted !== -1 && events.slice(deleted).some(({ value }) => value.op === 'upsert')
    })
    expect(moved.length).toBeGreaterThan(20)
    expect(recreated.length).toBeGreaterThan(20)
    const bodies = new Map<string, Set<string>>()
    for (const { topic, key, value } of history) {
      const name = `${topic} ${key} ${value.version}`
      bodies.set(name, (bodies.get(name) ?? new Set()).add(JSON.stringify(value)))
    }
    expect([...bodies.values()].filter(({ size }) => size > 1).length, 'equal versions with different bytes').toBeGreaterThan(5)
    const table = catalogOf(history)
    expect(table.size).toBeGreaterThan(20)
    expect([...table.values()].some(({ categoryPath }) => categoryPath.length === 4)).toBe(true)
    expect([...table.values()].some(({ brand }) => brand === null)).toBe(true)
    expect([...table.values()].some(({ variants, channels }) => variants.length > 1 && channels.length > 1)).toBe(true)
  })
  test('a delivery is the history in another order, some of it twice; the oracle does not mind', () => {
    const delivered = deliver(history, { shuffle: true, duplicates: 0.2, staleAfterDelete: 0.5 }, 3)
    expect(new Set(delivered.events)).toEqual(new Set(history))
    expect(delivered.events).toHaveLength(history.length + delivered.duplicates + delivered.stale)
    expect(delivered.duplicates).toBeGreaterThan(history.length * 0.15)
    expect(delivered.stale).toBeGreaterThan(20)
    expect(differences(catalogOf(delivered.events), catalogOf(history))).toEqual([])
  })
})

describe('the catalog', () => {
  test('any order, duplicates, crashes and partitions: the oracle’s table, nothing twice, no version back', {
    timeout: runsOf(120_000, 900_000),
  }, async () => {
    const property = (count: number) => {
      const history = count === 1 ? arrivals : arrivalsOf(SMALLER, 4)
      const turns = many({ history, world: fc.constantFrom('commit' as const, 'crash' as const), count })
      return fc.asyncProperty(turns, partitions, async (all, partitions) => {
        const steps = all.map(({ of, step }) => (of === null ? step : ofCatalog(of, step)))
        const outputs = await played(steps, partitions)
        const events = steps.filter((step) => typeof step !== 'string')
        expect(differences(tableOf(outputs), catalogOf(events))).toEqual([])
        expect([...goneBack(outputs), ...repeated(outputs)]).toEqual([])
      })
    }
    const histories = Number(process.env.MILLRACE_ORDER_RUNS ?? runsOf(500, 4_000))
    ran('21, catalog', await holds(property, { histories, alone: runsOf(100, 200) }))
  })

  test('crashes leave no trace: the same outputs in the same order as without', { timeout: runsOf(120_000, 900_000) }, async () => {
    await fc.assert(
      fc.asyncProperty(arrivals, interruptions, partitions, async (events, interrupted, count) => {
        expect(await outputsOf(events, count, interrupted)).toEqual(await outputsOf(events, count))
      }),
      { numRuns: 50 },
    )
  })
})

describe('a category', () => {
  const shop = [
    event('categories', { id: 'home', version: 1, name: 'Home' } as never),
    event('categories', { id: 'lamps', version: 1, name: 'Lamps', parentId: 'home' } as never),
    event('products', { id: 'p1', version: 1, name: 'Lamp', price: 10, categoryId: 'lamps' } as never),
    event('products', { id: 'p2', version: 1, name: 'Shade', price: 5, categoryId: 'lamps' } as never),
    event('products', { id: 'p3', version: 1, name: 'Chair', price: 90, categoryId: 'home' } as never),
  ]
  const afterwards = async (...more: CatalogEvent[]): Promise<{ outputs: CatalogOutput[]; before: number }> => {
    const before = (await outputsOf(shop, 2)).length
    const outputs = await outputsOf([...shop, ...more], 2)
    expect(differences(tableOf(outputs), catalogOf([...shop, ...more]))).toEqual([])
    return { outputs: outputs.slice(before), before }
  }
  const names = (outputs: readonly CatalogOutput[]) =>
    outputs
      .map(({ key, value }) => [key, value?.categoryPath.join(' > ') ?? null])
      .sort((a, b) => ((a[0] as string) < (b[0] as string) ? -1 : 1))

  test('events without parentId and brandId are rows at the top, without a brand', async () => {
    const table = tableOf(await outputsOf(shop, 1))
    expect([...table.keys()].sort()).toEqual(['p1', 'p2', 'p3'])
    expect(table.get('p3')).toMatchObject({ category: 'Home', categoryPath: ['Home'], brand: null, variants: [], channels: [] })
  })
  test('deleted: retracts its products, once each, and no other', async () => {
    const { outputs } = await afterwards(event('categories', { id: 'lamps', version: 2, op: 'delete', name: 'Lamps' } as never))
    expect(names(outputs)).toEqual([
      ['p1', null],
      ['p2', null],
    ])
  })
  test('renamed: re-emits its products and those below it', async () => {
    const { outputs } = await afterwards(event('categories', { id: 'home', version: 2, name: 'House' } as never))
    expect(names(outputs)).toEqual([
      ['p1', 'House > Lamps'],
      ['p2', 'House > Lamps'],
      ['p3', 'House'],
    ])
  })
  test('a stale create after its delete brings nothing back', async () => {
    const { outputs } = await afterwards(
      event('categories', { id: 'lamps', version: 3, op: 'delete', name: 'Lamps' } as never),
      event('categories', { id: 'lamps', version: 2, name: 'Old lamps', parentId: 'home' } as never),
    )
    expect(names(outputs)).toEqual([
      ['p1', null],
      ['p2', null],
    ])
  })
  test('its own ancestor: the path ends at the last level', async () => {
    const { outputs } = await afterwards(event('categories', { id: 'home', version: 2, name: 'Home', parentId: 'lamps' } as never))
    expect(tableOf(outputs).get('p1')?.categoryPath).toEqual(['Home', 'Lamps', 'Home', 'Lamps'])
  })
})
