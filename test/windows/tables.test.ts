// What hangs below windows: groups and joins of windowed tables, suppressed ones among them, queries by windowed key, late records,
// partitions of windowed keys.
import { describe, expect, test } from 'vitest'
import { json, type LateRecord, session, sliding, string, topology, tumbling, type Windowed } from '../../src/index.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'
import { plan } from '../../src/topology/plan.ts'

const text = { key: string(), value: string() }
const event = (key: string, timestamp: number, value = 'x') => ({ key, value, timestamp })

describe('a group of a windowed table', () => {
  test('is told of old values: the sum over all windows stays right', async () => {
    await using driver = new TopologyTestDriver(
      topology('sum', (t) => {
        const sum = { key: string(), value: json<number>() }
        const add = (a: number, b: number): number => a + b
        const subtract = (a: number, b: number): number => a - b
        const grouped = t.stream('in', text).groupByKey()
        const windows = grouped.windowedBy(tumbling(10, { grace: 100 })).count({ store: 'windows' })
        windows.groupBy((n, { key }) => [key, n], sum).reduce(add, subtract, { store: 'all' })
        const sessions = grouped.windowedBy(session(5, { grace: 100 })).count({ store: 'sessions' })
        sessions.groupBy((n, { key }) => [key, n], sum).reduce(add, subtract, { store: 'allSessions' })
        windows
          .suppress({ for: 7, store: 'some' })
          .groupBy((n, { key }) => [key, n], sum)
          .reduce(add, subtract, { store: 'suppressed' })
      }),
      { partitions: 2 },
    )
    const input = driver.input('in')
    const times = [1, 1, 3, 12, 4, 30, 7, 25, 30, 50, 9]
    for (const [i, time] of times.entries()) {
      await input.pipe(event('a', time))
      if (i % 3 === 0) await driver.commit()
      else if (i % 3 === 1) await driver.crash()
      expect(driver.store('all').get('a')).toBe(i + 1)
      expect(driver.store('allSessions').get('a')).toBe(i + 1)
    }
    await input.pipe(event('b', 500))
    await input.pipe(event('c', 500)) // the other partition
    expect(driver.store('suppressed').get('a')).toBe(times.length)
  })
})

describe('joins of windowed tables', () => {
  test('by windowed key, and with one that is suppressed: its row is what it let go last', async () => {
    await using driver = new TopologyTestDriver(
      topology('join', (t) => {
        const left = t.stream('in', text).groupByKey().windowedBy(tumbling(10)).count({ store: 'left' })
        const right = t
          .stream('other', text)
          .groupByKey()
          .windowedBy(tumbling(10))
          .reduce((a, b) => a + b, { store: 'right' })
        left
          .join(right, (n, all) => `${n}${all}`)
          .toStream()
          .to('out')
        left
          .leftJoin(right.suppress({ for: 5, store: 'held' }), (n, all) => `${n}${all ?? '-'}`)
          .toStream()
          .to('held')
      }),
    )
    await driver.input('in').pipe(event('a', 1))
    await driver.input('other').pipe([event('a', 2, 'p'), event('a', 3, 'q')])
    await driver.input('in').pipe(event('a', 4))
    await driver.input('other').pipe(event('b', 9, 'z'))
    await driver.input('in').pipe(event('a', 5))
    const key = { key: 'a', start: 0, end: 10 }
    const read = (topic: string): unknown[] =>
      driver
        .output(topic)
        .readAll()
        .map((each) => [each.key, each.value, each.timestamp])
    expect(read('out')).toEqual([
      [key, '1p', 2],
      [key, '1pq', 3],
      [key, '2pq', 4],
      [key, '3pq', 5],
    ])
    expect(read('held')).toEqual([
      [key, '1-', 1],
      [key, '2-', 4],
      [key, '2pq', 4],
      [key, '3pq', 5],
    ])
  })
})

describe('late records', () => {
  test('are counted and told, window by window, and change nothing', async () => {
    const late: [unknown, unknown, LateRecord][] = []
    await using driver = new TopologyTestDriver(
      topology('late', (t) => {
        t.stream('in', text)
          .groupByKey()
          .windowedBy(tumbling(10, { grace: 5 }), { onLate: (value, key, where) => late.push([value, key, where]) })
          .count({ store: 'counts' })
      }),
    )
    await driver.input('in').pipe([event('a', 1), event('b', 20), event('a', 3, 'y'), event('a', 15)])
    expect(late).toEqual([['y', 'a', { start: 0, end: 10, timestamp: 3, streamTime: 20 }]])
    expect(driver.counters('counts').get('late')).toBe(1)
    expect(driver.store('counts').get({ key: 'a', start: 10, end: 20 })).toBe(1)
  })
})

describe('late records go to a topic', () => {
  test('of sliding windows, with their headers, beside onLate; other children hear nothing of them', async () => {
    const late: unknown[] = []
    await using driver = new TopologyTestDriver(
      topology('late', (t) => {
        t.stream('in', text)
          .groupByKey()
          .windowedBy(sliding(5, { grace: 2 }), { lateTo: 'late', onLate: (value) => late.push(value) })
          .count({ store: 'counts' })
          .toStream()
          .to('out')
      }),
    )
    await driver.input('in').pipe([event('a', 1), event('a', 20), { key: 'a', value: 'y', timestamp: 2, headers: { from: 'far' } }])
    expect(driver.output('late').readAll()).toEqual([{ key: 'a', value: 'y', timestamp: 2, headers: { from: 'far' }, partition: 0 }])
    expect(late).toEqual(['y'])
    expect(
      driver
        .output('out')
        .readAll()
        .every(({ value }) => value === 1),
    ).toBe(true)
  })

  test('to a topic with their values, from behind the repartition topic of a count too', async () => {
    await using driver = new TopologyTestDriver(
      topology('late', (t) => {
        t.stream('in', text)
          .groupBy((value) => value.slice(0, 1), { key: string() })
          .windowedBy(tumbling(5), { lateTo: 'late' })
          .count({ store: 'counts' })
      }),
    )
    await driver.input('in').pipe([event('k', 1, 'a1'), event('k', 20, 'a2'), event('k', 2, 'a3')])
    expect(driver.output('late').readAll()).toMatchObject([{ key: 'a', value: 'a3', timestamp: 2 }])
  })

  test('is refused where the topic is read, has no name, or would take values of two serdes', () => {
    const windowed = (lateTo: string) =>
      topology('late', (t) => void t.stream('in', text).groupByKey().windowedBy(tumbling(5), { lateTo }).count())
    expect(() => windowed('in')).toThrow(/"late-1" writes the topic "in" that "source-1" reads, an endless loop/)
    expect(() => windowed('a b')).toThrow(/^windowedBy: topic name "a b" is not allowed/)
    expect(() =>
      topology('late', (t) => {
        const one = t.stream('one', text).groupByKey()
        const two = t.stream('two', { key: string(), value: json<number>() }).groupByKey()
        one
          .cogroup<string>((state) => state)
          .cogroup(two, (state) => state)
          .windowedBy(tumbling(5), { lateTo: 'late' })
          .aggregate(() => '')
      }),
    ).toThrow(/^windowedBy: lateTo "late" would take values of several serdes/)
  })

  test('is an output of the topology', () => {
    const made = plan(
      topology('late', (t) => void t.stream('in', text).groupByKey().windowedBy(tumbling(5), { lateTo: 'late' }).count()),
      'app',
    )
    expect(made.outputs).toEqual(['late'])
  })
})

describe('a windowed key', () => {
  test('goes to the partition of its key, and is found there', async () => {
    await using driver = new TopologyTestDriver(
      topology('partitions', (t) => {
        t.stream('in', text)
          .groupByKey()
          .windowedBy(tumbling(10, { grace: 100 }))
          .count({ store: 'counts' })
          .toStream()
          .to('out')
      }),
      { partitions: 3 },
    )
    const seen = new Map<string, number>()
    for (let i = 0; i < 20; i++) {
      await driver.input('in').pipe(event(`k${i}`, 5))
      expect(driver.store('counts').get({ key: `k${i}`, start: 0, end: 10 })).toBe(1)
      await driver.input('in').pipe(event(`k${i}`, 16 + i))
    }
    for (const { key, partition } of driver.output<Windowed<string>>('out').readAll()) {
      const name = key?.key as string
      expect(seen.get(name) ?? partition).toBe(partition)
      seen.set(name, partition)
    }
    expect(seen.size).toBe(20)
    expect(new Set(seen.values()).size).toBe(3)
  })
})
