// Notification: a mail when an order is placed and one when it is fulfilled or cancelled. When the mail does not work, its letters wait and
// are tried again; what fails for good is a dead letter of this service, and nobody else hears of it.
import { json, string, topology } from 'millrace'
import { type Fulfilment, isOrder, type Notice, type OrderPlaced, REMEMBERED } from './events.ts'
import { type Outside, outside } from './outside.ts'

export const notification = (send: Outside<unknown>) =>
  topology('orders-notification', (t) => {
    const placed = t
      .stream('orders', { key: string(), value: json<OrderPlaced>(isOrder) })
      .mapValues(({ id }): Notice => ({ order: id, about: 'placed' }), { value: json<Notice>() })
    const ended = t
      .stream('fulfilments', { key: string(), value: json<Fulfilment>() })
      .mapValues(({ order, outcome }): Notice => ({ order, about: outcome }), { value: json<Notice>() })
    placed
      .merge(ended)
      .dedupe({ store: 'notices-seen', id: ({ order, about }) => `${about} ${order}`, retention: REMEMBERED })
      .mapAsync(
        async (notice, _key, call): Promise<Notice> => {
          await send(notice, call)
          return notice
        },
        { store: 'mails', value: json<Notice>(), concurrency: 20, retry: { attempts: 8, backoff: '200ms' }, timeout: '10s' },
      )
      .to('notices', { key: string(), value: json() })
  })

export default notification(outside('MAIL_URL', () => ({})))
