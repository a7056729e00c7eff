// The same Saves, spread over all partitions: each entry goes to where its own key lives, so no shop is too large for one task. What is lost
// is that a Save appears at once; `saves-complete` says when all of it is there.
//
// 1. When a Save is in `saves-complete`, each of its entries is in its table, in the Save's version or a later one.
// 2. The Saves of a shop are in `saves-complete` in the order in which they came, each once.
// 3. Rows are not deleted, they are marked: what is awaited in some version must stay there to be found.
import { json, string, topology } from 'millrace'
import { type Entry, isSave, type Kind, type Save } from './events.ts'

/** An entry by itself, under `<shop>/<id>`. */
export type Placed = Entry & { readonly version: number }

export interface Complete {
  readonly version: number
  readonly entries: number
}

export default topology('catalog-spread', (t) => {
  const saves = t
    .stream('saves', { key: string(), value: json<Save>(isSave) })
    .dedupe({ store: 'saves-seen', id: ({ version }, shop) => `${shop}/${version}`, retention: '7d' })

  const placed = (kind: Kind, store: string) =>
    saves
      .flatMap(
        ({ version, entries }, shop) =>
          entries.filter((entry) => entry.kind === kind).map((entry): [string, Placed] => [`${shop}/${entry.id}`, { ...entry, version }]),
        { key: string(), value: json<Placed>() },
      )
      .lastWriteWins({ store, version: ({ version }) => version })
  const tables = {
    category: placed('category', 'categories'),
    channel: placed('channel', 'channels'),
    product: placed('product', 'products'),
  }

  saves
    .holdUntil(({ version, entries }, shop) => entries.map(({ kind, id }) => ({ table: tables[kind], key: `${shop}/${id}`, version })), {
      store: 'saves-held',
      tables: Object.values(tables),
      buffer: { timeout: '1h' },
    })
    .mapValues(({ version, entries }): Complete => ({ version, entries: entries.length }), { value: json<Complete>() })
    .to('saves-complete', { key: string(), value: json() })
})
