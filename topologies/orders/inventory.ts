// Inventory: reserves the goods of an order, or says that they are short. Decided once for each order, by sku, as orders and deliveries come.
//
// 1. Never more is reserved of a sku than was delivered.
import { json, keyValue, string, topology } from 'millrace'
import { isOrder, isStocked, type OrderPlaced, type Reservation, REMEMBERED, type Stocked } from './events.ts'

interface Wanted {
  readonly order: string
  readonly count: number
}

export default topology('orders-inventory', (t) => {
  const stock = t.store(keyValue({ name: 'stock', key: string(), value: json<number>() }))

  t.stream('stock', { key: string(), value: json<Stocked>(isStocked) })
    .dedupe({ store: 'deliveries-seen', id: ({ id }) => id, retention: REMEMBERED })
    .process(
      (context) => ({
        process: ({ key, value }) => context.store(stock).put(key, (context.store(stock).get(key) ?? 0) + value.count),
      }),
      { stores: [stock] },
    )

  t.stream('orders', { key: string(), value: json<OrderPlaced>(isOrder) })
    .dedupe({ store: 'orders-seen', id: ({ id }) => id, retention: REMEMBERED })
    .map((order): [string, Wanted] => [order.sku, { order: order.id, count: order.count }], { key: string(), value: json<Wanted>() })
    .repartition({ name: 'by-sku' })
    .process<string, Reservation>(
      (context) => ({
        process({ key: sku, value: { order, count }, timestamp }) {
          const left = (context.store(stock).get(sku) ?? 0) - count
          if (left >= 0) context.store(stock).put(sku, left)
          context.forward({ key: order, value: { order, sku, count, outcome: left >= 0 ? 'reserved' : 'short' }, timestamp })
        },
      }),
      { stores: [stock], key: string(), value: json<Reservation>() },
    )
    .to('reservations', { key: string(), value: json() })
})
