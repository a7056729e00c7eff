// What the catalog must be in the end, computed from scratch in plain code: per entity the greatest version wins, equal versions are
// settled by the greater bytes; then the joins. Shares no code with the program under test.
import type { CatalogRow } from '../../topologies/catalog.ts'
import type { CatalogEvent, CatalogTopic, Entities } from './catalog-history.ts'

const LEVELS = 4

type Tables = { readonly [T in CatalogTopic]: ReadonlyMap<string, Entities[T]> }

/** The live row of each entity. */
export function entitiesOf(events: Iterable<CatalogEvent>): Tables {
  const winners: { [T in CatalogTopic]: Map<string, Entities[CatalogTopic]> } = {
    categories: new Map(),
    brands: new Map(),
    channels: new Map(),
    products: new Map(),
    variants: new Map(),
    listings: new Map(),
  }
  for (const { topic, key, value } of events) {
    const held = winners[topic].get(key)
    if (held === undefined || beats(value, held)) winners[topic].set(key, value)
  }
  for (const table of Object.values(winners)) for (const [key, value] of [...table]) if (value.op === 'delete') table.delete(key)
  return winners as unknown as Tables
}

function beats(value: Entities[CatalogTopic], held: Entities[CatalogTopic]): boolean {
  if (value.version !== held.version) return value.version > held.version
  return Buffer.from(JSON.stringify(value)).compare(Buffer.from(JSON.stringify(held))) > 0
}

/** The final table by product id. */
export function catalogOf(events: Iterable<CatalogEvent>): Map<string, CatalogRow> {
  const tables = entitiesOf(events)
  const rows = new Map<string, CatalogRow>()
  const variants = [...tables.variants.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
  const listings = [...tables.listings.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
  for (const product of tables.products.values()) {
    const category = tables.categories.get(product.categoryId)
    if (category === undefined) continue
    const path = [category]
    while (path.length < LEVELS) {
      const parent = tables.categories.get(path[0]?.parentId ?? '')
      if (parent === undefined) break
      path.unshift(parent)
    }
    const brand = tables.brands.get(product.brandId ?? '')
    const own = variants.filter(({ productId }) => productId === product.id)
    const sold = listings.flatMap((listing) => {
      const channel = tables.channels.get(listing.channelId)
      return listing.productId === product.id && channel !== undefined ? [{ listing, channel }] : []
    })
    rows.set(product.id, {
      id: product.id,
      name: product.name,
      price: product.price,
      category: category.name,
      categoryPath: path.map(({ name }) => name),
      brand: brand?.name ?? null,
      variants: own.map(({ id, sku, stock }) => ({ id, sku, stock })),
      channels: sold.map(({ channel }) => channel.name).sort(),
      versions: {
        product: product.version,
        categories: path.map(({ version }) => version),
        brand: brand?.version ?? null,
        variants: own.map(({ version }) => version),
        listings: sold.map(({ listing, channel }) => [listing.version, channel.version]),
      },
    })
  }
  return rows
}

/** Where two tables differ, in words; empty: they are equal. */
export function differences(actual: ReadonlyMap<string, CatalogRow>, expected: ReadonlyMap<string, CatalogRow>): string[] {
  const keys = [...new Set([...expected.keys(), ...actual.keys()])].sort()
  return keys.flatMap((key) => {
    const [is, should] = [actual, expected].map((table) => JSON.stringify(table.get(key)) ?? 'no row')
    return is === should ? [] : [`${key}: is ${is}, should be ${should}`]
  })
}
