// dedupe against an oracle that remembers everything: any duplication, delay, crash and number of partitions.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { partitionOf } from '../../src/base/murmur2.ts'
import { json, string, topology } from '../../src/index.ts'
import { delayed, duplicated, TopologyTestDriver } from '../../src/testing/index.ts'
import { RAW } from '../../src/topology/raw.ts'
import { alone, type Fields, store } from '../operators/harness.ts'
import { ran } from '../support/bars.ts'
import { holds, many } from '../support/many.ts'
import { runsOf } from '../support/tier.ts'

interface Event {
  readonly id: string | number | null
  readonly n: number
}

const RETENTION_MS = 100

const program = topology('seen', (t) => {
  t.stream('in', { key: string(), value: json<Event>() })
    .dedupe({ store: 'ids', id: (event) => event.id, retention: RETENTION_MS })
    .to('out', { key: string(), value: json<Event>() })
})

interface Arrival {
  readonly key: string
  readonly value: Event
  readonly timestamp: number
}

/** What goes through, by partition. */
function oracle(arrivals: readonly Arrival[], partitions: number): Event[][] {
  const times = new Map<number, number>()
  const seen = new Map<string, number>()
  const out = Array.from({ length: partitions }, (): Event[] => [])
  for (const { key, value, timestamp } of arrivals) {
    const partition = partitionOf(Buffer.from(key), partitions)
    const time = Math.max(timestamp, times.get(partition) ?? -1)
    times.set(partition, time)
    if (value.id !== null) {
      const id = `${partition}/${typeof value.id}/${value.id}`
      const at = seen.get(id)
      if (at !== undefined && time - at <= RETENTION_MS) continue
      seen.set(id, time)
    }
    out[partition]?.push(value)
  }
  return out
}

interface Drawn {
  readonly key: string
  readonly id: string | number | null
  readonly n: number
  /** Behind the time of the log when it was made. */
  readonly lateMs: number
}

const drawn = fc.record({
  key: fc.constantFrom('a', 'b', 'c', 'd'),
  id: fc.constantFrom('x', 'y', 'z', '1', 1, 2, null),
  lateMs: fc.constantFrom(0, 0, 0, 1, 30, 100, 101, 250),
})
const historyOf = (maxLength: number, disturbances: number) =>
  delayed(
    duplicated(
      fc.array(drawn, { maxLength }).map((list) => list.map((each, n): Drawn => ({ ...each, n }))),
      { copiesMax: disturbances },
    ),
    { delaysMax: disturbances },
  )
const world = fc.oneof(
  fc.record({ act: fc.constant('time' as const), ms: fc.constantFrom(1, 30, 99, 100, 101, 250, 5_000) }),
  fc.record({ act: fc.constantFrom('commit' as const, 'crash' as const) }),
)

/** Each history has its own keys and ids; copies of an event have its timestamp. */
function arrivalOf(of: number, { key, id, n, lateMs }: Drawn, nowMs: number): Arrival {
  const own = typeof id === 'string' ? `${id}${of}` : typeof id === 'number' ? Number(`${id}${of}`) : null
  return { key: `${key}${of}`, value: { id: own, n: of * 1_000 + n }, timestamp: Math.max(0, nowMs - lateMs) }
}

describe('dedupe', () => {
  it('lets through what the oracle does, with delays, duplicates, commits and crashes', { timeout: runsOf(60_000, 900_000) }, async () => {
    let dropped = 0
    const property = (count: number) =>
      fc.asyncProperty(
        many({ history: count === 1 ? historyOf(16, 16) : historyOf(8, 4), world, count }),
        fc.integer({ min: 1, max: 3 }),
        async (turns, partitions) => {
          await using driver = new TopologyTestDriver(program, { partitions })
          const input = driver.input('in')
          const arrivals: Arrival[] = []
          const made = new Map<number, Arrival>()
          let nowMs = 0
          for (const { of, step } of turns) {
            if (of !== null) {
              const drawn = arrivalOf(of, step, nowMs)
              const arrival = made.get(drawn.value.n) ?? drawn
              made.set(drawn.value.n, arrival)
              arrivals.push(arrival)
              await input.pipe(arrival)
            } else if (step.act === 'time') nowMs += step.ms
            else await driver[step.act]()
          }
          await driver.commit()
          const wanted = oracle(arrivals, partitions)
          const out = driver.output<string, Event>('out').readAll()
          for (const [partition, events] of wanted.entries())
            expect(out.filter((each) => each.partition === partition).map(({ value }) => value)).toEqual(events)
          dropped += arrivals.length - out.length
        },
      )
    ran('21, dedupe', await holds(property, { histories: runsOf(1_000, 20_000), alone: runsOf(100, 500) }))
    expect(dropped).toBeGreaterThan(100)
  })

  it('is exact at the end of the retention, and a dropped event does not prolong it', async () => {
    await using driver = new TopologyTestDriver(program)
    const input = driver.input('in')
    for (const [timestamp, n] of [
      [0, 0],
      [60, 1],
      [100, 2],
      [101, 3],
      [150, 4],
    ] as const)
      await input.pipe({ key: 'a', value: { id: 'x', n }, timestamp })
    await driver.commit()
    expect(
      driver
        .output<string, Event>('out')
        .readAll()
        .map(({ value }) => value?.n),
    ).toEqual([0, 3])
    expect(driver.counters('ids').get('duplicate')).toBe(3)
  })

  it('clears ids away when they are forgotten', () => {
    const operator: Fields = { kind: 'dedupe', idOf: (value: Event) => value.id, retentionMs: 100 }
    const it = alone(operator, { stores: [store('ids', RAW)] })
    const rows = (): number => it.stores[0]!.rows.size
    for (let n = 0; n < 200; n++) it.push(0, 'a', { id: `id-${n}`, n }, n * 50)
    expect(rows()).toBe(2 * 3)
    for (let n = 0; n < 100; n++) it.push(0, 'a', { id: `same-${n}`, n }, 10_000)
    it.push(0, 'a', { id: 'later', n: 0 }, 1_000_000)
    const left = rows()
    expect(left).toBeGreaterThan(2) // some with each event, not all at once
    for (let n = 1; n < 20; n++) it.push(0, 'a', { id: `later-${n}`, n }, 1_000_000)
    expect(rows()).toBe(2 * 20)
  })

  it('meets an id under one key after a change of keys', async () => {
    const rekeyed = topology('rekeyed', (t) => {
      t.stream('in', { key: string(), value: json<Event>() })
        .selectKey((event) => String(event.id), { key: string() })
        .dedupe({ id: (event) => event.id, retention: '1h' })
        .to('out', { key: string(), value: json<Event>() })
    })
    await using driver = new TopologyTestDriver(rekeyed, { partitions: 3 })
    for (const [n, key] of ['a', 'b', 'c', 'd', 'e'].entries()) await driver.input('in').pipe({ key, value: { id: 'x', n }, timestamp: n })
    await driver.commit()
    expect(driver.output('out').readAll()).toHaveLength(1)
  })

  it('gives what is no id to the dead letters', async () => {
    const objects = topology('objects', (t) => {
      t.stream('in', { key: string(), value: json<Event>() })
        .dedupe({ store: 'ids', id: (event) => event as never, retention: '1h' })
        .to('out', { key: string(), value: json<Event>() })
    })
    await using driver = new TopologyTestDriver(objects)
    await driver.input('in').pipe({ key: 'a', value: { id: 'x', n: 1 }, timestamp: 1 })
    await driver.commit()
    expect(driver.output('out').readAll()).toEqual([])
    expect(driver.output('objects-dead-letter').readAll()[0]?.headers['__streams.errors.message']).toMatch(/ids: the id is an object/)
  })
})
