// Values that nobody looks at are not decoded, and those that nobody has touched are not written anew.
import { expect, test } from 'vitest'
import { type Serde, string, topology, tumbling } from '../../src/index.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'

interface Event {
  id: string
  version: number
  note?: string
}

function counted(): { serde: Serde<Event>; encoded: number; decoded: number } {
  const counts = { serde: null as unknown as Serde<Event>, encoded: 0, decoded: 0 }
  counts.serde = {
    name: 'counted',
    encode(value) {
      counts.encoded++
      return Buffer.from(JSON.stringify(value))
    },
    decode(bytes) {
      counts.decoded++
      const value = JSON.parse(Buffer.from(bytes).toString()) as Event
      if (value.note === 'bad') throw new Error('a bad one')
      return value
    },
  }
  return counts
}

test('what wins goes out with the bytes that it came with', async () => {
  const counts = counted()
  const kept = topology('kept', (t) => {
    t.stream('in', { key: string(), value: counts.serde })
      .lastWriteWins({ store: 'rows', version: (e) => e.version })
      .toStream()
      .to('out', { key: string(), value: counts.serde })
  })
  await using driver = new TopologyTestDriver(kept)
  await driver.input('in').pipe({ key: 'a', value: { id: 'a', version: 1 } })
  expect(counts.encoded).toBe(1) // by the driver, on its way in
  expect(driver.output('out').read()?.value).toEqual({ id: 'a', version: 1 })
})

test('what a callback beside it has changed in place goes out as it is now', async () => {
  const counts = counted()
  const changed = topology('changed', (t) => {
    const events = t.stream('in', { key: string(), value: counts.serde })
    events.forEach((event) => {
      event.note = 'seen'
    })
    events.to('out', { key: string(), value: counts.serde })
  })
  await using driver = new TopologyTestDriver(changed)
  await driver.input('in').pipe({ key: 'a', value: { id: 'a', version: 1 } })
  expect(driver.output('out').read()?.value).toEqual({ id: 'a', version: 1, note: 'seen' })
})

test('what comes behind the write changes nothing of it', async () => {
  const counts = counted()
  const serdes = { key: string(), value: counts.serde }
  const before = topology('before', (t) => {
    const events = t.stream('in', serdes)
    events.to('out', serdes)
    events.peek((event) => {
      event.note = 'seen'
    })
  })
  await using driver = new TopologyTestDriver(before)
  await driver.input('in').pipe({ key: 'a', value: { id: 'a', version: 1 } })
  expect(counts.encoded).toBe(1)
  expect(driver.output('out').read()?.value).toEqual({ id: 'a', version: 1 })
})

const grouped = (counts: ReturnType<typeof counted>, byWindow: boolean) =>
  topology('grouped', (t) => {
    const groups = t.stream('in', { key: string(), value: counts.serde }).groupBy((event) => event.id, { key: string() })
    const table = byWindow
      ? groups
          .windowedBy(tumbling('1m'))
          .count({ store: 'counts' })
          .toStream((_, { key }) => key)
      : groups.count({ store: 'counts' }).toStream()
    table.to('out', { key: string() })
  })

test.each([false, true])('a count does not decode what comes back by its repartition topic (by window: %s)', async (byWindow) => {
  const counts = counted()
  await using driver = new TopologyTestDriver(grouped(counts, byWindow))
  const input = driver.input('in')
  for (const id of ['a', 'b', 'a']) await input.pipe({ key: 'x', value: { id, version: 1 } })
  const rows = driver.output('out').readAll()
  expect(rows.map(({ key, value }) => [key, value])).toEqual([
    ['a', 1],
    ['b', 1],
    ['a', 2],
  ])
  expect(counts.decoded).toBe(3)
})

test('what others have written is decoded, and a dead letter where that fails, also for a count', async () => {
  const counts = counted()
  const plain = topology('plain', (t) => {
    t.stream('in', { key: string(), value: counts.serde }).groupByKey().count({ store: 'counts' }).toStream().to('out', { key: string() })
  })
  await using driver = new TopologyTestDriver(plain, { onError: 'deadLetter' })
  await driver.input('in').pipe([
    { key: 'a', value: { id: 'a', version: 1, note: 'bad' } },
    { key: 'a', value: { id: 'a', version: 2 } },
  ])
  expect(
    driver
      .output('out')
      .readAll()
      .map(({ value }) => value),
  ).toEqual([1])
  expect(await driver.dropDeadLetters()).toBe(1)
})
