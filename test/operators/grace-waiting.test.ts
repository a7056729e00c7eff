// Records that wait for a grace before they meet their row: what becomes of one that can't go on then.
import { beforeEach, expect, test } from 'vitest'
import { json, string, topology } from '../../src/index.ts'
import type { Stream } from '../../src/index.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'

const EVENTS = { key: string(), value: json<string>() }

/** What the join was given. */
const read = new Set<string>()
beforeEach(() => read.clear())

/** The joiner throws for what is bad. */
const joining = (below: (joined: Stream<string, string>) => void) =>
  topology('waits', (t) => {
    const rows = t.table('rows', { ...EVENTS, versioned: '1h', store: 'rows' })
    const events = t.stream('in', EVENTS).peek((value) => void read.add(value))
    const joiner = (value: string, row: string | null | undefined): string => {
      if (value === 'bad') throw new Error('boom')
      return `${value} ${row ?? '-'}`
    }
    below(events.leftJoin(rows, joiner, { grace: '10ms', value: json<string>() }) as Stream<string, string>)
  })

async function letters(driver: TopologyTestDriver): Promise<unknown[]> {
  await driver.commit()
  return driver
    .output<string, string>('waits-dead-letter')
    .readAll()
    .map(({ key, value, timestamp, headers }) => [
      key,
      JSON.parse(value ?? ''),
      timestamp,
      headers['__streams.errors.offset'],
      headers.from,
    ])
}

const BATCH = [
  { key: 'a', value: 'good', timestamp: 0 },
  { key: 'a', value: 'bad', timestamp: 0, headers: { from: 'far' } },
  { key: 'a', value: 'better', timestamp: 0 },
  { key: 'b', value: 'next', timestamp: 20 },
  { key: 'c', value: 'last', timestamp: 40 },
]

test('it is given up, as it was read, and takes no other with it', async () => {
  await using driver = new TopologyTestDriver(joining((joined) => joined.to('out', EVENTS)))
  for (const record of BATCH) {
    await driver.input('in').pipe(record)
    await driver.commit()
    await driver.crash()
  }
  const out = driver.output<string, string>('out').readAll()
  expect(out.map(({ key, value, timestamp }) => [key, value, timestamp])).toEqual([
    ['a', 'good -', 0],
    ['a', 'better -', 0],
    ['b', 'next -', 20],
  ])
  expect(await letters(driver)).toEqual([['a', 'bad', 0, '1', 'far']])
})

test('further down too it is the record that it was', async () => {
  await using driver = new TopologyTestDriver(
    joining((joined) =>
      joined
        .mapAsync(
          async (value) => {
            if (value === 'better -') throw new Error('boom')
            return value
          },
          { store: 'calls', onError: 'deadLetter', value: json<string>() },
        )
        .to('out', EVENTS),
    ),
  )
  for (const record of BATCH) await driver.input('in').pipe(record)
  expect(await letters(driver)).toEqual([
    ['a', 'bad', 0, '1', 'far'],
    ['a', 'better', 0, '2', undefined],
  ])
})

test('where there is no room for it, the input waits too', async () => {
  const answers: (() => void)[] = []
  await using driver = new TopologyTestDriver(
    joining((joined) =>
      joined
        .mapAsync((value) => new Promise<string>((resolve) => answers.push(() => resolve(value))), {
          store: 'calls',
          maxRecords: 1,
          value: json<string>(),
        })
        .to('out', EVENTS),
    ),
  )
  await driver.input('in').pipe(Array.from({ length: 9 }, (_, i) => ({ key: 'a', value: `${i}`, timestamp: i * 20 })))
  await driver.commit()
  expect([...read]).toEqual(['0', '1', '2', '3'])
  const out: unknown[] = []
  while (answers.length > 0) {
    answers.shift()?.()
    await driver.settle()
    out.push(
      ...driver
        .output<string, string>('out')
        .readAll()
        .map(({ value }) => value),
    )
  }
  expect(out).toEqual([0, 1, 2, 3, 4, 5, 6, 7].map((i) => `${i} -`))
})

test('thousands of one key and one time go out in the order of arrival, one at a time', { timeout: 60_000 }, async () => {
  await using driver = new TopologyTestDriver(joining((joined) => joined.to('out', EVENTS)))
  const values = Array.from({ length: 2_000 }, (_, i) => `${i}`.padStart(100, ' '))
  for (const value of values) await driver.input('in').pipe({ key: 'a', value, timestamp: 0 })
  await driver.input('in').pipe({ key: 'b', value: 'due', timestamp: 20 })
  const out = driver.output<string, string>('out').readAll()
  expect(out.map(({ value }) => value)).toEqual(values.map((value) => `${value} -`))
})
