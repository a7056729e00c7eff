// What arrives in the demo: a history made by a seed, then shuffled, a fifth of it twice, old versions again behind their deletes.
import { type Delivered, deliver, historyOf } from '../../test/support/catalog-history.ts'

export interface DemoDelivery extends Delivered {
  /** Events before any was doubled. */
  readonly happened: number
}

export function deliveryOf(size: { readonly products: number; readonly edits: number }, seed: number): DemoDelivery {
  const { products, edits } = size
  const history = historyOf({ categories: Math.ceil(products / 15), brands: Math.ceil(products / 40), channels: 5, products, edits }, seed)
  return { ...deliver(history, { shuffle: true, duplicates: 0.2, staleAfterDelete: 0.5 }, seed + 1), happened: history.length }
}
