// Histories of a catalog for tests, the demo and the end-to-end run: what happened to its categories, brands, channels, products,
// variants and listings, event by event, and how those events may arrive. Never looks at the program under test.
//
// Invariants
// 1. A seed decides everything.
// 2. An entity's versions rise in the order of the history. A few versions come twice with different content, as from two writers
//    that did not know of each other.
// 3. `deliver` loses nothing and invents nothing: each delivered event is one of the history.
import type { BrandEvent, CategoryEvent, ChannelEvent, ListingEvent, ProductEvent, VariantEvent } from '../../topologies/catalog.ts'
import { type Seeded, seeded } from './seeded.ts'

export interface Entities {
  readonly categories: CategoryEvent
  readonly brands: BrandEvent
  readonly channels: ChannelEvent
  readonly products: ProductEvent
  readonly variants: VariantEvent
  readonly listings: ListingEvent
}
export type CatalogTopic = keyof Entities
export const CATALOG_TOPICS = [
  'categories',
  'brands',
  'channels',
  'products',
  'variants',
  'listings',
] as const satisfies readonly CatalogTopic[]

export type CatalogEvent = { readonly [T in CatalogTopic]: EventOf<T> }[CatalogTopic]
interface EventOf<T extends CatalogTopic> {
  readonly topic: T
  readonly key: string
  readonly value: Entities[T]
  readonly timestamp: number
}

export interface HistorySize {
  readonly categories: number
  readonly brands: number
  readonly channels: number
  readonly products: number
  /** Changes, deletes and re-creations that follow the first versions. */
  readonly edits: number
}

type Fields<T extends CatalogTopic> = Omit<Entities[T], 'id' | 'version' | 'op'>

const START_MS = Date.UTC(2026, 0, 5, 8)
const WORDS = ['linen', 'oak', 'copper', 'nordic', 'garden', 'travel', 'night', 'river', 'stone', 'paper', 'cloud', 'ember']
const CONFLICT = 0.01

/** All events in the order they happened. */
export function historyOf(size: HistorySize, seed: number): CatalogEvent[] {
  const random = seeded(seed)
  const events: CatalogEvent[] = []
  const newest = new Map<string, CatalogEvent>()
  const known: Record<CatalogTopic, string[]> = { categories: [], brands: [], channels: [], products: [], variants: [], listings: [] }

  const write = (event: CatalogEvent): void => {
    events.push(event)
    newest.set(`${event.topic} ${event.key}`, event)
  }
  const put = <T extends CatalogTopic>(topic: T, id: string, op: 'upsert' | 'delete', fields: Fields<T>): void => {
    const before = newest.get(`${topic} ${id}`)
    if (before === undefined) known[topic].push(id)
    const version = before === undefined ? 1 : before.value.version + 1 + random.below(3)
    const value = { id, version, op, ...fields }
    write({ topic, key: id, value, timestamp: START_MS + events.length * 10 } as unknown as CatalogEvent)
  }
  const title = (): string => `${random.pick(WORDS)} ${random.pick(WORDS)} ${random.below(100)}`
  /** Any category: known, or one that nobody ever creates. */
  const someCategory = (): string => (random.chance(0.03) ? 'c-nowhere' : random.pick(known.categories))
  const someBrand = (): string | null => (known.brands.length === 0 || random.chance(0.15) ? null : random.pick(known.brands))

  const fieldsOf: { [T in CatalogTopic]: (id: string) => Fields<T> } = {
    categories: () => ({ name: title(), parentId: known.categories.length === 0 || random.chance(0.3) ? null : someCategory() }),
    brands: () => ({ name: title() }),
    channels: () => ({ name: random.pick(['web', 'shop', 'wholesale', 'outlet', 'app']) }),
    products: () => ({ name: title(), price: 100 + random.below(9_900), categoryId: someCategory(), brandId: someBrand() }),
    variants: () => ({ productId: random.pick(known.products), sku: `sku-${random.below(10_000)}`, stock: random.below(50) }),
    listings: (id) => {
      const [productId = '', channelId = ''] = id.split('@')
      return { productId, channelId }
    },
  }
  const make = (topic: CatalogTopic, id: string): void => put(topic, id, 'upsert', fieldsOf[topic](id))

  for (let i = 0; i < size.categories; i++) make('categories', `c${i}`)
  for (let i = 0; i < size.brands; i++) make('brands', `b${i}`)
  for (let i = 0; i < size.channels; i++) make('channels', `h${i}`)
  for (let i = 0; i < size.products; i++) {
    make('products', `p${i}`)
    for (let n = random.below(3); n > 0; n--) make('variants', `v${known.variants.length}`)
    for (const channel of known.channels) if (random.chance(0.3)) make('listings', `p${i}@${channel}`)
  }
  for (let i = 0; i < size.edits; i++) edit(random, newest, known, put, make, write, fieldsOf)
  return events
}

function edit(
  random: Seeded,
  newest: ReadonlyMap<string, CatalogEvent>,
  known: Readonly<Record<CatalogTopic, readonly string[]>>,
  put: <T extends CatalogTopic>(topic: T, id: string, op: 'upsert' | 'delete', fields: Fields<T>) => void,
  make: (topic: CatalogTopic, id: string) => void,
  write: (event: CatalogEvent) => void,
  fieldsOf: { [T in CatalogTopic]: (id: string) => Fields<T> },
): void {
  const busy: readonly CatalogTopic[] = ['products', 'products', 'products', 'categories', 'categories', ...CATALOG_TOPICS]
  const topic = random.pick(busy.filter((name) => known[name].length > 0))
  const id = random.pick(known[topic])
  const before = newest.get(`${topic} ${id}`) as CatalogEvent
  const { id: _id, version: _version, op, ...fields } = before.value
  if (random.chance(CONFLICT)) {
    const other = { ...before.value, ...(fieldsOf[topic](id) as object) }
    write({ ...before, value: other } as unknown as CatalogEvent)
  } else if (op === 'delete' || random.chance(0.6)) make(topic, id)
  else if (random.chance(0.5)) put(topic, id, 'delete', fields as never)
  else put(topic, id, 'upsert', fields as never) // saved again without a change
}

export interface Delivery {
  /** Every order is as likely as any other. Without it: as it happened. */
  readonly shuffle?: boolean
  /** The part of the events that come a second time, anywhere later. */
  readonly duplicates?: number
  /** The part of the deletes after which an older version of the same entity is delivered once more. */
  readonly staleAfterDelete?: number
}

export interface Delivered {
  readonly events: readonly CatalogEvent[]
  readonly duplicates: number
  /** Old versions delivered again behind a delete. */
  readonly stale: number
}

/** The events as they may arrive. */
export function deliver(history: readonly CatalogEvent[], delivery: Delivery, seed: number): Delivered {
  const random = seeded(seed)
  const arriving = delivery.shuffle === true ? random.shuffled(history) : [...history]
  const older = new Map<string, CatalogEvent[]>()
  for (const event of history) {
    const name = `${event.topic} ${event.key}`
    older.set(name, [...(older.get(name) ?? []), event])
  }
  const behind = new Map<number, CatalogEvent[]>()
  const again = (event: CatalogEvent, at: number): void => void behind.set(at, [...(behind.get(at) ?? []), event])
  let duplicates = 0
  let stale = 0
  arriving.forEach((event, at) => {
    if (random.chance(delivery.duplicates ?? 0)) {
      again(event, at + random.below(arriving.length - at))
      duplicates++
    }
    if (event.value.op === 'delete' && random.chance(delivery.staleAfterDelete ?? 0)) {
      const before = (older.get(`${event.topic} ${event.key}`) as CatalogEvent[]).filter(({ value }) => value.version < event.value.version)
      if (before.length === 0) return
      again(random.pick(before), at + random.below(Math.min(20, arriving.length - at)))
      stale++
    }
  })
  const events = arriving.flatMap((event, at) => [event, ...random.shuffled(behind.get(at) ?? [])])
  return { events, duplicates, stale }
}
