// A shop's catalog from Saves, each applied at once: a Save is one record, so all that it changes is one step of one task and one commit.
//
// 1. No committed read of the stores, and no transaction of the output, has half of a Save.
// 2. Of an entity the entry with the greatest version counts, also when that is a delete; equal versions are settled by the greater text. So
//    any order of arrival, and what comes twice, gives the same rows.
// 3. A product whose category is missing has no row. A channel that is missing is left out.
import { json, keyValue, type KeyValueStore, type ReadOnlyKeyValueStore, string, topology } from 'millrace'
import { type Entry, isSave, type Kind, type Product, type Save } from './events.ts'

export interface ShopRow {
  readonly id: string
  readonly name: string
  readonly cents: number
  readonly category: string
  readonly channels: readonly string[]
}
/** One of the rows that a Save has changed, the `n`th `of` so many. */
export interface Change {
  readonly save: number
  readonly n: number
  readonly of: number
  readonly id: string
  /** Null: the row is gone. */
  readonly row: ShopRow | null
}
/** It changes with each Save: who reads a shop in several steps sees by it whether they were of one state. */
export interface Shop {
  /** That came, also twice. */
  readonly saves: number
  readonly rows: number
}

interface Held {
  readonly version: number
  readonly entry: Entry
}
type Rows<V> = KeyValueStore<string, V>

const NOTHING: Shop = { saves: 0, rows: 0 }

/** What a product's row is made of: a category, channels. */
const parts = ({ category, channels }: Product): string[] => [`category/${category}`, ...channels.map((id) => `channel/${id}`)]
const isProduct = (entry: Entry | undefined): entry is Product => entry?.kind === 'product' && entry.deleted !== true

/** Whether the entry is later than what is held. */
function beats(version: number, entry: Entry, held: Held | null): boolean {
  if (held === null || version !== held.version) return version > (held?.version ?? Number.NEGATIVE_INFINITY)
  return JSON.stringify(entry) > JSON.stringify(held.entry)
}

function rowOf(shop: string, id: string, entities: ReadOnlyKeyValueStore<string, Held>): ShopRow | null {
  const named = (kind: Kind, one: string): string | null => {
    const entry = entities.get(`${shop}/${kind}/${one}`)?.entry
    return entry === undefined || entry.deleted === true ? null : entry.name
  }
  const product = entities.get(`${shop}/product/${id}`)?.entry
  if (!isProduct(product)) return null
  const category = named('category', product.category)
  if (category === null) return null
  const channels = product.channels.flatMap((one) => named('channel', one) ?? []).sort()
  return { id, name: product.name, cents: product.cents, category, channels }
}

export default topology('catalog-saves', (t) => {
  const entities = t.store(keyValue({ name: 'entities', key: string(), value: json<Held>() }))
  // Which products are made of a part: `<shop>/<part>/<product>`.
  const uses = t.store(keyValue({ name: 'uses', key: string(), value: json<true>() }))
  const rows = t.store(keyValue({ name: 'rows', key: string(), value: json<ShopRow>() }))
  const shops = t.store(keyValue({ name: 'shops', key: string(), value: json<Shop>() }))

  /** Takes the entries that are later than what is held; which products may look different then. */
  const applied = (shop: string, { version, entries }: Save, held: Rows<Held>, used: Rows<true>): ReadonlySet<string> => {
    const touched = new Set<string>()
    for (const entry of entries) {
      const key = `${shop}/${entry.kind}/${entry.id}`
      const before = held.get(key)
      if (!beats(version, entry, before)) continue
      held.put(key, { version, entry })
      if (entry.kind !== 'product') {
        const begin = `${shop}/${entry.kind}/${entry.id}/`
        for (const [use] of used.prefix(Buffer.from(begin))) touched.add(use.slice(begin.length))
        continue
      }
      if (isProduct(before?.entry)) for (const part of parts(before.entry)) used.delete(`${shop}/${part}/${entry.id}`)
      if (isProduct(entry)) for (const part of parts(entry)) used.put(`${shop}/${part}/${entry.id}`, true)
      touched.add(entry.id)
    }
    return touched
  }

  t.stream('saves', { key: string(), value: json<Save>(isSave) })
    .process<string, Change>(
      (context) => ({
        process({ key: shop, value: save, timestamp }) {
          if (save === null) throw new Error('a Save is not deleted; send another')
          if (!/^[\w.-]{1,64}$/.test(shop)) throw new Error(`${shop} is no shop: 1 to 64 of letters, digits, _ . -`)
          const [held, shown] = [context.store(entities), context.store(rows)]
          const changed: Pick<Change, 'id' | 'row'>[] = []
          let count = 0
          for (const id of applied(shop, save, held, context.store(uses))) {
            const [before, row] = [shown.get(`${shop}/${id}`), rowOf(shop, id, held)]
            if (JSON.stringify(before) === JSON.stringify(row)) continue
            shown.put(`${shop}/${id}`, row)
            count += Number(row !== null) - Number(before !== null)
            changed.push({ id, row })
          }
          const past = context.store(shops).get(shop) ?? NOTHING
          context.store(shops).put(shop, { saves: past.saves + 1, rows: past.rows + count })
          for (const [i, { id, row }] of changed.entries())
            context.forward({ key: shop, value: { save: save.version, n: i + 1, of: changed.length, id, row }, timestamp })
        },
      }),
      { stores: [entities, uses, rows, shops], key: string(), value: json<Change>() },
    )
    // Keyed by the shop: what a Save changes lies in one partition, one behind the other.
    .to('shop-changes', { key: string(), value: json() })
})
