// The totals must not depend on the order of arrival. topologies/README.md walks through this file.
import fc from 'fast-check'
import { delayed, duplicated, interleavings, replayed, TopologyTestDriver } from 'millrace/testing'
import { expect, test } from 'vitest'
import topology, { type CustomerEvent, type OrderEvent } from '../../topologies/orders-by-customer.ts'

interface Arrival {
  topic: string
  key: string
  value: OrderEvent | CustomerEvent
}
const order = (key: string, version: number, customerId: string, cents: number, change: Partial<OrderEvent> = {}): Arrival => ({
  topic: 'orders',
  key,
  value: { version, op: 'upsert', customerId, cents, state: 'open', ...change },
})
const customer = (key: string, version: number, name: string, change: Partial<CustomerEvent> = {}): Arrival => ({
  topic: 'customers',
  key,
  value: { version, op: 'upsert', name, ...change },
})

const orders = [
  order('o1', 1, 'ada', 500),
  order('o2', 1, 'ada', 700),
  order('o3', 1, 'bob', 300),
  order('o1', 2, 'bob', 500), // to another customer
  order('o2', 2, 'ada', 700, { op: 'delete' }),
  order('o3', 2, 'bob', 300, { state: 'cancelled' }),
  order('o3', 3, 'bob', 250), // open again
  order('o4', 1, 'ada', 40),
  order('o5', 1, 'cyd', 10),
]
const customers = [
  customer('ada', 1, 'Ada'),
  customer('bob', 1, 'Bob'),
  customer('bob', 2, 'Bob', { op: 'delete' }),
  customer('ada', 2, 'Ada L.'),
  customer('bob', 3, 'Robert'),
]
const expected = {
  ada: { customer: 'Ada L.', orders: 1, cents: 40 },
  bob: { customer: 'Robert', orders: 2, cents: 750 },
  cyd: { customer: null, orders: 1, cents: 10 },
}

/** The topics mixed in any way, with events twice, late, and read again from an earlier place. */
const arrivals = replayed(delayed(duplicated(interleavings([orders, customers]))))

test('any order of arrival gives the same totals', async () => {
  await fc.assert(
    fc.asyncProperty(arrivals, fc.integer({ min: 1, max: 3 }), fc.nat(), async (events, partitions, crashAt) => {
      await using driver = new TopologyTestDriver(topology, { partitions })
      for (const [i, { topic, key, value }] of events.entries()) {
        if (i % 4 === 3) await driver.commit()
        if (i === crashAt % events.length) await driver.crash()
        await driver.input(topic).pipe({ key, value })
      }
      expect(Object.fromEntries(driver.output('customer-totals').readTable())).toEqual(expected)
    }),
    { numRuns: 300 },
  )
})
