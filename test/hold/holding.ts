// Bundles that wait for their products, which another system writes.
import { json, string, topology } from 'millrace'

export interface Bundle {
  readonly n: number
  readonly products: readonly { readonly id: string; readonly version: number }[]
}
export interface Product {
  readonly version: number
}

export default topology('holding', (t) => {
  const products = t
    .stream('products', { key: string(), value: json<Product>() })
    .lastWriteWins({ store: 'products', version: (product) => product.version })
  t.stream('bundles', { key: string(), value: json<Bundle>() })
    .holdUntil((bundle) => bundle.products.map(({ id, version }) => ({ table: products, key: id, version })), {
      store: 'held',
      buffer: { timeout: '1h' },
      tables: [products],
    })
    .to('ready', { key: string(), value: json<Bundle>() })
})
