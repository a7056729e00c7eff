// holdUntil, case by case: what a record may depend on, what becomes of it, what is said of it, and what a versioned table below it shows.
import { expect, test } from 'vitest'
import { type Dependency, type HoldUntilOptions, json, string, topology } from '../../src/index.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'
import { describe as described } from '../../src/topology/describe.ts'
import { plan } from '../../src/topology/plan.ts'
import { shown } from '../support/shown.ts'

const TEXT = { key: string(), value: string() }
interface Event {
  readonly version: number
  readonly gone?: boolean
}
const EVENT = { key: string(), value: json<Event>() }

const holding = (dependencies: (value: string, key: string) => Iterable<Dependency>, options: Partial<HoldUntilOptions> = {}) =>
  topology('t', (t) => {
    t.stream('versioned', EVENT).lastWriteWins({ store: 'versioned', version: (e) => e.version, deleted: (e) => e.gone === true })
    t.table('plain', { ...TEXT, store: 'plain' })
    t.stream('in', TEXT)
      .holdUntil(dependencies, { buffer: { timeout: '1m' }, store: 'held', ...options })
      .to('out', TEXT)
  })

const told = (driver: TopologyTestDriver) =>
  driver
    .output('t-dead-letter')
    .readAll()
    .map(({ value, headers }) => `${value}: ${headers['__streams.errors.message']}`)

test('what a record may not depend on is said in its dead letter', async () => {
  const dependencies: Readonly<Record<string, unknown>> = {
    other: [{ table: 'other', key: 'x' }],
    version: [{ table: 'plain', key: 'x', version: 1 }],
    nokey: [{ table: 'plain', key: null }],
    nan: [{ table: 'versioned', key: 'x', version: Number.NaN }],
    nothing: undefined,
    text: ['plain'],
  }
  await using driver = new TopologyTestDriver(holding((value) => dependencies[value] as Dependency[]))
  for (const value of Object.keys(dependencies)) await driver.input('in').pipe({ key: 'a', value })
  const prefix = 'the callback of held threw'
  expect(told(driver).map((text) => text.replace(`${prefix}: `, ''))).toEqual([
    'other: held: a record depends on the table "other", which is not among its tables (versioned, plain)',
    'version: held: a dependency names a version of "plain", which is not made by lastWriteWins',
    'nokey: held: a record depends on a row of "plain" without a key',
    'nan: held: the version of a dependency on "versioned" is a number; it must be a number, a bigint or a string',
    'nothing: held: the dependencies are undefined; give an array of {table, key}',
    'text: held: a dependency is a string; give {table, key}',
  ])
})

test('a bundle waits for all its products, whichever comes last; versions count', async () => {
  await using driver = new TopologyTestDriver(
    holding((value) => [
      { table: 'plain', key: value },
      { table: 'versioned', key: 'v', version: 3 },
      { table: 'versioned', key: 'v', version: 2 },
    ]),
    { partitions: 4 },
  )
  await driver.input('in').pipe({ key: 'a', value: 'x', timestamp: 7, headers: { trace: '1' } })
  await driver.input('versioned').pipe({ key: 'v', value: { version: 2 }, timestamp: 900_000 })
  await driver.input('plain').pipe({ key: 'x', value: 'row', timestamp: 900_000 })
  expect(shown(driver)).toEqual([])
  await driver.input('versioned').pipe({ key: 'v', value: { version: 4 }, timestamp: 900_000 })
  await driver.commit()
  const [only] = driver.output('out').readAll()
  // Rows do not move its stream time, and it goes as it came.
  expect([only?.value, only?.timestamp, { ...only?.headers }]).toEqual(['x', 7, { trace: '1' }])
})

test('a row that is deleted while another is waited for does not count any more', async () => {
  await using driver = new TopologyTestDriver(holding((value) => value.split('').map((key) => ({ table: 'plain', key }))))
  const rows = driver.input('plain')
  await driver.input('in').pipe({ key: 'a', value: 'xy' })
  await rows.pipe({ key: 'x', value: '1' })
  await rows.pipe({ key: 'x', value: null })
  await driver.crash()
  await rows.pipe({ key: 'y', value: '1' })
  expect(shown(driver)).toEqual([])
  await rows.pipe({ key: 'x', value: '2' })
  expect(shown(driver)).toEqual(['a:xy'])
})

test('onTimeout, onFull, and what is said of what is missing', async () => {
  const needs = (value: string) => value.split('').map((key) => ({ table: 'plain', key }))
  await using emits = new TopologyTestDriver(holding(needs, { buffer: { timeout: '1m', onTimeout: 'emit' } }))
  await emits.input('in').pipe(['x', ''].map((value) => ({ key: 'a', value })))
  await emits.advance('1m')
  expect(shown(emits)).toEqual(['a:x', 'a:'])
  await using drops = new TopologyTestDriver(holding(needs, { buffer: { timeout: '1m', onTimeout: 'drop' } }))
  await drops.input('in').pipe({ key: 'a', value: 'x' })
  await drops.advance('1m')
  expect([shown(drops), drops.counters('held').get('expired')]).toEqual([[], 1])
  await using expires = new TopologyTestDriver(holding(needs, { buffer: { timeout: '1m', maxRecords: 1, onFull: 'expireOldest' } }))
  await expires.input('plain').pipe({ key: 'y', value: '1' })
  await expires.input('in').pipe(['x', 'y', 'z'].map((value) => ({ key: value, value })))
  await expires.commit()
  expect([shown(expires), told(expires)]).toEqual([
    ['y:y'],
    [
      'x: held: what the record depends on was not there within 60000 ms (missing: rows of plain); it was the oldest, and there was no room for more',
    ],
  ])
  const fails = new TopologyTestDriver(holding(needs, { buffer: { timeout: '1m', maxRecords: 1, onFull: 'fail' } }))
  await fails.input('plain').pipe({ key: 'y', value: '1' })
  await fails.input('in').pipe(['x', 'y'].map((value) => ({ key: value, value })))
  await expect(fails.input('in').pipe({ key: 'z', value: 'z' })).rejects.toMatchObject({ code: 'STREAM_BUFFER_FULL' })
})

test('what was superseded or deleted while it was held does not come back to life below', async () => {
  interface Order extends Event {
    readonly product: string | null
  }
  const ORDER = { key: string(), value: json<Order>() }
  const program = topology('t', (t) => {
    const plain = t.table('plain', { ...TEXT, store: 'plain' })
    t.stream('orders', ORDER)
      .holdUntil(({ product }) => (product === null ? [] : [{ table: plain, key: product }]), { store: 'held', buffer: { timeout: '1h' } })
      .lastWriteWins({ store: 'orders', version: (order) => order.version, deleted: (order) => order.gone === true })
      .toStream()
      .to('table', ORDER)
    t.stream('texts', TEXT)
      .holdUntil((value) => [{ table: plain, key: value }], { store: 'texts-held', buffer: { timeout: '1h' }, tables: [plain] })
      .toTable({ store: 'texts' })
  })
  await using driver = new TopologyTestDriver(program, { partitions: 2 })
  const orders = driver.input('orders')
  await orders.pipe([
    { key: 'changed', value: { version: 1, product: 'x' } },
    { key: 'changed', value: { version: 2, product: null } },
    { key: 'deleted', value: { version: 1, product: 'x' } },
    { key: 'deleted', value: { version: 2, product: null, gone: true } },
    { key: 'late', value: { version: 2, product: 'x' } },
    { key: 'late', value: { version: 1, product: null } },
  ])
  await driver.input('texts').pipe([
    { key: 'a', value: 'x' },
    { key: 'a', value: null },
  ])
  expect(['changed', 'deleted', 'late'].map((key) => driver.store('orders').get(key))).toEqual([null, null, null])
  await driver.crash()
  await driver.input('plain').pipe({ key: 'x', value: 'row' })
  expect(driver.store('orders').get('changed')).toEqual({ version: 2, product: null })
  expect(driver.store('orders').get('deleted')).toBe(null)
  expect(driver.store('orders').get('late')).toEqual({ version: 2, product: 'x' })
  expect(driver.store('texts').get('a')).toBe(null)
  // The older version of a key that was deleted meanwhile: order below, as everywhere, is by version.
  await orders.pipe({ key: 'deleted', value: { version: 1, product: 'x' } })
  expect(driver.store('orders').get('deleted')).toBe(null)
})

test('tables without a store may be named; a changed key is repartitioned', async () => {
  const program = topology('t', (t) => {
    const active = t.table('plain', { ...TEXT, store: 'plain' }).filter((value) => value === 'on')
    t.stream('in', TEXT)
      .selectKey((value) => value, { key: string() })
      .holdUntil((value) => [{ table: active, key: value }], { buffer: { timeout: '1m' }, tables: [active], store: 'held' })
      .groupByKey()
      .count({ store: 'n' })
  })
  await using driver = new TopologyTestDriver(program, { partitions: 3 })
  for (const key of ['a', 'b', 'c', 'd']) await driver.input('in').pipe({ key, value: 'same' })
  await driver.input('plain').pipe({ key: 'same', value: 'off' })
  expect(driver.store('n').get('same')).toBe(null)
  await driver.input('plain').pipe({ key: 'same', value: 'on' })
  expect(driver.store('n').get('same')).toBe(4)
})

test('a question ends with the last record that depends on it: rows that nobody waits for cost nothing', async () => {
  await using driver = new TopologyTestDriver(holding((value) => [{ table: 'plain', key: value }]))
  await driver.input('in').pipe(['x', 'x', 'y'].map((value, i) => ({ key: `k${i}`, value })))
  await driver.input('plain').pipe({ key: 'x', value: '1' })
  await driver.advance('1m')
  expect([shown(driver), told(driver).length]).toEqual([['k0:x', 'k1:x'], 1])
  const heard = driver.counters('held').get('stale_answers')
  await driver.input('plain').pipe(['x', 'y'].map((key) => ({ key, value: '2' })))
  expect(driver.counters('held').get('stale_answers')).toBe(heard)
})

test('describe shows both sides and the topics between them', () => {
  const text = described(
    plan(
      holding(() => [], { tables: ['plain'] }),
      't',
    ),
    'text',
  )
  for (const part of [
    'holdUntil',
    'holdUntil, the side of plain',
    't-held-plain-questions-repartition',
    't-held-plain-answers-repartition',
  ])
    expect(text).toContain(part)
  expect(text).not.toContain('the side of versioned')
})
