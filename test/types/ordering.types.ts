// Compile only: what the ordering operators ask for and give.
import { json, string, topology } from 'millrace'

interface Order {
  id: string
  product: string
  items: readonly string[]
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
})
