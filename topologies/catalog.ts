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

/** A row of the output. `versions` says which event of each entity it was made of. */
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
  versions: { product: number; categories: number[]; brand: number | null }
}

/** A category whose ancestors are known up to `next` (null: the top is reached). */
interface PathRow {
  path: string[]
  versions: number[]
  next: string | null
}

/** Levels of the category tree that a path shows, the category's own included. */
export const CATEGORY_LEVELS = 4

const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1)

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

  // Each join climbs one level: the row as far as it is known, joined with the ancestor that comes next.
  let paths: Table<string, PathRow> = categories.mapValues((c): PathRow => ({ path: [c.name], versions: [c.version], next: c.parentId ?? null }))
  for (let level = 1; level < CATEGORY_LEVELS; level++) {
    paths = paths.leftJoin(
      categories,
      (row) => row.next,
      (row, parent): PathRow =>
        parent == null ? row : { path: [parent.name, ...row.path], versions: [parent.version, ...row.versions], next: parent.parentId ?? null },
      { store: `category-paths-${level}` },
    )
  }

  const variantsOfProduct = variants
    .groupBy((v) => [v.productId, { id: v.id, sku: v.sku, stock: v.stock }], { key: string() })
    .aggregate(
      (): Record<string, CatalogRow['variants'][number]> => ({}),
      (all, v) => ({ ...all, [v.id]: v }),
      (all, v) => without(all, v.id),
      { store: 'variants-of-product' },
    )

  const channelsOfProduct = listings
    .join(
      channels,
      (l) => l.channelId,
      (l, channel) => ({ id: l.id, productId: l.productId, channel: channel.name }),
      { store: 'listed-channels' },
    )
    .groupBy((l) => [l.productId, { id: l.id, channel: l.channel }], { key: string() })
    .aggregate(
      (): Record<string, string> => ({}),
      (all, l) => ({ ...all, [l.id]: l.channel }),
      (all, l) => without(all, l.id),
      { store: 'channels-of-product' },
    )

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
    .leftJoin(variantsOfProduct, (row, all) => ({ ...row, variants: Object.values(all ?? {}).sort(byId) }))
    .leftJoin(channelsOfProduct, (row, all) => ({ ...row, channels: Object.values(all ?? {}).sort() }))
    .mapValues(
      ({ product, category, brand, variants, channels }): CatalogRow => ({
        id: product.id,
        name: product.name,
        price: product.price,
        category: category.path.at(-1) as string,
        categoryPath: category.path,
        brand: brand?.name ?? null,
        variants,
        channels,
        versions: { product: product.version, categories: category.versions, brand: brand?.version ?? null },
      }),
    )
    .toStream()
    .to('catalog', { key: string(), value: json<CatalogRow>() })
})

/** Null when nothing is left: the aggregate's row is deleted. */
function without<T>(all: Record<string, T>, id: string): Record<string, T> | null {
  const { [id]: _gone, ...rest } = all
  return Object.keys(rest).length === 0 ? null : rest
}
