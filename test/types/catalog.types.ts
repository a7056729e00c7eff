// Compile only: the first topology of the documentation, word for word.
import { json, string, topology } from 'millrace'

interface CategoryEvent {
  id: string
  version: number
  op: 'upsert' | 'delete'
  name: string
}
interface ProductEvent {
  id: string
  version: number
  op: 'upsert' | 'delete'
  name: string
  categoryId: string
  price: number
}

export default topology('catalog', (t) => {
  const categories = t
    .stream('categories', { key: string(), value: json<CategoryEvent>() })
    .lastWriteWins({ store: 'categories', version: (e) => e.version, deleted: (e) => e.op === 'delete' })

  const products = t
    .stream('products', { key: string(), value: json<ProductEvent>() })
    .lastWriteWins({ store: 'products', version: (e) => e.version, deleted: (e) => e.op === 'delete' })

  products
    .join(
      categories,
      (product) => product.categoryId,
      (product, category) => ({ ...product, category: category.name }),
    )
    .toStream()
    .to('catalog', { value: json() })
})
