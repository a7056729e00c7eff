// The catalog, judged by plain code: its rows; Saves that appear at once; Saves that are spread, and say when they are complete; bundles that
// wait for all of their products.
import { catalogOf, differences, entitiesOf } from '../../test/support/catalog-oracle.ts'
import { type CatalogEvent, historyOf } from '../../test/support/catalog-history.ts'
import { type CatalogOutput, goneBack, tableOf } from '../../test/support/catalog-outputs.ts'
import type { Seeded } from '../../test/support/seeded.ts'
import bundles, { type BundleEvent } from '../../topologies/catalog/bundles.ts'
import type { Entry, Product, Save } from '../../topologies/catalog/events.ts'
import saves, { type Change, type ShopRow } from '../../topologies/catalog/saves.ts'
import spread, { type Complete } from '../../topologies/catalog/spread.ts'
import catalog from '../../topologies/catalog.ts'
import { same, type Scenario, type Sent, shuffled } from './scenario.ts'

const SHOPS = ['north', 'south', 'west']

/** Of each shop some Saves, in the order of their versions, each of several entries; names come again in the Saves that follow. */
export function savesOf(random: Seeded, count: number): Sent[] {
  return SHOPS.flatMap((key) =>
    Array.from({ length: count }, (_, i): Sent => {
      const entries = Array.from({ length: 2 + random.below(6) }, () => entryOf(random))
      // An entity is in a Save once.
      const value: Save = { version: i + 1, entries: [...new Map(entries.map((entry) => [`${entry.kind}/${entry.id}`, entry])).values()] }
      return { topic: 'saves', key, value }
    }),
  )
}

function entryOf(random: Seeded): Entry {
  const kind = random.pick(['category', 'channel', 'product', 'product', 'product'] as const)
  const id = `${kind[1]}${random.below(kind === 'product' ? 6 : 3)}`
  if (random.chance(0.15)) return { kind, id, deleted: true }
  const name = `${kind} ${random.below(1000)}`
  if (kind !== 'product') return { kind, id, name }
  const channels = [0, 1, 2].filter(() => random.chance(0.5)).map((n) => `h${n}`)
  return { kind, id, name, cents: random.below(10_000), category: `a${random.below(3)}`, channels }
}

/** The rows of all shops by `<shop>/<product>`, from scratch: of each entity the entry of the greatest version. */
export function shopRowsOf(sent: readonly Sent[]): Map<string, ShopRow> {
  const latest = new Map<string, { shop: string; version: number; entry: Entry }>()
  for (const { key: shop, value } of sent)
    for (const entry of (value as Save).entries) {
      const name = `${shop}/${entry.kind}/${entry.id}`
      const { version } = value as Save
      if (version >= (latest.get(name)?.version ?? 0)) latest.set(name, { shop, version, entry })
    }
  const nameOf = (name: string): string[] => {
    const entry = latest.get(name)?.entry
    return entry === undefined || entry.deleted === true ? [] : [entry.name]
  }
  const rows = new Map<string, ShopRow>()
  for (const { shop, entry } of latest.values()) {
    if (entry.kind !== 'product' || entry.deleted === true) continue
    const { id, name, cents, category, channels } = entry as Product
    const [named] = nameOf(`${shop}/category/${category}`)
    const sold = channels.flatMap((one) => nameOf(`${shop}/channel/${one}`)).sort()
    if (named !== undefined) rows.set(`${shop}/${id}`, { id, name, cents, category: named, channels: sold })
  }
  return rows
}

/** Saves that are not whole in what was written, in the order of each shop. */
export function halves(written: readonly Sent[]): string[] {
  return [...Map.groupBy(written, ({ key }) => key)].flatMap(([shop, all]) => {
    const wrong: string[] = []
    let left: Change | null = null
    for (const change of all.map(({ value }) => value as Change)) {
      const follows: boolean = left === null || left.n === left.of ? change.n === 1 : change.save === left.save && change.n === left.n + 1
      if (!follows)
        wrong.push(`${shop}: Save ${change.save}, ${change.n} of ${change.of}, behind Save ${left?.save}, ${left?.n} of ${left?.of}`)
      left = change
    }
    if (left !== null && left.n !== left.of) wrong.push(`${shop}: of Save ${left.save} there are ${left.n} of ${left.of}`)
    return wrong
  })
}

export function judgeSaves(sent: readonly Sent[], written: readonly Sent[]): string[] {
  const rows = new Map<string, ShopRow>()
  for (const { key, value } of written) {
    const { id, row } = value as Change
    if (row === null) rows.delete(`${key}/${id}`)
    else rows.set(`${key}/${id}`, row)
  }
  const sorted = (all: Map<string, ShopRow>): unknown => [...all].sort(([a], [b]) => (a < b ? -1 : 1))
  return [...halves(written), ...(same(sorted(rows), sorted(shopRowsOf(sent))) ? [] : ['the rows are not those of the Saves'])]
}

export function judgeSpread(sent: readonly Sent[], written: readonly Sent[]): string[] {
  return [...Map.groupBy(sent, ({ key }) => key)].flatMap(([shop, all]) => {
    const entries = new Map(all.map(({ value }) => [(value as Save).version, (value as Save).entries.length]))
    const wanted = [...entries].map(([version, count]): Complete => ({ version, entries: count }))
    const complete = written.filter(({ key }) => key === shop).map(({ value }) => value as Complete)
    // In the order in which they came first.
    return same(complete, wanted) ? [] : [`${shop}: complete are ${complete.map(({ version }) => version)}`]
  })
}

/** Of products and channels that are there in the end; some bundles are made anew, some deleted. */
export function bundlesOf(random: Seeded, history: readonly CatalogEvent[], count: number): Sent[] {
  const { products, channels } = entitiesOf(history)
  const there = [...products.values()]
  if (there.length === 0) return []
  const made = (id: string, version: number): BundleEvent => {
    const parts = Array.from({ length: 1 + random.below(3) }, () => random.pick(there))
    const sold = [...channels.keys()].filter(() => random.chance(0.5))
    const needed = [...new Map(parts.map((part) => [part.id, { id: part.id, version: part.version - random.below(2) }])).values()]
    return { id, version, op: 'upsert', name: `bundle ${version}`, products: needed, channels: sold }
  }
  return Array.from({ length: count }, (_, i) => `u${i}`).flatMap((key) => {
    const versions = Array.from({ length: 1 + random.below(3) }, (_, version) => made(key, version + 1))
    const deleted = random.chance(0.3) ? [{ ...made(key, versions.length + 1), op: 'delete' as const }] : []
    return [...versions, ...deleted].map((value): Sent => ({ topic: 'bundles', key, value }))
  })
}

export function judgeBundles(sent: readonly Sent[], written: readonly Sent[]): string[] {
  const latest = new Map<string, BundleEvent>()
  for (const { key, value } of sent.filter(({ topic }) => topic === 'bundles'))
    if ((value as BundleEvent).version > (latest.get(key)?.version ?? 0)) latest.set(key, value as BundleEvent)
  const rows = new Map<string, BundleEvent | null>()
  const wrong: string[] = []
  for (const { key, value } of written as readonly { key: string; value: BundleEvent | null }[]) {
    const before = rows.get(key)
    if (value !== null && before != null && value.version <= before.version)
      wrong.push(`${key}: version ${value.version} behind ${before.version}`)
    rows.set(key, value)
  }
  for (const [key, bundle] of latest)
    if (!same(rows.get(key) ?? null, bundle.op === 'delete' ? null : bundle)) wrong.push(`${key} is ${JSON.stringify(rows.get(key))}`)
  return wrong
}

function judgeCatalog(sent: readonly Sent[], written: readonly Sent[]): string[] {
  const outputs = written as readonly CatalogOutput[]
  return [...differences(tableOf(outputs), catalogOf(sent as unknown as readonly CatalogEvent[])), ...goneBack(outputs)]
}

const folder = 'topologies/catalog'

export const scenario: Scenario = {
  happened: (random) => {
    const history = historyOf({ categories: 4, brands: 2, channels: 3, products: 6, edits: 60 }, random.below(1_000_000))
    const events = history.map(({ topic, key, value }): Sent => ({ topic, key, value }))
    return [...events, ...bundlesOf(random, history, 6), ...savesOf(random, 8)]
  },
  parts: [
    {
      file: 'topologies/catalog.ts',
      topology: () => catalog,
      inputs: ['categories', 'brands', 'channels', 'products', 'variants', 'listings'],
      outputs: ['catalog'],
      disorder: shuffled,
      judge: judgeCatalog,
    },
    {
      file: `${folder}/saves.ts`,
      topology: () => saves,
      inputs: ['saves'],
      outputs: ['shop-changes'],
      disorder: shuffled,
      judge: judgeSaves,
      always: (_, written) => halves(written),
    },
    {
      file: `${folder}/spread.ts`,
      topology: () => spread,
      inputs: ['saves'],
      outputs: ['saves-complete'],
      disorder: shuffled,
      judge: judgeSpread,
    },
    {
      file: `${folder}/bundles.ts`,
      topology: () => bundles,
      inputs: ['products', 'channels', 'bundles'],
      outputs: ['bundles-ready'],
      disorder: shuffled,
      judge: judgeBundles,
    },
  ],
}
