// What falls due by time: many windows at once, one that makes its callback throw, updates on the wall clock.
import { describe, expect, test } from 'vitest'
import { hopping, json, session, sliding, string, topology, tumbling, type Windowed, within } from '../../src/index.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'
import { plan } from '../../src/topology/plan.ts'
import { Task } from '../operators/harness.ts'

const text = { key: string(), value: string() }

/** More than a record, or what is kept in order in memory, can hold. */
const MANY = 9_000
const names = Array.from({ length: MANY }, (_, i) => `k${String(i).padStart(5, '0')}`)

describe('many windows that close with one record', () => {
  for (const [kind, windows, retention] of [
    ['tumbling', tumbling(10), 10],
    ['tumbling, kept for longer', tumbling(10), 50],
    ['sliding', sliding(10), 10],
  ] as const) {
    test(`${kind}: all come out, in order, and their rows go`, async () => {
      await using driver = new TopologyTestDriver(
        topology('many', (t) => {
          t.stream('in', text)
            .groupByKey()
            .windowedBy(windows, { emit: 'close' })
            .count({ store: 'counts', retention })
            .toStream()
            .to('out')
        }),
      )
      const input = driver.input('in')
      for (const key of names) await input.pipe({ key, value: 'x', timestamp: 15 })
      await driver.commit()
      await driver.crash()
      await input.pipe({ key: 'z', value: 'x', timestamp: 100 })
      await driver.crash()
      const keys = driver
        .output<Windowed<string>>('out')
        .readAll()
        .map(({ key }) => key?.key)
      expect(keys).toEqual(names)
      await input.pipe({ key: 'z', value: 'x', timestamp: 200 })
      expect(
        driver
          .output<Windowed<string>>('out')
          .readAll()
          .map(({ key }) => key?.key),
      ).toEqual(['z'])
    })
  }

  test('a left join: all that found no match go, in order', async () => {
    await using driver = new TopologyTestDriver(
      topology('many', (t) => {
        const other = t.stream('other', text)
        t.stream('in', text)
          .leftJoin(other, (left, right) => `${left}-${right ?? 'none'}`, within(10), { store: 'joined', value: string() })
          .to('out', text)
      }),
    )
    const input = driver.input('in')
    for (const key of names) await input.pipe({ key, value: 'x', timestamp: 15 })
    await driver.commit()
    await driver.crash()
    await driver.input('other').pipe({ key: 'z', value: 'y', timestamp: 100 })
    await driver.crash()
    expect(
      driver
        .output('out')
        .readAll()
        .map(({ key, value }) => `${key} ${value}`),
    ).toEqual(names.map((key) => `${key} x-none`))
  }, 60_000)

  test('a suppressed table: all go', async () => {
    await using driver = new TopologyTestDriver(
      topology('many', (t) => {
        t.table('in', text).suppress({ for: 10 }).toStream().to('out')
      }),
    )
    const input = driver.input('in')
    for (const key of names) await input.pipe({ key, value: 'x', timestamp: 15 })
    await driver.commit()
    await input.pipe({ key: 'z', value: 'x', timestamp: 25 })
    expect(
      driver
        .output('out')
        .readAll()
        .map(({ key }) => key),
    ).toEqual(names)
  })
})

describe('a window whose callback throws', () => {
  const made = topology('poison', (t) => {
    t.stream('in', text)
      .groupByKey()
      .windowedBy(tumbling(10), { emit: 'close' })
      .count({ store: 'counts' })
      .toStream()
      .map(
        (count, { key, start }) => {
          if (key === 'bad') throw new Error('a bad window')
          return [`${key}@${start}`, count]
        },
        { key: string() },
      )
      .to('out')
  })

  test('is one dead letter; the others come out, and so do the records that follow', async () => {
    await using driver = new TopologyTestDriver(made)
    const input = driver.input('in')
    for (const key of ['a', 'bad', 'c', 'd']) await input.pipe({ key, value: 'x', timestamp: 1 })
    await input.pipe({ key: 'a', value: 'x', timestamp: 12 })
    await input.pipe({ key: 'c', value: 'x', timestamp: 13 })
    await input.pipe({ key: 'a', value: 'x', timestamp: 30 })
    expect(
      driver
        .output('out')
        .readAll()
        .map(({ key }) => key),
    ).toEqual(['a@0', 'c@0', 'd@0', 'a@10', 'c@10'])
    const dead = driver.output('poison-dead-letter').readAll()
    expect(dead.length).toBe(1)
    expect(dead[0]?.headers['__streams.errors.message']).toContain('a bad window')
  })

  test('a record that throws for itself is a dead letter, and closes nothing', async () => {
    await using driver = new TopologyTestDriver(
      topology('own', (t) => {
        const stream = t.stream('in', text)
        stream.groupByKey().windowedBy(tumbling(10), { emit: 'close' }).count({ store: 'counts' }).toStream().to('out')
        stream.forEach((value) => {
          if (value === 'bad') throw new Error('a bad record')
        })
      }),
    )
    const input = driver.input('in')
    await input.pipe({ key: 'a', value: 'x', timestamp: 1 })
    await input.pipe({ key: 'a', value: 'bad', timestamp: 50 })
    expect(driver.output('out').readAll()).toEqual([])
    expect(driver.output('own-dead-letter').readAll().length).toBe(1)
    await input.pipe({ key: 'a', value: 'x', timestamp: 5 })
    await input.pipe({ key: 'a', value: 'x', timestamp: 12 })
    expect(
      driver
        .output('out')
        .readAll()
        .map(({ key, value }) => [key, value]),
    ).toEqual([[{ key: 'a', start: 0, end: 10 }, 2]])
  })
})

describe('rows of closed windows', () => {
  const kinds = {
    tumbling: tumbling(10, { grace: 5 }),
    hopping: hopping(10, { advance: 2, grace: 5 }),
    sliding: sliding(10, { grace: 5 }),
    session: session(5, { grace: 5 }),
  }
  for (const [kind, windows] of Object.entries(kinds)) {
    for (const emit of ['update', 'close'] as const) {
      test(`${kind}, emit: '${emit}': are deleted, and those that are open are kept`, () => {
        const made = topology('rows', (t) => {
          const grouped = t.stream('in', text).groupByKey()
          const over = windows.kind === 'session' ? grouped.windowedBy(windows, { emit }) : grouped.windowedBy(windows, { emit })
          over.count({ store: 'counts' })
        })
        const [sub] = plan(made, 'rows').subTopologies
        const nodes = sub?.nodes ?? []
        const task = new Task(
          nodes.map((node) => ({
            ...node,
            operator: { ...node.operator },
            parents: node.parents.map((parent) => nodes[parent]?.name ?? ''),
          })),
          { send: () => {} },
        )
        let most = 0
        for (let time = 0; time < 3000; time += 7) {
          task.receive('in', { key: Buffer.from(`k${time % 5}`), value: Buffer.from('x'), timestamp: time })
          most = Math.max(most, task.stores.get('counts')?.rows.size ?? 0)
        }
        const last = 2996
        const window = { session: [last, last], sliding: [last - 10, last], hopping: [2996, 3006], tumbling: [2990, 3000] }[
          kind
        ] as number[]
        expect(task.stores.get('counts')?.get({ key: `k${last % 5}`, start: window[0], end: window[1] })?.value).toBe(1)
        expect(most).toBeLessThan(60)
      })
    }
  }
})

describe('suppress on the wall clock', () => {
  const made = topology('wall', (t) => {
    t.table('in', { ...text, value: json<string>() })
      .suppress({ for: '30s', clock: 'wall' })
      .toStream()
      .to('out')
  })

  test('lets the latest go 30 s after the first, though nothing more comes, and after a crash', async () => {
    await using driver = new TopologyTestDriver(made)
    const input = driver.input('in')
    const out = driver.output('out')
    const values = (): unknown[] => out.readAll().map(({ key, value }) => [key, value])
    await input.pipe({ key: 'a', value: '1' })
    await driver.advance('10s')
    await input.pipe({ key: 'a', value: '2' })
    await input.pipe({ key: 'b', value: '3' })
    await driver.advance('19s')
    expect(values()).toEqual([])
    await driver.commit()
    await driver.crash()
    await driver.advance('1s')
    expect(values()).toEqual([['a', '2']])
    await driver.advance('9s')
    expect(values()).toEqual([])
    await driver.crash()
    await driver.advance('1s')
    expect(values()).toEqual([['b', '3']])
    await input.pipe({ key: 'a', value: '4' })
    await driver.advance('29s')
    expect(values()).toEqual([])
    await driver.advance('1s')
    expect(values()).toEqual([['a', '4']])
  })
})
