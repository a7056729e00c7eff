// Payment: a fraud check, then the bank. Both may be slow or fail; an order that waits for them holds up no other order.
//
// 1. An order is charged once: calls that are made again carry the same idempotency key, and what comes twice is dropped in front.
// 2. Each order gets one outcome, also when nobody answers.
import { json, string, topology } from 'millrace'
import { isOrder, type OrderPlaced, type Payment, REMEMBERED } from './events.ts'
import { type Outside, outside } from './outside.ts'

export interface PaymentOutside {
  readonly check: Outside<{ readonly suspicious: boolean }>
  readonly charge: Outside<{ readonly authorized: boolean }>
}
interface Checked {
  readonly order: OrderPlaced
  /** Null: the check did not say. */
  readonly suspicious: boolean | null
}

const paid = ({ id, cents }: OrderPlaced, outcome: Payment['outcome']): Payment => ({ order: id, cents, outcome })

export const payment = ({ check, charge }: PaymentOutside) =>
  topology('orders-payment', (t) => {
    t.stream('orders', { key: string(), value: json<OrderPlaced>(isOrder) })
      .dedupe({ store: 'orders-seen', id: ({ id }) => id, retention: REMEMBERED })
      .mapAsync(async (order, _key, call): Promise<Checked> => ({ order, suspicious: (await check(order, call)).suspicious }), {
        store: 'fraud-checks',
        value: json<Checked>(),
        concurrency: 100,
        timeout: '30s',
        onError: (order) => ({ order, suspicious: null }),
      })
      .mapAsync(
        async ({ order, suspicious }, _key, call): Promise<Payment> => {
          if (suspicious !== false) return paid(order, suspicious === null ? 'failed' : 'declined')
          const { authorized } = await charge({ order: order.id, cents: order.cents }, call)
          return paid(order, authorized ? 'authorized' : 'declined')
        },
        {
          store: 'charges',
          value: json<Payment>(),
          concurrency: 50,
          retry: { attempts: 6, backoff: '100ms' },
          timeout: '10s',
          onError: ({ order }) => paid(order, 'failed'),
        },
      )
      .to('payments', { key: string(), value: json() })
  })

export default payment({
  check: outside('FRAUD_URL', ({ cents }: OrderPlaced) => ({ suspicious: cents > 500_000 })),
  charge: outside('BANK_URL', ({ cents }: OrderPlaced) => ({ authorized: cents <= 100_000 })),
})
