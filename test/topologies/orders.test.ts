// The order system under disorder, service by service: nothing fulfilled before it is paid, one that hangs or fails holds up no other,
// a service that comes later replays what was.
import fc from 'fast-check'
import type { Topology } from 'millrace'
import { duplicated, interleavings, replayed, TopologyTestDriver } from 'millrace/testing'
import { expect, test } from 'vitest'
import { approves, flaky, judgeInventory, judgeLoyalty, judgePayment, shopping } from '../../scripts/scenario/orders.ts'
import type { Sent } from '../../scripts/scenario/scenario.ts'
import type { Fulfilment, OrderPlaced, Payment, Reservation } from '../../topologies/orders/events.ts'
import inventory from '../../topologies/orders/inventory.ts'
import loyalty from '../../topologies/orders/loyalty.ts'
import { notification } from '../../topologies/orders/notification.ts'
import { payment } from '../../topologies/orders/payment.ts'
import warehouse from '../../topologies/orders/warehouse.ts'
import { seeded } from '../support/seeded.ts'
import { runsOf } from '../support/tier.ts'

const order = (id: string, cents = 500, customer = 'ada'): Sent => {
  const value: OrderPlaced = { id, customer, sku: 'lamp', count: 1, cents }
  return { topic: 'orders', key: id, value }
}
const paid = (id: string, outcome: Payment['outcome'] = 'authorized'): Sent => ({
  topic: 'payments',
  key: id,
  value: { order: id, cents: 500, outcome } satisfies Payment,
})
const reserved = (id: string, outcome: Reservation['outcome'] = 'reserved'): Sent => ({
  topic: 'reservations',
  key: id,
  value: { order: id, sku: 'lamp', count: 1, outcome } satisfies Reservation,
})
const pipe = async (driver: TopologyTestDriver, ...sent: readonly Sent[]): Promise<void> => {
  for (const { topic, key, value } of sent) await driver.input(topic).pipe({ key, value })
}
const written = (driver: TopologyTestDriver, topic: string): Sent[] =>
  driver
    .output(topic)
    .readAll()
    .map(({ key, value }) => ({ topic, key, value }))
const fine = async () => ({ suspicious: false })
const crashAt = fc.array(fc.nat(1000), { maxLength: 3 })

async function withCrashes(
  topology: Topology,
  sent: readonly Sent[],
  crashes: readonly number[],
  look: (driver: TopologyTestDriver, before: readonly Sent[]) => Promise<void> | void,
): Promise<void> {
  await using driver = new TopologyTestDriver(topology, { partitions: 2 })
  for (const [i, one] of sent.entries()) {
    await pipe(driver, one)
    if (i % 5 === 4) await driver.commit()
    if (crashes.some((at) => Math.floor((at * sent.length) / 1001) === i)) await driver.crash()
    await look(driver, sent.slice(0, i + 1))
  }
}

test('nothing is fulfilled before its payment is authorized and its goods are reserved, in any order; each order ends once', async () => {
  const ids = ['o1', 'o2', 'o3', 'o4']
  const payments = ids.map((id, i) => paid(id, i === 1 ? 'declined' : i === 2 ? 'failed' : 'authorized'))
  const arrivals = duplicated(
    interleavings([ids.map((id) => order(id)), payments, ids.map((id, i) => reserved(id, i === 3 ? 'short' : 'reserved'))]),
  )
  await fc.assert(
    fc.asyncProperty(arrivals, crashAt, async (sent, crashes) => {
      let outputs: Sent[] = []
      await withCrashes(warehouse, sent as Sent[], crashes, (driver, before) => {
        outputs = [...outputs, ...written(driver, 'fulfilments')]
        for (const { key, value } of outputs) {
          if ((value as Fulfilment).outcome !== 'fulfilled') continue
          expect(before).toContainEqual(paid(key))
          expect(before).toContainEqual(reserved(key))
        }
      })
      const outcomes = outputs.map(({ key, value }) => [key, (value as Fulfilment).outcome]).sort()
      expect(outcomes).toEqual([
        ['o1', 'fulfilled'],
        ['o2', 'cancelled'],
        ['o3', 'cancelled'],
        ['o4', 'cancelled'],
      ])
    }),
    { numRuns: runsOf(60, 240) },
  )
})

test('a fraud check that hangs stalls its order only, and ends as failed when its time is over', async () => {
  const check = (what: object) => ((what as OrderPlaced).id === 'slow' ? new Promise<never>(() => {}) : fine())
  await using driver = new TopologyTestDriver(payment({ check, charge: async () => ({ authorized: true }) }))
  await pipe(driver, order('a'), order('slow'), order('b'), order('c'))
  await driver.crash()
  await driver.commit()
  expect(written(driver, 'payments').map(({ key }) => key)).toEqual(['a', 'b', 'c'])
  await driver.advance('31s')
  expect(written(driver, 'payments')).toEqual([paid('slow', 'failed')])
})

test('a bank that fails is asked again under the same key, whatever crashes: no order is charged twice', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), crashAt, async (seed, crashes) => {
      const random = seeded(seed)
      const bank = flaky(random, ({ cents }: { cents: number }) => ({ authorized: approves(cents) }))
      const all = shopping(random, 6).filter(({ topic }) => topic === 'orders')
      const sent = random.shuffled([...all, ...all.slice(0, 3)])
      const outputs: Sent[] = []
      await using driver = new TopologyTestDriver(payment({ check: fine, charge: bank.call }))
      for (const [i, one] of sent.entries()) {
        await pipe(driver, one)
        if (crashes.some((at) => at % sent.length === i)) await driver.crash()
      }
      for (let i = 0; i < 5; i++) {
        await driver.advance('2s')
        if (i === 1 && crashes.length > 1) await driver.crash()
      }
      outputs.push(...written(driver, 'payments'))
      expect(judgePayment(sent, outputs)).toEqual([])
      expect(bank.judge('the bank')).toEqual([])
    }),
    { numRuns: runsOf(25, 100) },
  )
})

test('mail that is down for good makes dead letters of its own service and of nothing else', async () => {
  await using driver = new TopologyTestDriver(
    notification(async (what) => ((what as { order: string }).order === 'b' ? Promise.reject(new Error('no')) : {})),
  )
  await pipe(driver, order('a'), order('b'), order('c'))
  await driver.advance('5m')
  expect(written(driver, 'notices').map(({ key }) => key)).toEqual(['a', 'c'])
  expect(written(driver, 'orders-notification-dead-letter').map(({ key }) => key)).toEqual(['b'])
})

test('no more is reserved than was delivered, whatever overtakes and comes twice; each order is decided once', async () => {
  const histories = fc.nat().map((seed) => shopping(seeded(seed), 8))
  const arrivals = replayed(
    duplicated(histories.chain((all) => fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length }))),
  )
  await fc.assert(
    fc.asyncProperty(arrivals, crashAt, async (sent, crashes) => {
      const outputs: Sent[] = []
      await withCrashes(inventory, sent, crashes, (driver) => void outputs.push(...written(driver, 'reservations')))
      expect(judgeInventory(sent, outputs)).toEqual([])
    }),
    { numRuns: runsOf(60, 240) },
  )
})

test('loyalty, later, comes to the points of the whole history in any order', async () => {
  const ended = (id: string, cents: number, outcome: Fulfilment['outcome']): Sent => ({
    topic: 'fulfilments',
    key: id,
    value: { order: id, customer: cents % 2 === 0 ? 'ada' : 'bob', cents, outcome } satisfies Fulfilment,
  })
  const all = [ended('o1', 250, 'fulfilled'), ended('o2', 199, 'fulfilled'), ended('o3', 999, 'cancelled'), ended('o4', 110, 'fulfilled')]
  await fc.assert(
    fc.asyncProperty(duplicated(fc.shuffledSubarray(all, { minLength: all.length })), crashAt, async (sent, crashes) => {
      const outputs: Sent[] = []
      await withCrashes(loyalty, sent, crashes, (driver) => void outputs.push(...written(driver, 'points')))
      expect(judgeLoyalty(sent, outputs)).toEqual([])
      expect(outputs.filter(({ key }) => key === 'ada').at(-1)?.value).toBe(3)
    }),
    { numRuns: runsOf(40, 160) },
  )
})
