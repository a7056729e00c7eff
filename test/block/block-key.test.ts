// `blockKey`: behind a dead letter the later records of its key wait, until it is replayed or dropped. Case by case, in process.
import { json, string, topology } from 'millrace'
import { TopologyTestDriver } from 'millrace/testing'
import { beforeEach, describe, expect, test } from 'vitest'

interface Event {
  readonly n: number
  readonly bad?: boolean
}

let mended: boolean
beforeEach(() => {
  mended = false
})

const events = topology('events', (t) => {
  t.stream('in', { key: string(), value: json<Event>((value) => typeof (value as Event).n === 'number') })
    .peek(({ bad }) => {
      if (bad === true && !mended) throw new Error('bad')
    })
    .to('out', { key: string(), value: json<Event>() })
})
const onError = { blockKey: true }
const counted = (driver: TopologyTestDriver): object => Object.fromEntries(driver.counters('in-blocked'))
const numbers = (driver: TopologyTestDriver): string =>
  driver
    .output<string, Event>('out')
    .readAll()
    .map(({ key, value }) => `${key}${value?.n}`)
    .join(' ')

test('a replay runs the dead letter where it stood, then what came after it; other keys go on', async () => {
  await using driver = new TopologyTestDriver(events, { onError })
  const input = driver.input<string, Event>('in')
  await input.pipe([
    { key: 'a', value: { n: 1 } },
    { key: 'a', value: { n: 2, bad: true } },
    { key: 'a', value: { n: 3 } },
    { key: 'b', value: { n: 4 } },
    { key: 'a', value: { n: 5 } },
  ])
  expect(numbers(driver)).toBe('a1 b4')
  expect(counted(driver)).toMatchObject({ parked: 2, blocked_keys: 1 })
  await driver.crash()
  mended = true
  expect(await driver.replayDeadLetters()).toBe(1)
  await input.pipe({ key: 'a', value: { n: 6 } })
  expect(numbers(driver)).toBe('a2 a3 a5 a6')
  expect(counted(driver)).toMatchObject({ parked: 0, blocked_keys: 0 })
})

test('dropped: what came after it goes on', async () => {
  await using driver = new TopologyTestDriver(events, { onError })
  await driver.input<string, Event>('in').pipe([1, 2, 3].map((n) => ({ key: 'a', value: { n, bad: n === 1 } })))
  expect(numbers(driver)).toBe('')
  await driver.commit()
  expect(await driver.dropDeadLetters()).toBe(1)
  expect(numbers(driver)).toBe('a2 a3')
  expect(await driver.dropDeadLetters()).toBe(0)
})

test('a replay that fails again keeps its place, and its key waiting', async () => {
  await using driver = new TopologyTestDriver(events, { onError })
  await driver.input<string, Event>('in').pipe([1, 2, 3].map((n) => ({ key: 'a', value: { n, bad: n === 1 } })))
  expect(await driver.replayDeadLetters()).toBe(1)
  expect(numbers(driver)).toBe('')
  expect(driver.output('events-dead-letter').readAll()).toHaveLength(2)
  await driver.crash()
  mended = true
  expect(await driver.replayDeadLetters()).toBe(1)
  expect(numbers(driver)).toBe('a1 a2 a3')
})

test('what cannot be decoded, and what fails among those that wait, stands in its own place', async () => {
  await using driver = new TopologyTestDriver(events, { onError })
  const values = [{ n: 1, bad: true }, { n: 2 }, { word: 'no number' }, { n: 4, bad: true }, { n: 5 }] as Event[]
  await driver.input<string, Event>('in').pipe(values.map((value) => ({ key: 'a', value })))
  const letters = driver.output('events-dead-letter')
  expect(letters.readAll().map(({ headers }) => headers['__streams.errors.offset'])).toEqual(['0', '2'])
  // The later letter is dropped first: nothing goes for it yet.
  expect(await driver.dropDeadLetters(({ headers }) => headers['__streams.errors.offset'] === '2')).toBe(1)
  expect(numbers(driver)).toBe('')
  expect(await driver.dropDeadLetters()).toBe(1)
  expect(numbers(driver)).toBe('a2')
  expect(letters.readAll().map(({ headers }) => headers['__streams.errors.offset'])).toEqual(['3'])
  mended = true
  expect(await driver.replayDeadLetters()).toBe(1)
  expect(numbers(driver)).toBe('a4 a5')
})

test('as many wait as may: then the input does, and letters get through all the same', async () => {
  await using driver = new TopologyTestDriver(events, { onError: { blockKey: { maxRecords: 2 } } })
  const input = driver.input<string, Event>('in')
  await input.pipe([1, 2, 3, 4, 5].map((n) => ({ key: 'a', value: { n, bad: n === 1 } })))
  await input.pipe({ key: 'b', value: { n: 6 } })
  expect(numbers(driver)).toBe('')
  expect(counted(driver)).toMatchObject({ parked: 2 })
  await driver.crash()
  mended = true
  await driver.replayDeadLetters()
  expect(numbers(driver)).toBe('a1 a2 a3 a4 a5 b6')
})

test('a record without a key keeps nobody waiting, and neither does one that is skipped', async () => {
  await using driver = new TopologyTestDriver(events, { onError })
  await driver.input('in').pipe([
    { key: null, value: { n: 1, bad: true } },
    { key: null, value: { n: 2 } },
  ])
  expect(numbers(driver)).toBe('null2')
  mended = true
  await driver.replayDeadLetters()
  expect(numbers(driver)).toBe('null1')
  mended = false
  await using skipping = new TopologyTestDriver(events, { onError: { callback: 'skip', blockKey: true } })
  await skipping.input('in').pipe([
    { key: 'a', value: { n: 1, bad: true } },
    { key: 'a', value: { n: 2 } },
  ])
  expect(numbers(skipping)).toBe('a2')
})

describe('further down', () => {
  const sums = topology('sums', (t) => {
    t.stream('in', { key: string(), value: json<Event>() })
      .groupBy(({ n }) => (n % 2 === 0 ? 'even' : 'odd'), { key: string() })
      .aggregate(
        () => '',
        (sum, { n, bad }) => {
          if (bad === true && !mended) throw new Error('bad')
          return `${sum}${n}`
        },
        { store: 'sums', value: string() },
      )
      .toStream()
      .to('out', { key: string(), value: string() })
  })

  test('behind a repartition topic it is the new key that waits', async () => {
    await using driver = new TopologyTestDriver(sums, { onError, partitions: 3 })
    const input = driver.input<string, Event>('in')
    await input.pipe([1, 2, 3, 4, 5].map((n) => ({ key: 'a', value: { n, bad: n === 1 } })))
    expect(driver.output('out').readTable()).toEqual(new Map([['even', '24']]))
    await driver.crash()
    mended = true
    expect(await driver.replayDeadLetters()).toBe(1)
    expect(driver.output('out').readTable()).toEqual(
      new Map([
        ['even', '24'],
        ['odd', '135'],
      ]),
    )
  })

  const calls = topology('calls', (t) => {
    t.stream('in', { key: string(), value: json<Event>() })
      .mapAsync(
        (value) => {
          if (value.bad === true && !mended) throw new Error('bad')
          return value.n
        },
        { store: 'calls', value: json<number>() },
      )
      .to('out', { key: string(), value: json<number>() })
  })

  test('a call that fails for good keeps the later records of its key out', async () => {
    await using driver = new TopologyTestDriver(calls, { onError })
    const out = driver.output<string, number>('out')
    await driver.input<string, Event>('in').pipe([1, 2].map((n) => ({ key: 'a', value: { n, bad: n === 1 } })))
    await driver.settle()
    expect(out.readAll()).toEqual([])
    mended = true
    await driver.replayDeadLetters()
    await driver.settle()
    expect(out.readAll().map(({ value }) => value)).toEqual([1, 2])
  })
})

test('one that has no time any more when it comes back falls under the policy of its source', async () => {
  const program = topology('dated', (t) => {
    const timestamp = ({ n }: Event): number => (mended && n === 1 ? Number.NaN : n)
    t.stream('in', { key: string(), value: json<Event>(), timestamp: (value) => timestamp(value as Event), onError: 'skip' })
      .peek(({ n }) => {
        if (n === 1) throw new Error('bad')
      })
      .to('out', { key: string(), value: json<Event>() })
  })
  await using driver = new TopologyTestDriver(program, { onError })
  await driver.input<string, Event>('in').pipe([1, 2].map((n) => ({ key: 'a', value: { n } })))
  await driver.commit()
  mended = true
  expect(await driver.replayDeadLetters()).toBe(1)
  expect(numbers(driver)).toBe('a2')
  expect(counted(driver)).toMatchObject({ parked: 0, blocked_keys: 0 })
})
