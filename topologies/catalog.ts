// A shop's catalog: products with their variants, category path, brand and channels, right in whatever order the events come.
//
// Six topics of versioned events, one an entity kind; each is keyed by the entity's id, and a delete is an event with op 'delete'.
// The output topic `catalog` is keyed by product id. Deleting a category retracts its products, renaming one re-emits them.
import { json, string, type Table, topology } from 'millrace'

interface Versioned {
  id: string
  version: number
  op: 'upsert' | 'delete'
}

/** A tree: `parentId` is null at the top. */
export interface CategoryEvent extends Versioned {
  name: string
  parentId?: string | null
}
export interface BrandEvent extends Versioned {
  name: string
}
export interface ChannelEvent extends Versioned {
  name: string
}
export interface ProductEvent extends Versioned {
  name: string
  price: number
  categoryId: string
  brandId?: string | null
}
export interface VariantEvent extends Versioned {
  productId: string
  sku: string
  stock: number
}
/** A product on sale in a channel; its id is `<productId>@<channelId>`. */
export interface ListingEvent extends Versioned {
  productId: string
  channelId: string
}

/** A row of the output. `versions` says which event of each entity it was made of: `categories` as `categoryPath`, `variants` as
 *  `variants`, `listings` by listing id, each with its channel's. So a change that shows nowhere else shows there. */
export interface CatalogRow {
  id: string
  name: string
  price: number
  category: string
  /** From the top of the tree down to the product's category. */
  categoryPath: string[]
  brand: string | null
  variants: { id: string; sku: string; stock: number }[]
  channels: string[]
  versions: {
    product: number
    categories: number[]
    brand: number | null
    variants: number[]
    listings: [listing: number, channel: number][]
  }
}

/** A category whose ancestors are known up to `next` (null: the top is reached). */
interface PathRow {
  path: string[]
  versions: number[]
  next: string | null
}

interface VariantRow {
  id: string
  sku: string
  stock: number
  version: number
}
interface ListingRow {
  id: string
  channel: string
  versions: [listing: number, channel: number]
}

/** Levels of the category tree that a path shows, the category's own included. */
export const CATEGORY_LEVELS = 4

export default topology('catalog', (t) => {
  const entities = <E extends Versioned>(topic: string) =>
    t
      .stream(topic, { key: string(), value: json<E>() })
      .lastWriteWins({ store: topic, version: (e) => e.version, deleted: (e) => e.op === 'delete' })

  const categories = entities<CategoryEvent>('categories')
  const brands = entities<BrandEvent>('brands')
  const channels = entities<ChannelEvent>('channels')
  const products = entities<ProductEvent>('products')
  const variants = entities<VariantEvent>('variants')
  const listings = entities<ListingEvent>('listings')

  // Each join climbs one level: the row as far as it is known, joined with the ancestor that comes next. A row that stayed behind
  // (its ancestor is missing) does not climb further up, so each ancestor that comes changes it at one level only.
  let paths: Table<string, PathRow> = categories.mapValues(
    (c): PathRow => ({ path: [c.name], versions: [c.version], next: c.parentId ?? null }),
  )
  for (let level = 1; level < CATEGORY_LEVELS; level++) {
    paths = paths.leftJoin(
      categories,
      (row) => (row.path.length === level ? row.next : null),
      (row, parent): PathRow =>
        parent == null
          ? row
          : { path: [parent.name, ...row.path], versions: [parent.version, ...row.versions], next: parent.parentId ?? null },
      { store: `category-paths-${level}` },
    )
  }

  const variantsOfProduct = variants
    .groupBy((v) => [v.productId, { id: v.id, sku: v.sku, stock: v.stock, version: v.version }], { key: string() })
    .aggregate((): VariantRow[] => [], withRow, withoutRow, { store: 'variants-of-product' })

  const channelsOfProduct = listings
    .join(
      channels,
      (l) => l.channelId,
      (l, channel): ListingRow & { productId: string } => ({
        id: l.id,
        productId: l.productId,
        channel: channel.name,
        versions: [l.version, channel.version],
      }),
      { store: 'listed-channels' },
    )
    .groupBy(({ productId, ...l }): [string, ListingRow] => [productId, l], { key: string() })
    .aggregate((): ListingRow[] => [], withRow, withoutRow, { store: 'channels-of-product' })

  products
    .join(
      paths,
      (p) => p.categoryId,
      (product, category) => ({ product, category }),
      { store: 'categorised-products' },
    )
    .leftJoin(
      brands,
      (row) => row.product.brandId ?? null,
      (row, brand) => ({ ...row, brand: brand ?? null }),
      { store: 'branded-products' },
    )
    .leftJoin(variantsOfProduct, (row, all) => ({ ...row, variants: all ?? [] }))
    .leftJoin(channelsOfProduct, (row, all) => ({ ...row, listings: all ?? [] }))
    .mapValues(
      ({ product, category, brand, variants, listings }): CatalogRow => ({
        id: product.id,
        name: product.name,
        price: product.price,
        category: category.path.at(-1) as string,
        categoryPath: category.path,
        brand: brand?.name ?? null,
        variants: variants.map(({ id, sku, stock }) => ({ id, sku, stock })),
        channels: listings.map(({ channel }) => channel).sort(),
        versions: {
          product: product.version,
          categories: category.versions,
          brand: brand?.version ?? null,
          variants: variants.map(({ version }) => version),
          listings: listings.map(({ versions }) => versions),
        },
      }),
    )
    .toStream()
    .to('catalog', { key: string(), value: json<CatalogRow>() })
})

/** Sorted by id, so that the order of arrival does not show. */
function withRow<R extends { id: string }>(all: R[], row: R): R[] {
  return [...all.filter(({ id }) => id !== row.id), row].sort((a, b) => (a.id < b.id ? -1 : 1))
}

/** Null when nothing is left: the aggregate's row is deleted. */
function withoutRow<R extends { id: string }>(all: R[], row: R): R[] | null {
  const rest = all.filter(({ id }) => id !== row.id)
  return rest.length === 0 ? null : rest
}
