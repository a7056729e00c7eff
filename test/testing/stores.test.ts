// Stores in a driver: each way of reading that a running processor has, of what is committed and of what is not yet.
import { int32, json, keyValue, session, string, topology, tumbling, versioned } from 'millrace'
import { TopologyTestDriver } from 'millrace/testing'
import { expect, test } from 'vitest'

const clicks = { key: string(), value: int32() }
const made = topology('made', (t) => {
  const stream = t.stream('clicks', clicks)
  stream.groupByKey().reduce((a, b) => a + b, { store: 'sums' })
  stream
    .groupByKey()
    .windowedBy(tumbling(10, { grace: 1000 }))
    .count({ store: 'minutes' })
  stream
    .groupByKey()
    .windowedBy(session(5, { grace: 1000 }))
    .count({ store: 'visits' })
  t.table('prices', { ...clicks, store: 'prices', versioned: '1m' })
  t.globalTable('names', { key: string(), value: string(), store: 'names' })
  const last = t.store(keyValue({ name: 'last', ...clicks }))
  const noted = t.store(versioned({ name: 'noted', ...clicks, retention: '1m' }))
  stream.process<string, number>(
    (context) => ({
      process({ key, value, timestamp }) {
        context.store(last).put(key, value)
        context.store(noted).put(key, value, timestamp)
      },
    }),
    { stores: [last, noted], key: string(), value: json<number>() },
  )
})

async function all<T>(rows: AsyncIterable<T>): Promise<T[]> {
  const read: T[] = []
  for await (const row of rows) read.push(row)
  return read
}

test.each([1, 3])('rows, ranges, windows, sessions and versions, over %i partitions', async (partitions) => {
  await using driver = new TopologyTestDriver(made, { partitions })
  const pipe = (key: string, value: number, timestamp: number) => driver.input('clicks').pipe({ key, value, timestamp })
  await pipe('b', 1, 0)
  await pipe('a', 2, 3)
  await driver.commit()
  await pipe('c', 3, 12)
  await pipe('a', 4, 14)
  const look = async () => {
    const sums = driver.store<string, number>('sums')
    expect(sums.get('a')).toBe(6)
    expect(await sums.read('a')).toBe(6)
    expect(sums.get('nobody')).toBeNull()
    expect(await all(sums.all())).toEqual([
      ['a', 6],
      ['b', 1],
      ['c', 3],
    ])
    expect(await all(sums.range('b', null, { reverse: true }))).toEqual([
      ['c', 3],
      ['b', 1],
    ])
    expect(await all(sums.prefix('b'))).toEqual([['b', 1]])
    expect(driver.store<string, number>('last').get('a')).toBe(4)
    const minutes = driver.windowStore<string, number>('minutes')
    expect(minutes.fetch('a', 0)).toBe(1)
    expect(await all(minutes.fetch('a', 0, 20))).toEqual([
      [0, 1],
      [10, 1],
    ])
    expect(await all(minutes.fetchAll(10, 10))).toEqual([
      [{ key: 'a', start: 10, end: 20 }, 1],
      [{ key: 'c', start: 10, end: 20 }, 1],
    ])
    const visits = driver.sessionStore<string, number>('visits')
    expect(await all(visits.fetch('a'))).toEqual([
      [{ key: 'a', start: 3, end: 3 }, 1],
      [{ key: 'a', start: 14, end: 14 }, 1],
    ])
    expect(visits.get({ key: 'c', start: 12, end: 12 })).toBe(1)
    const noted = driver.versionedStore<string, number>('noted')
    expect(await noted.get('a')).toEqual({ value: 4, timestamp: 14 })
    expect(await noted.get('a', 13)).toEqual({ value: 2, timestamp: 3 })
    expect(await noted.versions('a', 0, 20)).toEqual([
      { value: 4, timestamp: 14 },
      { value: 2, timestamp: 3 },
    ])
  }
  await look()
  await driver.crash()
  await look()
  await driver.commit()
  await look()
})

test('a versioned table, a global table, and what is no store', async () => {
  await using driver = new TopologyTestDriver(made)
  await driver.input('prices').pipe([
    { key: 'a', value: 1, timestamp: 10 },
    { key: 'a', value: 2, timestamp: 20 },
  ])
  await driver.input('names').pipe([
    { key: 'a', value: 'Ada' },
    { key: 'b', value: 'Bob' },
  ])
  expect(driver.store('prices').get('a')).toBe(2)
  expect(await driver.versionedStore('prices').get('a', 15)).toEqual({ value: 1, timestamp: 10 })
  expect(driver.store('names').get('b')).toBe('Bob')
  expect(await all(driver.store('names').all())).toEqual([
    ['a', 'Ada'],
    ['b', 'Bob'],
  ])
  expect(() => driver.store('nothing')).toThrow(/no store nothing in made; it has /)
  expect(() => driver.windowStore('visits')).toThrow(/store visits holds no windows; read it by sessionStore\('visits'\)/)
})
