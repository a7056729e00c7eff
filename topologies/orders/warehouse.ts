// Warehouse: fulfils an order when it is paid and its goods are reserved, cancels it when one of them came to nothing. The three topics
// come in any order; nothing is fulfilled before its payment is authorized.
import { json, string, topology } from 'millrace'
import { type Fulfilment, isOrder, type OrderPlaced, type Payment, REMEMBERED, type Reservation } from './events.ts'

interface Settled {
  readonly order: OrderPlaced
  readonly paid: boolean
}

export default topology('orders-warehouse', (t) => {
  const payments = t.table('payments', { key: string(), value: json<Payment>(), store: 'payments' })
  const reservations = t.table('reservations', { key: string(), value: json<Reservation>(), store: 'reservations' })

  t.stream('orders', { key: string(), value: json<OrderPlaced>(isOrder) })
    .dedupe({ store: 'orders-seen', id: ({ id }) => id, retention: REMEMBERED })
    .holdUntil(
      ({ id }) => [
        { table: payments, key: id },
        { table: reservations, key: id },
      ],
      { store: 'orders-held', tables: [payments, reservations], buffer: { timeout: '7d', onTimeout: 'deadLetter' } },
    )
    .join(payments, (order, payment): Settled => ({ order, paid: payment.outcome === 'authorized' }), { value: json<Settled>() })
    .join(
      reservations,
      ({ order, paid }, { outcome }): Fulfilment => ({
        order: order.id,
        customer: order.customer,
        cents: order.cents,
        outcome: paid && outcome === 'reserved' ? 'fulfilled' : 'cancelled',
      }),
      { value: json<Fulfilment>() },
    )
    .to('fulfilments', { key: string(), value: json() })
})
