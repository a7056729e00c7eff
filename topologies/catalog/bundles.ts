// Bundles of several products, on sale in channels: each goes out when all that it is made of is there, in the versions that it names.
// Reads the topics `products` and `channels` of topologies/catalog.ts, which knows nothing of it.
//
// 1. A bundle that is out has had all of its products in the named version or a later one, and its channels.
// 2. Versions of a bundle come out in their order; one that is deleted is deleted for good, also if an older one waited meanwhile.
import { json, string, topology } from 'millrace'
import type { ChannelEvent, ProductEvent } from '../catalog.ts'

export interface BundleEvent {
  readonly id: string
  readonly version: number
  readonly op: 'upsert' | 'delete'
  readonly name: string
  readonly products: readonly { readonly id: string; readonly version: number }[]
  readonly channels: readonly string[]
}

interface Versioned {
  readonly version: number
  readonly op: 'upsert' | 'delete'
}
const latest = { version: (e: Versioned) => e.version, deleted: (e: Versioned) => e.op === 'delete' }

function isBundle(value: unknown): boolean {
  const { version, products, channels } = (value ?? {}) as Record<string, unknown>
  return Number.isSafeInteger(version) && Array.isArray(products) && Array.isArray(channels)
}

export default topology('catalog-bundles', (t) => {
  const products = t.stream('products', { key: string(), value: json<ProductEvent>() }).lastWriteWins({ store: 'products', ...latest })
  const channels = t.stream('channels', { key: string(), value: json<ChannelEvent>() }).lastWriteWins({ store: 'channels', ...latest })

  t.stream('bundles', { key: string(), value: json<BundleEvent>(isBundle) })
    .lastWriteWins({ store: 'bundles', ...latest })
    .toStream()
    .holdUntil(
      (bundle) => [
        ...bundle.products.map(({ id, version }) => ({ table: products, key: id, version })),
        ...bundle.channels.map((key) => ({ table: channels, key })),
      ],
      { store: 'bundles-held', tables: [products, channels], buffer: { timeout: '1h' } },
    )
    .to('bundles-ready', { key: string(), value: json<BundleEvent>() })
})
