// Buffering joins, case by case: what becomes of a record that can't go on, and what it carries.
import { describe, expect, it } from 'vitest'
import { type BufferOptions, json, type MillraceError, type Stream, string, topology } from '../../src/index.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'

interface Order {
  readonly product: string
  readonly n: number
}

const ORDERS = { key: string(), value: json<Order>() }
const TEXT = { key: string(), value: string() }

function driverOf(buffer: BufferOptions, change: (orders: Stream<string, Order>) => Stream<string, Order> = (orders) => orders) {
  const waits = topology('waits', (t) => {
    const products = t.table('products', TEXT)
    change(t.stream('orders', ORDERS))
      .join(
        products,
        (order, product) => {
          if (product === 'poison' && order.n === 2) throw new Error('no joiner for it')
          return `${order.n}:${product}`
        },
        { on: (order) => order.product, buffer, store: 'waiting', value: string() },
      )
      .to('out', TEXT)
  })
  return new TopologyTestDriver(waits, { partitions: 3 })
}

const letters = (driver: TopologyTestDriver) => driver.output<string, string>('waits-dead-letter').readAll()
const outputs = (driver: TopologyTestDriver) =>
  driver
    .output<string, string>('out')
    .readAll()
    .map(({ key, value, timestamp }) => `${key}=${value}@${timestamp}`)

describe('a record whose row does not come', () => {
  it('becomes a dead letter as it was read, and says where', async () => {
    await using driver = driverOf({ timeout: '10s' }, (orders) => orders.mapValues((order) => ({ ...order, n: order.n + 100 })))
    const input = driver.input<string, Order>('orders')
    await input.pipe({ key: 'x', value: { product: 'q', n: 0 }, timestamp: 1, partition: 2 })
    await input.pipe({ key: 'a', value: { product: 'p', n: 1 }, timestamp: 7, partition: 2, headers: { trace: '1' } })
    await driver.input('products').pipe({ key: 'q', value: 'row', timestamp: 3 })
    await driver.commit()
    await driver.advance('9999ms')
    expect(letters(driver)).toEqual([])
    await driver.crash()
    await driver.advance('1ms')
    await driver.commit()
    expect(outputs(driver)).toEqual(['x=100:row@3'])
    const found = letters(driver)
    expect(found).toHaveLength(1)
    expect(found[0]).toMatchObject({ key: 'a', value: '{"product":"p","n":1}', timestamp: 7 })
    expect(found[0]?.headers).toMatchObject({
      trace: '1',
      '__streams.errors.exception': 'STREAM_TIMEOUT',
      '__streams.errors.message': expect.stringMatching(/^waiting: no row came for the record within 10000 ms$/),
      '__streams.errors.topic': 'orders',
      '__streams.errors.partition': '2',
      '__streams.errors.offset': '1',
    })
    expect(driver.counters('waiting').get('expired')).toBe(1)
    expect(driver.counters('waiting').get('parked')).toBe(0)
  })

  it('is dropped where that is said, and counted', async () => {
    await using driver = driverOf({ timeout: '10s', onTimeout: 'drop', clock: 'wall' })
    await driver.input<string, Order>('orders').pipe({ key: 'a', value: { product: 'p', n: 1 }, timestamp: 0 })
    await driver.input('products').pipe({ key: 'q', value: 'row', timestamp: 1_000_000 }) // stream time counts for nothing here
    expect(driver.counters('waiting').get('parked')).toBe(1)
    await driver.advance('10s')
    await driver.input('products').pipe({ key: 'p', value: 'row', timestamp: 0 })
    await driver.commit()
    expect([outputs(driver), letters(driver)]).toEqual([[], []])
    expect(driver.counters('waiting').get('expired')).toBe(1)
  })

  it('goes on with undefined where that is said', async () => {
    await using driver = driverOf({ timeout: '10s', onTimeout: 'emit' })
    await driver.input<string, Order>('orders').pipe({ key: 'a', value: { product: 'p', n: 1 }, timestamp: 4 })
    await driver.advance('10s')
    await driver.commit()
    expect(outputs(driver)).toEqual(['a=1:undefined@4'])
  })
})

describe('a record that waits', () => {
  it('keeps its headers, and its place behind others of its key', async () => {
    await using driver = driverOf({ timeout: '1h' })
    const orders = driver.input<string, Order>('orders')
    const products = driver.input<string, string>('products')
    await products.pipe({ key: 'there', value: 'there', timestamp: 1 })
    await orders.pipe({ key: 'a', value: { product: 'p', n: 1 }, timestamp: 2, headers: { trace: '1' } })
    await orders.pipe({ key: 'b', value: { product: 'p', n: 3 }, timestamp: 3, headers: { trace: '3' } })
    await orders.pipe({ key: 'a', value: { product: 'p', n: 4 }, timestamp: 4, headers: { trace: '4' } })
    await driver.crash()
    await driver.commit()
    await products.pipe({ key: 'p', value: 'row', timestamp: 3, headers: { trace: 'row' } })
    await driver.commit()
    const out = driver.output<string, string>('out').readAll()
    expect(out.map(({ value, headers, timestamp }) => [value, headers.trace, timestamp])).toEqual([
      ['1:row', '1', 3],
      ['3:row', '3', 3],
      ['4:row', '4', 4],
    ])
    expect(driver.counters('waiting').get('drained')).toBe(3)
  })

  it('costs neither the row nor the others when its joiner throws', async () => {
    await using driver = driverOf({ timeout: '1h' })
    const orders = driver.input<string, Order>('orders')
    for (const n of [1, 2, 3]) await orders.pipe({ key: 'a', value: { product: 'p', n }, timestamp: n })
    await driver.input('products').pipe({ key: 'p', value: 'poison', timestamp: 9 })
    await orders.pipe({ key: 'b', value: { product: 'p', n: 4 }, timestamp: 10 })
    await driver.commit()
    expect(outputs(driver)).toEqual(['a=1:poison@9', 'a=3:poison@9', 'b=4:poison@10'])
    expect(letters(driver)).toMatchObject([{ key: 'a', value: '{"product":"p","n":2}', headers: { '__streams.errors.topic': 'orders' } }])
    expect(driver.counters('waiting').get('failed')).toBe(1)
  })

  it('is one too many: the processor stops where that is said', async () => {
    const driver = driverOf({ timeout: '1h', maxRecords: 1, onFull: 'fail' })
    const orders = driver.input<string, Order>('orders')
    await orders.pipe({ key: 'a', value: { product: 'p', n: 1 }, timestamp: 1 })
    const refused = await orders.pipe({ key: 'b', value: { product: 'p', n: 2 }, timestamp: 2 }).then(
      () => null,
      (error: MillraceError) => error,
    )
    expect(refused).toMatchObject({ code: 'STREAM_BUFFER_FULL', disposition: 'stop' })
    expect(refused?.message).toMatch(/^waiting: 1 records wait/)
  })
})
