// Analytics: orders and turnover by customer.
import { json, string, topology } from 'millrace'
import { isOrder, type OrderPlaced, REMEMBERED } from './events.ts'

export interface Turnover {
  readonly orders: number
  readonly cents: number
}

export default topology('orders-analytics', (t) => {
  t.stream('orders', { key: string(), value: json<OrderPlaced>(isOrder) })
    .dedupe({ store: 'orders-seen', id: ({ id }) => id, retention: REMEMBERED })
    .groupBy(({ customer }) => customer, { key: string() })
    .aggregate(
      (): Turnover => ({ orders: 0, cents: 0 }),
      (sum, { cents }) => ({ orders: sum.orders + 1, cents: sum.cents + cents }),
      {
        store: 'turnover',
        value: json<Turnover>(),
      },
    )
    .toStream()
    .to('turnover', { key: string(), value: json() })
})
