// dedupe against an oracle that remembers everything: any duplication, delay, crash and number of partitions.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { partitionOf } from '../../src/base/murmur2.ts'
import { json, string, topology } from '../../src/index.ts'
import { delayed, duplicated, TopologyTestDriver } from '../../src/testing/index.ts'
import { RAW } from '../../src/topology/raw.ts'
import { alone, type Fields, store } from '../operators/harness.ts'
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

/** What goes through: by partition, with its stream time. */
function oracle(arrivals: readonly Arrival[], partitions: number): Event[] {
  const times = new Map<number, number>()
  const seen = new Map<string, number>()
  return arrivals.flatMap(({ key, value, timestamp }) => {
    const partition = partitionOf(Buffer.from(key), partitions)
    const time = Math.max(timestamp, times.get(partition) ?? -1)
    times.set(partition, time)
    if (value.id === null) return [value]
    const id = `${partition}/${typeof value.id}/${value.id}`
    const at = seen.get(id)
    if (at !== undefined && time - at <= RETENTION_MS) return []
    seen.set(id, time)
    return [value]
  })
}

const events = fc
  .array(
    fc.record({
      key: fc.constantFrom('a', 'b', 'c', 'd'),
      id: fc.constantFrom('x', 'y', 'z', '1', 1, 2, null),
      step: fc.constantFrom(0, 1, 30, 100, 101, 250, 5_000),
    }),
    { maxLength: 16 },
  )
  .map((list) => {
    let timestamp = 0
    return list.map(({ key, id, step }, n): Arrival => {
      timestamp += step
      return { key, value: { id, n }, timestamp }
    })
  })

describe('dedupe', () => {
  it('lets through what the oracle does, with delays, duplicates, commits and crashes', { timeout: runsOf(60_000, 900_000) }, async () => {
    let dropped = 0
    await fc.assert(
      fc.asyncProperty(
        delayed(duplicated(events)),
        fc.integer({ min: 1, max: 3 }),
        fc.array(fc.constantFrom('commit', 'crash', 'none')),
        async (arrivals, partitions, acts) => {
          await using driver = new TopologyTestDriver(program, { partitions })
          for (const [i, arrival] of arrivals.entries()) {
            await driver.input('in').pipe(arrival)
            if (acts[i] === 'commit') await driver.commit()
            if (acts[i] === 'crash') await driver.crash()
          }
          await driver.commit()
          const wanted = oracle(arrivals, partitions)
          const out = driver.output<string, Event>('out').readAll()
          const byNumber = (list: readonly Event[]): number[] => list.map(({ n }) => n).sort((a, b) => a - b)
          expect(byNumber(out.map(({ value }) => value as Event))).toEqual(byNumber(wanted))
          if (partitions === 1) expect(out.map(({ value }) => value)).toEqual(wanted)
          dropped += arrivals.length - wanted.length
        },
      ),
      { numRuns: runsOf(1_000, 20_000) },
    )
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
