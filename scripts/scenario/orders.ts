// The order system, judged service by service, with a fraud check, a bank and a mail that fail, are slow, and count what they are asked.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json as bodyOf } from 'node:stream/consumers'
import type { AsyncCall } from 'millrace'
import type { Seeded } from '../../test/support/seeded.ts'
import analytics, { type Turnover } from '../../topologies/orders/analytics.ts'
import audit, { type AuditEntry } from '../../topologies/orders/audit.ts'
import type { Fulfilment, Notice, OrderPlaced, Payment, Reservation, Stocked } from '../../topologies/orders/events.ts'
import inventory from '../../topologies/orders/inventory.ts'
import loyalty from '../../topologies/orders/loyalty.ts'
import { notification } from '../../topologies/orders/notification.ts'
import type { Outside } from '../../topologies/orders/outside.ts'
import { payment } from '../../topologies/orders/payment.ts'
import warehouse from '../../topologies/orders/warehouse.ts'
import { same, type Part, type Scenario, type Sent, shuffled, type World } from './scenario.ts'

const CUSTOMERS = ['ada', 'bob', 'cyd']
const SKUS = ['lamp', 'chair']

export function shopping(random: Seeded, orders: number): Sent[] {
  const stocked = Array.from({ length: 6 }, (_, i): Sent => {
    const value: Stocked = { id: `s${i}`, count: 1 + random.below(5) }
    return { topic: 'stock', key: random.pick(SKUS), value }
  })
  const placed = Array.from({ length: orders }, (_, i): Sent => {
    const id = `o${i}`
    const dear = random.below(4) * 60_000
    const value: OrderPlaced = {
      id,
      customer: random.pick(CUSTOMERS),
      sku: random.pick(SKUS),
      count: 1 + random.below(2),
      cents: 150 + dear,
    }
    return { topic: 'orders', key: id, value }
  })
  return [...stocked, ...placed]
}

export const approves = (cents: number): boolean => cents <= 130_000

/** Says the same to the same key, fails a third of the first calls, and knows who has asked what under which keys. */
export function flaky<W extends object, T>(random: Seeded, answer: (what: W) => T) {
  const done = new Map<string, T>()
  const keysOf = new Map<string, Set<string>>()
  const ask = (what: W, idempotencyKey: string): T => {
    const name = JSON.stringify(what)
    keysOf.set(name, (keysOf.get(name) ?? new Set()).add(idempotencyKey))
    if (!done.has(idempotencyKey) && random.chance(0.33)) throw new Error('out of order')
    const said = done.get(idempotencyKey) ?? answer(what)
    done.set(idempotencyKey, said)
    return said
  }
  return {
    ask,
    call: (async (what: object, { idempotencyKey }: AsyncCall) => ask(what as W, idempotencyKey)) as Outside<T>,
    /** Under more than one key the same thing would have been done twice. */
    judge: (name: string): string[] =>
      [...keysOf].flatMap(([what, keys]) => (keys.size > 1 ? [`${name}: ${what} was asked under ${keys.size} keys`] : [])),
  }
}

const distinct = (sent: readonly Sent[], topic: string): OrderPlaced[] => [
  ...new Map(sent.filter((one) => one.topic === topic).map(({ key, value }) => [key, value as OrderPlaced])).values(),
]
const rowsOf = <T>(of: readonly Sent[], topic: string): Map<string, T> =>
  new Map(of.filter((one) => one.topic === topic).map(({ key, value }) => [key, value as T]))
/** Each key once, and all of those that are wanted. */
function once(written: readonly Sent[], wanted: Iterable<string>): string[] {
  const counts = new Map<string, number>()
  for (const { key } of written) counts.set(key, (counts.get(key) ?? 0) + 1)
  const twice = [...counts].flatMap(([key, count]) => (count > 1 ? [`${key} comes ${count} times`] : []))
  return [...twice, ...[...wanted].flatMap((key) => (counts.has(key) ? [] : [`${key} has not come`]))]
}
const keysOf = (sent: readonly Sent[], topic: string): Set<string> =>
  new Set(sent.filter((one) => one.topic === topic).map(({ key }) => key))

export function judgeInventory(sent: readonly Sent[], written: readonly Sent[]): string[] {
  const deliveries = new Map(
    sent.filter(({ topic }) => topic === 'stock').map(({ key, value }) => [(value as Stocked).id, { key, value: value as Stocked }]),
  )
  const left = new Map<string, number>()
  for (const { key, value } of deliveries.values()) left.set(key, (left.get(key) ?? 0) + value.count)
  for (const { sku, count, outcome } of written.map(({ value }) => value as Reservation))
    if (outcome === 'reserved') left.set(sku, (left.get(sku) ?? 0) - count)
  const over = [...left].flatMap(([sku, count]) => (count < 0 ? [`${sku}: ${-count} more reserved than there were`] : []))
  return [...once(written, keysOf(sent, 'orders')), ...over]
}

export function judgePayment(sent: readonly Sent[], written: readonly Sent[]): string[] {
  const outcomes = rowsOf<Payment>(written, 'payments')
  const wrong = distinct(sent, 'orders').flatMap(({ id, cents }) => {
    const said = outcomes.get(id)?.outcome
    // With nobody left to ask an order may fail; it is never authorized or declined by itself.
    return said === undefined || said === 'failed' || said === (approves(cents) ? 'authorized' : 'declined') ? [] : [`${id} is ${said}`]
  })
  return [...once(written, keysOf(sent, 'orders')), ...wrong]
}

/** What is fulfilled and was not paid, or not reserved, so far. */
export function tooEarly(sent: readonly Sent[], written: readonly Sent[]): string[] {
  const [payments, reservations] = [rowsOf<Payment>(sent, 'payments'), rowsOf<Reservation>(sent, 'reservations')]
  return written.flatMap(({ key, value }) => {
    if ((value as Fulfilment).outcome !== 'fulfilled') return []
    const [paid, reserved] = [payments.get(key)?.outcome, reservations.get(key)?.outcome]
    return paid === 'authorized' && reserved === 'reserved' ? [] : [`${key} is fulfilled, its payment ${paid}, its goods ${reserved}`]
  })
}

export function judgeWarehouse(sent: readonly Sent[], written: readonly Sent[]): string[] {
  const [payments, reservations] = [rowsOf<Payment>(sent, 'payments'), rowsOf<Reservation>(sent, 'reservations')]
  const wrong = written.flatMap(({ key, value }) => {
    const ready = payments.get(key)?.outcome === 'authorized' && reservations.get(key)?.outcome === 'reserved'
    return (value as Fulfilment).outcome === (ready ? 'fulfilled' : 'cancelled') ? [] : [`${key} is ${(value as Fulfilment).outcome}`]
  })
  return [...once(written, keysOf(sent, 'orders')), ...wrong]
}

function judgeNotification(sent: readonly Sent[], written: readonly Sent[]): string[] {
  const name = ({ order, about }: Notice): string => `${about} ${order}`
  const ended = sent.filter(({ topic }) => topic === 'fulfilments').map(({ value }) => value as Fulfilment)
  const wanted = [...distinct(sent, 'orders').map(({ id }) => `placed ${id}`), ...ended.map(({ order, outcome }) => `${outcome} ${order}`)]
  return once(
    written.map(({ topic, value }) => ({ topic, key: name(value as Notice), value })),
    wanted,
  )
}

export function judgeAnalytics(sent: readonly Sent[], written: readonly Sent[]): string[] {
  const wanted = new Map<string, Turnover>()
  for (const { customer, cents } of distinct(sent, 'orders')) {
    const sum = wanted.get(customer) ?? { orders: 0, cents: 0 }
    wanted.set(customer, { orders: sum.orders + 1, cents: sum.cents + cents })
  }
  const rows = rowsOf<Turnover>(written, 'turnover')
  return [...wanted].flatMap(([customer, sum]) =>
    same(rows.get(customer), sum) ? [] : [`${customer} has ${JSON.stringify(rows.get(customer))}`],
  )
}

export function judgeAudit(sent: readonly Sent[], written: readonly Sent[]): string[] {
  const wrong: string[] = []
  for (const [order, entries] of Map.groupBy(written, ({ key }) => key)) {
    const events = entries.map(({ value }) => value as AuditEntry)
    if (events.some(({ seq }, i) => seq !== i + 1)) wrong.push(`${order} is numbered ${events.map(({ seq }) => seq)}`)
    const places = new Set(events.map(({ topic, partition, offset }) => `${topic} ${partition} ${offset}`))
    if (places.size !== events.length) wrong.push(`${order}: an event is there twice`)
  }
  if (written.length < sent.length) wrong.push(`${sent.length} events, ${written.length} entries`)
  return wrong
}

export function judgeLoyalty(sent: readonly Sent[], written: readonly Sent[]): string[] {
  const wanted = new Map<string, number>()
  for (const { customer, cents, outcome } of rowsOf<Fulfilment>(sent, 'fulfilments').values())
    if (outcome === 'fulfilled') wanted.set(customer, (wanted.get(customer) ?? 0) + Math.floor(cents / 100))
  return same([...rowsOf<number>(written, 'points')].sort(), [...wanted].sort()) ? [] : ['points are not those of what was fulfilled']
}

const folder = 'topologies/orders'
const waits = { steps: 15, by: '2s' } as const
const settled = (
  name: string,
  inputs: readonly string[],
  outputs: readonly string[],
): Pick<Part, 'file' | 'inputs' | 'outputs' | 'disorder'> => ({
  file: `${folder}/${name}.ts`,
  inputs,
  outputs,
  disorder: shuffled,
})
const events = ['orders', 'reservations', 'payments', 'fulfilments']
const check = { call: (async () => ({ suspicious: false })) as Outside<{ suspicious: boolean }> }
const bankOf = (random: Seeded) => flaky(random, ({ cents }: { cents: number }) => ({ authorized: approves(cents) }))

export const scenario: Scenario = {
  happened: (random) => shopping(random, 20),
  outbox: ['orders', 'stock'],
  parts: [
    { ...settled('inventory', ['orders', 'stock'], ['reservations']), topology: () => inventory, judge: judgeInventory },
    {
      ...settled('payment', ['orders'], ['payments']),
      topology: (random) => payment({ check: check.call, charge: bankOf(random).call }),
      afterwards: waits,
      judge: judgePayment,
      down: true,
    },
    {
      ...settled('warehouse', ['orders', 'payments', 'reservations'], ['fulfilments']),
      topology: () => warehouse,
      judge: judgeWarehouse,
      always: tooEarly,
      down: true,
    },
    {
      ...settled('notification', ['orders', 'fulfilments'], ['notices']),
      topology: (random) => notification(flaky(random, () => ({})).call),
      afterwards: { steps: 20, by: '10s' },
      judge: judgeNotification,
    },
    { ...settled('analytics', ['orders'], ['turnover']), topology: () => analytics, judge: judgeAnalytics },
    { ...settled('audit', events, ['audit']), topology: () => audit, judge: judgeAudit },
    { ...settled('loyalty', ['fulfilments'], ['points']), topology: () => loyalty, judge: judgeLoyalty, comesLast: true },
  ],
  async outside(random): Promise<World> {
    const [bank, mail] = [bankOf(random), flaky(random, (_: Notice) => ({}))]
    const server = createServer((request, response) => {
      void (async () => {
        const what = (await bodyOf(request)) as never
        const key = String(request.headers['idempotency-key'])
        try {
          const said = request.url === '/bank' ? bank.ask(what, key) : request.url === '/mail' ? mail.ask(what, key) : { suspicious: false }
          // One check in ten is slow: its order waits, the others do not.
          const slowMs = request.url === '/fraud' && random.chance(0.1) ? 1_500 : 0
          setTimeout(() => response.writeHead(200).end(JSON.stringify(said)), slowMs)
        } catch {
          response.writeHead(503).end()
        }
      })().catch(() => response.destroy())
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    return {
      env: { FRAUD_URL: `${url}/fraud`, BANK_URL: `${url}/bank`, MAIL_URL: `${url}/mail` },
      judge: () => [...bank.judge('the bank'), ...mail.judge('the mail')],
      close: () => new Promise((resolve) => server.close(() => resolve())),
    }
  },
}
