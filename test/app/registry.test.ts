// Serdes of a schema registry where they are used: in the test driver with crashes, in `try`, in a processor on the embedded log.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openLog } from '../../src/app.ts'
import { storeReader } from '../../src/app/store-reader.ts'
import { explain } from '../../src/base/errors.ts'
import { systemWorld } from '../../src/base/system.ts'
import { resolveConfig } from '../../src/config.ts'
import { recordsControl } from '../../src/control/records.ts'
import { keyValue, registry, StreamProcessor, string, type Topology, topology, tumbling, within } from '../../src/index.ts'
import { Session } from '../../src/testing/session.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'
import { plan as planOf } from '../../src/topology/plan.ts'
import { millrace, scratch } from '../cli/binary.ts'
import { startRegistry, type TestRegistry, wireBytes } from '../support/schema-registry.ts'

interface Order {
  customer: string
  cents: number
}
interface Customer {
  name: string
}
const ORDER = {
  type: 'record',
  name: 'Order',
  fields: [
    { name: 'customer', type: 'string' },
    { name: 'cents', type: 'long' },
  ],
}
const OLD_ORDER = { ...ORDER, fields: [...ORDER.fields, { name: 'gone', type: 'int' }] }
const CUSTOMER = { type: 'record', name: 'Customer', fields: [{ name: 'name', type: 'string' }] }
const NAMED = {
  type: 'record',
  name: 'Named',
  fields: [
    { name: 'name', type: 'string' },
    { name: 'cents', type: 'long' },
  ],
}

let server: TestRegistry
beforeEach(async () => {
  server = await startRegistry({ user: { username: 'orders', password: 'secret' } })
})
afterEach(() => server.close())

const schemas = () => registry({ url: server.url, auth: { username: 'orders', password: 'secret' } })

/** Of every family: a table join by foreign key, an aggregate, windows, a stream join, a processor's store, a topic by function. */
function everything(): Topology {
  const avro = schemas().avro
  const [order, customer, named] = [avro<Order>(ORDER), avro<Customer>(CUSTOMER), avro<{ name: string; cents: number }>(NAMED)]
  const text = avro<string>('string')
  return topology('shop', (t) => {
    const orders = t.stream('orders', { key: text, value: order })
    const customers = t.table('customers', { key: text, value: customer, store: 'customers' })
    orders
      .toTable({ store: 'latest' })
      .join(
        customers,
        (o) => o.customer,
        (o, c) => ({ name: c.name, cents: o.cents }),
        { value: named, store: 'named' },
      )
      .toStream()
      .to('named', { key: text, value: named })
    orders
      .filter((o) => o !== null)
      .groupBy((o) => o.customer, { key: text })
      .reduce((a, b) => ({ customer: b.customer, cents: a.cents + b.cents }), { store: 'sums' })
      .toStream()
      .to('sums', { key: text, value: order })
    orders.groupByKey().windowedBy(tumbling('1h')).count({ store: 'hours' })
    orders
      .join(
        orders.mapValues((o) => o, { value: order }),
        (a, b) => ({ name: a.customer, cents: b.cents }),
        within('1m'),
        { value: named },
      )
      .forEach(() => {})
    orders
      .filter((o) => o !== null)
      .mapAsync(async (o) => ({ name: o.customer, cents: o.cents }), { store: 'calls', value: named })
      .to('called', { key: text, value: named })
    orders
      .join(customers, (o, c) => ({ name: c.name, cents: o.cents }), {
        on: (o) => o.customer,
        buffer: { timeout: '1m' },
        store: 'lot',
        value: named,
      })
      .to('waited', { key: text, value: named })
    orders
      .filter((o) => o !== null)
      .holdUntil((o) => [{ table: customers, key: o.customer }], { buffer: { timeout: '1m' }, store: 'held' })
      .mapValues((o) => ({ name: o.customer, cents: o.cents }), { value: named })
      .to('released', { key: text, value: named })
    const seen = t.store(keyValue({ name: 'seen', key: text, value: order }))
    orders
      .process<string, Order>(
        (context) => ({
          process(record) {
            const rows = context.store(seen)
            const before = rows.get(record.key)
            rows.put(record.key, record.value)
            if (before !== null) context.forward({ ...record, value: before })
          },
        }),
        { stores: [seen], key: text, value: order },
      )
      .to((o) => `before-${o.customer}`, { key: text, value: order })
  })
}

describe('in the test driver', () => {
  test.each([1, 3])('every kind of operator reads and writes, over crashes; %i partitions', async (partitions) => {
    const driver = new TopologyTestDriver(everything(), { partitions })
    const [orders, customers] = [driver.input<string, Order>('orders'), driver.input<string, Customer>('customers')]
    await orders.pipe({ key: 'o1', value: { customer: 'ada', cents: 5 } })
    await driver.commit()
    await driver.crash()
    await customers.pipe({ key: 'ada', value: { name: 'Ada' } })
    await orders.pipe([
      { key: 'o2', value: { customer: 'ada', cents: 7 } },
      { key: 'o1', value: { customer: 'ada', cents: 6 } },
    ])
    await driver.crash()
    await orders.pipe({ key: 'o2', value: null })
    expect(Object.fromEntries(driver.output('named').readTable())).toEqual({ o1: { name: 'Ada', cents: 6 } })
    const values = (topic: string): unknown[] =>
      driver
        .output(topic)
        .readAll()
        .map(({ key, value }) => [key, value.name, value.cents])
    expect(values('called').sort()).toEqual([
      ['o1', 'ada', 5],
      ['o1', 'ada', 6],
      ['o2', 'ada', 7],
    ])
    expect(values('waited').sort()).toEqual([
      ['o1', 'Ada', 5],
      ['o1', 'Ada', 6],
      ['o2', 'Ada', 7],
    ])
    expect(values('released').sort()).toEqual([
      ['o1', 'ada', 5],
      ['o1', 'ada', 6],
      ['o2', 'ada', 7],
    ])
    expect(driver.store('sums').get('ada')).toEqual({ customer: 'ada', cents: 18 })
    expect(
      driver
        .output('before-ada')
        .readAll()
        .map(({ key, value }) => [key, value.cents]),
    ).toEqual([
      ['o1', 5],
      ['o2', 7],
    ])
    expect(driver.store('hours').get({ key: 'o1', start: 0, end: 3_600_000 })).toBe(2)
    expect(driver.output('shop-dead-letter').readAll()).toEqual([])
    await driver.close()
  })

  test('each subject has the schema of what is written there', async () => {
    await using driver = new TopologyTestDriver(everything())
    const out = driver.input('orders')
    await out.pipe([
      { key: 'o1', value: { customer: 'x', cents: 1 } },
      { key: 'o1', value: { customer: 'y', cents: 1 } },
    ])
    const records = [...server.subjects].map(([subject, versions]) => [
      subject,
      versions.map(({ schema }) => JSON.parse(schema).name ?? JSON.parse(schema)),
    ])
    expect(Object.fromEntries(records)).toMatchObject({
      'orders-value': ['Order'],
      'orders-key': ['string'],
      'named-key': ['string'],
      'named-value': ['Named'],
      'shop-latest-changelog-value': ['Order'],
      'shop-customers-changelog-value': ['Customer'],
      'shop-sums-repartition-value': ['Order'],
      'shop-seen-changelog-key': ['string'],
      'shop-hours-changelog-key': ['string'],
      'before-x-value': ['Order'],
    })
    expect(server.subjects.has('before-y-value')).toBe(false)
    for (const [subject, names] of records) expect(names, String(subject)).toHaveLength(1)
  })

  test('a store that joins keep two kinds of values in has a subject for each', async () => {
    const avro = schemas().avro
    const two = topology('two', (t) => {
      const left = t.stream('l', { key: string(), value: avro<Order>(ORDER) })
      const right = t.stream('r', { key: string(), value: avro<Customer>(CUSTOMER) })
      left.join(right, (a, b) => `${b.name}${a.cents}`, within('1m'), { value: string(), store: 'j' }).to('out', { value: string() })
    })
    await using driver = new TopologyTestDriver(two)
    await driver.input('l').pipe({ key: 'k', value: { customer: 'c', cents: 1 } })
    await driver.input('r').pipe({ key: 'k', value: { name: 'n' } })
    expect(
      driver
        .output('out')
        .readAll()
        .map(({ value }) => value),
    ).toEqual(['n1'])
    expect([...server.subjects.keys()].sort()).toEqual(['l-value', 'r-value', 'two-j-changelog-left-value', 'two-j-changelog-right-value'])
  })
})

describe('records of writers that nobody has met', () => {
  test.each([0, 1, 2])('wait for their schema and keep their order and their place among the inputs (seed %i)', async (seed) => {
    const ids = [server.register('a-value', ORDER), server.register('b-value', OLD_ORDER)]
    const order = schemas().avro<Order>(ORDER)
    const merged = topology('merged', (t) => {
      const options = { key: string(), value: order, timestamp: (o: Order) => o.cents }
      t.stream('a', options).merge(t.stream('b', options)).to('out', { key: string(), value: order })
    })
    const session = new Session(merged, { partitions: 1, seed })
    await session.start()
    const value = (old: boolean, cents: number): Buffer =>
      wireBytes(ids[old ? 1 : 0] as number, old ? OLD_ORDER : ORDER, { customer: 'x', cents, gone: 1 })
    await session.pipe({ topic: 'b', key: Buffer.from('k'), value: value(true, 1) })
    await session.pipe({ topic: 'a', key: Buffer.from('k'), value: value(false, 2) })
    await session.pipe({ topic: 'b', key: Buffer.from('k'), value: wireBytes(99, ORDER, { customer: 'x', cents: 3 }) })
    await session.pipe({ topic: 'a', key: Buffer.from('k'), value: value(true, 4) })
    await session.commit()
    const out = session.take()
    expect(out.map(({ topic, timestamp }) => [topic, timestamp])).toEqual([
      ['out', 1],
      ['out', 2],
      ['merged-dead-letter', 0],
      ['out', 4],
    ])
    const [, , letter] = out
    expect(Object.fromEntries((letter?.headers ?? []).map(([name, text]) => [name, String(text)]))['__streams.errors.message']).toMatch(
      /b-0@1 can't be decoded: registry-avro:Order: the schema registry http.* has no schema 99/,
    )
    expect(server.asked.filter((line) => line.startsWith('GET')).sort()).toEqual([
      `GET /schemas/ids/${ids[1]}`,
      'GET /schemas/ids/99',
      'GET /schemas/ids/99',
    ])
    await session.close()
  })

  test('keys: equal ones are one row, whatever schema wrote them', async () => {
    const KEY = { type: 'record', name: 'Id', fields: [{ name: 'n', type: 'int' }] }
    const WIDE = {
      type: 'record',
      name: 'Id',
      fields: [
        { name: 'n', type: 'int' },
        { name: 'extra', type: 'int' },
      ],
    }
    const ids = [server.register('x', KEY), server.register('y', WIDE)]
    const key = schemas().avro<{ n: number }>(KEY)
    const counted = topology('counted', (t) => {
      t.stream('in', { key, value: string() }).groupByKey().count({ store: 'n' }).toStream().to('out', { key })
    })
    const session = new Session(counted, { partitions: 1 })
    await session.start()
    await session.pipe({ topic: 'in', key: wireBytes(ids[0] as number, KEY, { n: 1 }), value: Buffer.from('v') })
    await session.pipe({ topic: 'in', key: wireBytes(ids[1] as number, WIDE, { n: 1, extra: 2 }), value: Buffer.from('v') })
    await session.commit()
    const [first, second] = session.take()
    expect(first?.key).toEqual(second?.key)
    expect(storeReader(session.holder(), 'n').get({ n: 1 })).toBe(2)
    await session.close()
  })

  test('global tables wait too', async () => {
    const id = server.register('rows-value', OLD_ORDER)
    const [text, order] = [schemas().avro<string>('string'), schemas().avro<Order>(ORDER)]
    const looked = topology('looked', (t) => {
      const rows = t.globalTable('rows', { key: text, value: order, store: 'rows' })
      t.stream('in', { key: string(), value: string() })
        .join(
          rows,
          (value) => value,
          (_value, row) => row,
          { value: order },
        )
        .to('out', { value: order })
    })
    const session = new Session(looked, {})
    await session.start()
    expect([...server.subjects.keys()].sort()).toEqual(['out-value', 'rows-key', 'rows-value'])
    await session.pipe({
      topic: 'rows',
      key: Buffer.from(text.encode('r')),
      value: wireBytes(id, OLD_ORDER, { customer: 'c', cents: 4, gone: 1 }),
    })
    await session.pipe({ topic: 'in', key: Buffer.from('k'), value: Buffer.from('r') })
    await session.commit()
    expect(session.take().map(({ value }) => order.decode(value as Buffer))).toEqual([{ customer: 'c', cents: 4 }])
    await session.close()
  })
})

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

describe('in a processor on the embedded log', () => {
  let stateDir: string
  beforeEach(() => {
    stateDir = mkdtempSync(join(tmpdir(), 'millrace-registry-'))
  })
  afterEach(() => rmSync(stateDir, { recursive: true, force: true }))

  const sums = (schema: object = ORDER): Topology => {
    const order = schemas().avro<Order>(schema)
    return topology('sums', (t) => {
      t.stream('orders', { key: string(), value: order })
        .groupByKey()
        .reduce((a, b) => ({ ...b, cents: a.cents + b.cents }), { store: 'sums' })
        .toStream()
        .to('out', { key: string(), value: order })
    })
  }
  const lines = (records: readonly object[]) => records.map((it, i) => ({ number: i + 1, bytes: Buffer.from(JSON.stringify(it)) }))
  async function withControl<T>(made: Topology, use: (control: ReturnType<typeof recordsControl>) => Promise<T>): Promise<T> {
    const world = systemWorld()
    const log = await openLog(resolveConfig('sums', { stateDir }), world)
    try {
      return await use(recordsControl({ log, plan: planOf(made, 'sums'), world, createPartitions: 2 }))
    } finally {
      await log.close()
    }
  }
  async function append(records: readonly (readonly [topic: string, timestamp: number, key: string, value: Buffer])[]): Promise<void> {
    const log = await openLog(resolveConfig('sums', { stateDir }), systemWorld())
    const writer = log.writer({ transactionalId: 'p', guarantee: 'at_least_once' })
    await writer.init()
    for (const [topic, timestamp, key, value] of records) writer.append(topic, 0, timestamp, Buffer.from(key), value, [])
    writer.seal()
    await writer.flush()
    await writer.commit(null, '', [])
    await writer.close()
    await log.close()
  }
  const until = async (done: () => boolean): Promise<void> => {
    for (let i = 0; i < 500 && !done(); i++) await new Promise((resolve) => setTimeout(resolve, 10))
    expect(done()).toBe(true)
  }

  test('produce, run, query, consume; a later schema reads the rows of the former', { timeout: 30_000 }, async () => {
    const order = (key: string, cents: number) => ({ topic: 'orders', key, value: { customer: 'c', cents }, timestamp: 1 })
    await withControl(sums(), (control) => control.produce(lines([order('a', 1), order('b', 2), order('a', 3)])))
    {
      await using app = new StreamProcessor(sums(), { stateDir })
      await app.start()
      await until(() => app.status().records === 3)
      await until(() => app.store('sums').get('a') !== null)
      expect(app.store('sums').get('a')).toEqual({ customer: 'c', cents: 4 })
    }
    const later = { ...ORDER, fields: [...ORDER.fields, { name: 'note', type: 'string', default: '-' }] }
    {
      await using app = new StreamProcessor(sums(later), { stateDir })
      await app.start()
      // A caller that cannot wait is told to ask again.
      expect(() => app.store('sums').get('b')).toThrow(/schema \d+ has not come from the schema registry yet/)
      await until(() => {
        try {
          return app.store('sums').get('b').note === '-'
        } catch {
          return false
        }
      })
      const rows = await all(app.store('sums').all())
      expect(rows.map(([key, { cents, note }]) => [key, cents, note]).sort()).toEqual([
        ['a', 4, '-'],
        ['b', 2, '-'],
      ])
    }
    await withControl(sums(later), async (control) => {
      await control.produce(lines([{ ...order('b', 5), value: { customer: 'c', cents: 5, note: 'new' } }]))
    })
    {
      await using app = new StreamProcessor(sums(later), { stateDir })
      await app.start()
      await until(() => app.status().records === 1)
    }
    const shown = await withControl(sums(later), async (control) => {
      expect(await control.query('sums', 'b')).toEqual({ value: { customer: 'c', cents: 7, note: 'new' } })
      return (await all(control.consume('out', false, new AbortController().signal))).flat()
    })
    expect(shown.map((line) => JSON.parse(line).value)).toContainEqual({ customer: 'c', cents: 4, note: '-' })
    expect(shown).toHaveLength(4)
  })

  test('a start is refused for a schema that does not fit, and without a registry, in one line', { timeout: 30_000 }, async () => {
    server.register('out-value', { ...ORDER, fields: [{ name: 'customer', type: 'int' }] })
    await withControl(sums(), (control) => control.produce(lines([])))
    const reason = async (made: Topology): Promise<string> => {
      const app = new StreamProcessor(made, { stateDir })
      return explain(
        await app.start().then(
          () => app.close(),
          (error: unknown) => error,
        ),
      )
    }
    await withControl(sums(), (control) => control.produce(lines([{ topic: 'orders', key: 'a', value: { customer: 'c', cents: 1 } }])))
    expect(await reason(sums())).toMatch(/^the schema registry http.* refuses the schema of subject out-value, it is not compatible/)
    const gone = sums()
    await server.close()
    expect(await reason(gone)).toMatch(/^the schema registry http.* does not answer: start it, or mend its url/)
    server = await startRegistry()
  })

  test('the time of a record is asked for before it is chosen among the inputs', { timeout: 30_000 }, async () => {
    const id = server.register('x', OLD_ORDER)
    const options = { key: string(), value: schemas().avro<Order>(ORDER), timestamp: (o: Order | null) => o?.cents ?? 0 }
    const merged = topology('sums', (t) => {
      t.stream('a', options)
        .merge(t.stream('b', options))
        .filter((o) => o !== null)
        .to('out', { key: string(), value: options.value, partition: () => 0 })
    })
    await withControl(merged, (control) => control.produce(lines([{ topic: 'a', key: 'none', value: null }])))
    const value = (cents: number): Buffer => wireBytes(id, OLD_ORDER, { customer: 'c', cents, gone: 1 })
    await append([
      ['a', 10, 'first', value(1)],
      ['b', 1, 'second', value(2)],
    ])
    await using app = new StreamProcessor(merged, { stateDir })
    await app.start()
    await until(() => app.status().records === 3)
    expect(app.status().deadLetters).toBe(0)
    await app.close()
    const log = await openLog(resolveConfig('sums', { stateDir }), systemWorld())
    const reader = log.reader()
    reader.assign([0, 1].map((partition) => ({ topic: 'out', partition, offset: 0 })))
    const keys: string[] = []
    for (let i = 0; i < 50 && keys.length < 2; i++)
      for (const { records } of await reader.poll(10)) keys.push(...records.map(({ key }) => String(key)))
    await reader.close()
    await log.close()
    expect(keys).toEqual(['first', 'second'])
  })

  test('a registry that goes away while it is needed is waited for', { timeout: 30_000 }, async () => {
    const old = server.register('orders-value', OLD_ORDER)
    const made = sums()
    await withControl(
      made,
      async (control) => await control.produce(lines([{ topic: 'orders', key: 'a', value: { customer: 'c', cents: 1 } }])),
    )
    await append([['orders', 1, 'z', wireBytes(old, OLD_ORDER, { customer: 'c', cents: 9, gone: 0 })]])
    server.fail('/schemas/', 6) // three tries a time
    await using app = new StreamProcessor(made, { stateDir })
    await app.start()
    await until(() => app.status().records === 2)
    expect(app.status().rewinds).toBe(2)
    expect(app.status().deadLetters).toBe(0)
  })
})

test('millrace try, as a process', { timeout: 30_000 }, async () => {
  const place = scratch()
  try {
    const file = place.write(
      'piece.ts',
      `import { registry, string, topology } from 'millrace'
const schemas = registry({ url: process.env.REGISTRY ?? '', auth: { username: 'orders', password: process.env.PASSWORD ?? '' } })
const order = schemas.avro<{ customer: string; cents: number }>(${JSON.stringify(ORDER)})
export default topology('piece', (t) => {
  t.stream('in', { key: string(), value: order }).filter((o) => o.cents > 1).to('out', { value: order })
})
`,
    )
    const input = [1, 2].map((cents) => JSON.stringify({ topic: 'in', key: 'k', value: { customer: 'c', cents } })).join('\n')
    const ended = await millrace(['try', file], { input, env: { REGISTRY: server.url, PASSWORD: 'secret' } })
    expect(ended).toEqual({
      status: 0,
      signal: null,
      err: '',
      out: '{"topic":"out","key":"k","value":{"customer":"c","cents":2},"timestamp":0}\n',
    })
    const denied = await millrace(['try', file], { input, env: { REGISTRY: server.url, PASSWORD: 'canary-1b9' } })
    expect([denied.status, denied.out]).toEqual([1, ''])
    expect(denied.err).toMatch(/^millrace: the schema registry http.* does not accept the credentials \(subject \S+\): mend auth\n$/)
  } finally {
    place.remove()
  }
})
