// What each customer has ordered, right in whatever order the events come. The small example that README.md here is about.
//
// Topics: `orders`, keyed by order id, and `customers`, keyed by customer id; both carry versioned events, a delete being an event
// with op 'delete'. The output `customer-totals` is keyed by customer id; a customer without open orders has no row.
import { json, string, topology } from 'millrace'

interface Versioned {
  version: number
  op: 'upsert' | 'delete'
}
export interface OrderEvent extends Versioned {
  customerId: string
  /** Whole cents: a sum of fractions would depend on the order of its terms. */
  cents: number
  state: 'open' | 'cancelled'
}
export interface CustomerEvent extends Versioned {
  name: string
}
export interface CustomerTotal {
  customer: string | null
  orders: number
  cents: number
}

const latest = { version: (e: Versioned) => e.version, deleted: (e: Versioned) => e.op === 'delete' }

export default topology('orders-by-customer', (t) => {
  const customers = t.stream('customers', { key: string(), value: json<CustomerEvent>() }).lastWriteWins({ store: 'customers', ...latest })

  t.stream('orders', { key: string(), value: json<OrderEvent>() })
    .lastWriteWins({ store: 'orders', ...latest })
    .filter((order) => order.state === 'open')
    .groupBy((order) => [order.customerId, order.cents], { key: string() })
    .aggregate(
      () => ({ orders: 0, cents: 0 }),
      (total, cents) => ({ orders: total.orders + 1, cents: total.cents + cents }),
      (total, cents) => (total.orders === 1 ? null : { orders: total.orders - 1, cents: total.cents - cents }),
      { store: 'totals' },
    )
    .leftJoin(customers, (total, customer): CustomerTotal => ({ customer: customer?.name ?? null, ...total }))
    .toStream()
    .to('customer-totals', { key: string(), value: json<CustomerTotal>() })
})
