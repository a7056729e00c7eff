// Compile only: what the ordering operators ask for and give.
import { int32, json, string, topology } from 'millrace'

interface Order {
  id: string
  product: string
  items: readonly string[]
}

interface Product {
  name: string
}

topology('ordering', (t) => {
  const orders = t.stream('orders', { key: string(), value: json<Order>() })

  const once = orders.dedupe({ store: 'ids', id: (order, key, record) => `${order.id}/${key}/${record.headers.trace}`, retention: '1h' })
  once.mapValues((order) => order.items.length.toFixed())
  orders.dedupe({ id: (order) => (order.id === '' ? null : order.id), retention: 3_600_000 })
  // @ts-expect-error an object is no id
  orders.dedupe({ id: (order) => order, retention: '1h' })
  // @ts-expect-error how long must be said
  orders.dedupe({ id: (order) => order.id })
  // @ts-expect-error no such duration
  orders.dedupe({ id: (order) => order.id, retention: '1 hour' })
  // @ts-expect-error no such field
  orders.dedupe({ id: (order) => order.number, retention: '1h' })

  const priced = orders.mapAsync(
    async (order, key, { idempotencyKey, signal }) => ({ id: order.id, key, idempotencyKey, cut: signal.aborted }),
    {
      store: 'prices',
      concurrency: 100,
      unordered: (order) => order.items.length === 0,
      retry: { attempts: 3, backoff: '1s' },
      onError: (order, key, error) => ({ id: order.id, key, idempotencyKey: String(error), cut: true }),
    },
  )
  priced.mapValues((price) => price.id.length + price.key.length)
  orders.mapAsync((order) => order.id, { order: 'none', value: string() }).mapValues((id) => id.length)
  // @ts-expect-error what a function gives in place of an answer is like an answer
  orders.mapAsync(async (order) => order.items.length, { onError: (order) => order.id })
  // @ts-expect-error no such order
  orders.mapAsync(async (order) => order, { order: 'value' })
  // @ts-expect-error retries say how many
  orders.mapAsync(async (order) => order, { retry: { backoff: '1s' } })
  // @ts-expect-error a number is no text
  orders.mapAsync(async (order) => order.items.length, { value: string() })

  orders.filter((order) => order.id !== '', { onError: 'skip' }).to('some', { onError: 'fail' })
  t.stream('orders-too', { key: string(), value: json<Order>(), onError: 'deadLetter' }).mapValues((order) => order.id, { onError: 'skip' })
  // @ts-expect-error no such policy
  orders.peek(() => {}, { onError: 'retry' })
  // @ts-expect-error keys wait for the whole application
  orders.peek(() => {}, { onError: { blockKey: true } })
  // @ts-expect-error only a call may fail to another result
  orders.mapValues((order) => order.id, { onError: () => 'none' })

  const versioned = t.stream('versioned', { key: string(), value: json<{ v: number }>() }).lastWriteWins({ version: (e) => e.v })
  const counted = t.table('counted', { key: int32(), value: string() })
  const hold = { timeout: '1m' } as const
  orders.holdUntil((order) => order.items.map((key) => ({ table: versioned, key })), { buffer: hold }).mapValues((order) => order.id.length)
  orders.holdUntil(
    (order, key) => [
      { table: versioned, key, version: order.items.length },
      { table: counted, key: order.items.length },
      { table: 'products', key: order.product },
    ],
    { buffer: hold, store: 'held', tables: [versioned, counted, 'products'] },
  )
  orders.holdUntil((order) => (order.id === '' ? [] : [{ table: versioned, key: order.id }]), { buffer: hold })
  // @ts-expect-error a number is no key of that table
  orders.holdUntil((order) => order.items.map(() => ({ table: versioned, key: order.items.length })), { buffer: hold })
  orders.holdUntil(
    // @ts-expect-error one of the two keys is no number
    (order) => [
      { table: versioned, key: 'x' },
      { table: counted, key: order.id },
    ],
    { buffer: hold },
  )
  // @ts-expect-error how records wait must be said
  orders.holdUntil(() => [], {})

  const products = t.table('products', { key: string(), value: json<Product>() })
  const buffer = { timeout: '1m', maxRecords: 1_000, onFull: 'expireOldest' } as const

  // By foreign key: the record's own key stays.
  const named = orders.join(products, (order, product, key) => ({ key, id: order.id, name: product.name }), {
    on: (order) => order.product,
    buffer,
    store: 'by-product',
  })
  named.mapValues((line) => line.name.length + line.key.length + line.id.length)
  // By key.
  orders.join(products, (order, product) => order.id + product.name, { buffer, value: string() }).mapValues((text) => text.length)
  // What goes on without a row may be without one.
  const kept = orders.join(products, (order, product) => ({ id: order.id, name: product?.name }), {
    on: (order, key) => (key === '' ? null : order.product),
    buffer: { timeout: '1m', onTimeout: 'emit' },
  })
  kept.mapValues((line) => line.name?.length)
  orders.join(products, (order, product) => ({ order, name: product?.name }), { buffer: { timeout: '1m', onTimeout: 'emit' } })

  // @ts-expect-error the row may be missing
  orders.join(products, (_, product) => product.name, { buffer: { timeout: '1m', onTimeout: 'emit' } })
  // @ts-expect-error an order's list is no key of a product
  orders.join(products, (order) => order, { on: (order) => order.items, buffer })
  // @ts-expect-error by foreign key only with a buffer
  orders.join(products, (order) => order, { on: (order) => order.product })
  // @ts-expect-error a buffer needs its timeout
  orders.join(products, (order) => order, { buffer: { maxRecords: 1 } })
  // @ts-expect-error no such end of waiting
  orders.join(products, (order) => order, { buffer: { timeout: '1m', onTimeout: 'skip' } })
  // @ts-expect-error a left join does not wait
  orders.leftJoin(products, (order) => order, { buffer })
})
