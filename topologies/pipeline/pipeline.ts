// The life of an order: created, authorized in one or more parts, fulfilled. Events come in any order and twice; steps are carried out one
// after the other for each order, and an order whose steps are slow holds up no other.
//
// 1. The steps of an order are numbered without a gap: created, its parts, authorized, fulfilled. What comes too early waits in the row.
// 2. An order is authorized when its parts have come to its sum; it is fulfilled after that only.
// 3. Each event is taken once: a part by its id, the others by their type. What comes twice, or after the end, changes nothing.
import { json, keyValue, string, topology } from 'millrace'
import { type Outside, outside } from '../orders/outside.ts'

export type OrderEvent =
  | { readonly type: 'created'; readonly cents: number }
  | { readonly type: 'authorized'; readonly id: string; readonly cents: number }
  | { readonly type: 'fulfilled' }

export interface Step {
  readonly seq: number
  readonly step: 'created' | 'part' | 'authorized' | 'fulfilled'
  /** Of a part: its id. */
  readonly part?: string
}

interface Order {
  readonly cents: number | null
  /** By id, as they came. */
  readonly parts: readonly (readonly [id: string, cents: number])[]
  readonly fulfil: boolean
  readonly state: 'expected' | 'created' | 'authorized' | 'fulfilled'
  /** Steps so far. */
  readonly steps: number
  /** Parts so far that are steps. */
  readonly taken: number
}

const NONE: Order = { cents: null, parts: [], fulfil: false, state: 'expected', steps: 0, taken: 0 }

function isEvent(value: unknown): boolean {
  const { type, id, cents } = (value ?? {}) as Record<string, unknown>
  if (type === 'fulfilled') return true
  const positive = Number.isSafeInteger(cents) && (cents as number) > 0
  return positive && (type === 'created' || (type === 'authorized' && typeof id === 'string' && id !== ''))
}

/** The row with what the event says, before anything follows from it. */
function told(order: Order, event: OrderEvent): Order {
  if (event.type === 'created') return order.cents === null ? { ...order, cents: event.cents } : order
  if (event.type === 'fulfilled') return { ...order, fulfil: true }
  const known = order.parts.some(([id]) => id === event.id)
  return known || order.state === 'fulfilled' ? order : { ...order, parts: [...order.parts, [event.id, event.cents]] }
}

/** The next step that the row allows; null: it waits. */
function next(order: Order): { readonly order: Order; readonly step: Step } | null {
  const seq = order.steps + 1
  const to = (state: 'created' | 'authorized' | 'fulfilled') => ({ order: { ...order, state, steps: seq }, step: { seq, step: state } })
  if (order.cents === null) return null
  if (order.state === 'expected') return to('created')
  const part = order.parts[order.taken]
  if (part !== undefined) return { order: { ...order, steps: seq, taken: order.taken + 1 }, step: { seq, step: 'part', part: part[0] } }
  const paid = order.parts.reduce((sum, [, cents]) => sum + cents, 0)
  if (order.state === 'created') return paid >= order.cents ? to('authorized') : null
  return order.state === 'authorized' && order.fulfil ? to('fulfilled') : null
}

export const pipeline = (carryOut: Outside<unknown>) =>
  topology('pipeline', (t) => {
    const orders = t.store(keyValue({ name: 'orders', key: string(), value: json<Order>() }))

    t.stream('order-events', { key: string(), value: json<OrderEvent>(isEvent) })
      .processValues<Step>(
        (context) => ({
          process({ key, value, timestamp }) {
            let order = told(context.store(orders).get(key) ?? NONE, value)
            for (let ready = next(order); ready !== null; ready = next(order)) {
              context.forward({ key, value: ready.step, timestamp })
              order = ready.order
            }
            context.store(orders).put(key, order)
          },
        }),
        { stores: [orders], value: json<Step>() },
      )
      .mapAsync(
        async (step, order, call): Promise<Step> => {
          await carryOut({ order, ...step }, call)
          return step
        },
        { store: 'steps', value: json<Step>(), concurrency: 100, timeout: '1m', retry: { attempts: 10, backoff: '100ms' } },
      )
      .to('order-steps', { key: string(), value: json() })
  })

export default pipeline(outside('STEPS_URL', () => ({})))
