// The dead letter of a record that has waited is the record as it was read: key, value and timestamp, whatever an extractor made of it and
// however often it has waited.
import { json, string, topology } from 'millrace'
import { type ReadRecord, TopologyTestDriver } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import type { Stream, Topology } from '../../src/index.ts'

interface Event {
  readonly n: number
}

const EVENTS = { key: string(), value: json<Event>() }
const buffer = { timeout: '10s' } as const

/** The extractor moves the records by a second; none of them finds what it waits for. */
const of = (wait: (stream: Stream<string, Event>, rows: Parameters<Stream<string, Event>['join']>[0]) => Stream<any, any>): Topology =>
  topology('piece', (t) => {
    const rows = t.table('rows', { ...EVENTS, store: 'rows' })
    const stream = t.stream('in', { ...EVENTS, timestamp: (_, __, { timestamp }) => timestamp + 1_000 })
    wait(stream, rows as never).to('out')
  })

const told = ({ key, value, timestamp, headers }: ReadRecord): unknown[] => [key, value, timestamp, headers['__streams.errors.offset']]

const WAITS: Readonly<Record<string, Topology>> = {
  'a join that waits': of((stream, rows) => stream.join(rows as never, (event: Event) => event, { buffer })),
  'a join that waits, by foreign key': of((stream, rows) =>
    stream.join(rows as never, (event: Event) => event, { on: () => 'row', buffer } as never),
  ),
  holdUntil: of((stream) => stream.holdUntil((_, key) => [{ table: 'rows', key }], { buffer })),
  mapAsync: of((stream) => stream.mapAsync(() => Promise.reject(new Error('down')))),
  'one after the other': of((stream) =>
    stream
      .mapAsync(async (event) => ({ n: event.n + 1 }), { value: EVENTS.value })
      .mapValues((event) => ({ ...event, more: true }), { value: EVENTS.value })
      .holdUntil((_, key) => [{ table: 'rows', key }], { buffer }),
  ),
  'one behind a join by foreign key': of(
    (stream, rows) =>
      stream
        .leftJoin(rows as never, (event: Event) => event, { value: EVENTS.value })
        .join(rows as never, (event: Event) => event, {
          on: () => 'there',
          buffer: { ...buffer, onTimeout: 'emit' },
          value: EVENTS.value,
        } as never)
        .mapAsync(() => Promise.reject(new Error('down')), { order: 'none' }), // it needs no topic of its own
  ),
}

describe.each(Object.entries(WAITS))('%s', (_, waits) => {
  test.each([0, 50_000])('at %i ms', async (timestamp) => {
    await using driver = new TopologyTestDriver(waits)
    await driver.input('rows').pipe({ key: 'there', value: { n: 0 }, timestamp: 0 })
    await driver.input('in').pipe({ key: 'k', value: { n: 7 }, timestamp })
    await driver.crash()
    await driver.advance('20s')
    await driver.commit()
    expect(driver.output('piece-dead-letter').readAll().map(told)).toEqual([['k', '{"n":7}', timestamp, '0']])
  })
})

test('what waits behind a dead letter keeps the time that it was given, and its own', async () => {
  let down = true
  let laterMs = 1_000
  const seen: number[] = []
  const events = topology('piece', (t) => {
    t.stream('in', { ...EVENTS, timestamp: (_, __, { timestamp }) => timestamp + laterMs })
      .process<string, Event>((context) => ({
        process(record) {
          seen.push(record.timestamp)
          if (down) throw new Error('down')
          context.forward(record)
        },
      }))
      .to('out', EVENTS)
  })
  await using driver = new TopologyTestDriver(events, { onError: { blockKey: true } })
  for (const n of [1, 2]) await driver.input('in').pipe({ key: 'k', value: { n }, timestamp: n * 10 })
  const letters = driver.output('piece-dead-letter')
  expect(letters.readAll().map(told)).toEqual([['k', '{"n":1}', 10, '0']])
  laterMs = 5_000
  await driver.dropDeadLetters() // what waited behind it fails now, and is read as it was
  expect(letters.readAll().map(told)).toEqual([['k', '{"n":2}', 20, '1']])
  down = false
  await driver.replayDeadLetters()
  expect(driver.output('out').readAll()).toMatchObject([{ key: 'k', value: { n: 2 }, timestamp: 5_020 }]) // a letter is read anew
  expect(seen).toEqual([1_010, 1_020, 5_020])
})
