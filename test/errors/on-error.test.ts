// `onError` of one operator: at each place at which a record can fail, each policy, against an application that says something else. What is sound
// comes out in its order.
import { json, string, topology, tumbling } from 'millrace'
import { TopologyTestDriver } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import type { TopologyBuilder } from '../../src/dsl/builder.ts'
import { type Event, PLACES, sound } from './places.ts'

const EVENTS = { key: string(), value: json<Event>() }
const BATCH = [1, 2, 3].map((n) => ({ key: 'a', value: n === 2 ? { n, bad: true } : { n }, timestamp: n }))

async function fed(driver: TopologyTestDriver, readsRows: boolean): Promise<void> {
  if (readsRows) await driver.input('rows').pipe({ key: 'a', value: { n: 0 }, timestamp: 0 })
  for (const record of BATCH) await driver.input('in').pipe(record)
  await driver.commit()
}

/** The numbers that came out, each once: what a step puts out twice is its own affair. */
const numbers = (driver: TopologyTestDriver): number[] => [
  ...new Set(
    driver
      .output<unknown, Event>('out')
      .readAll()
      .map(({ value }) => (value as Event).n),
  ),
]
const letters = (driver: TopologyTestDriver): number => driver.output('piece-dead-letter').readAll().length

describe.each(Object.entries(PLACES))('%s', (_, build) => {
  let readsRows = false
  const topologyOf = (onError: 'deadLetter' | 'skip' | 'fail') => {
    const made = topology('piece', (t) => build(t, { onError }))
    readsRows = made.nodes.some(
      (node) =>
        (node.kind === 'globalTable' && node.topic === 'rows') ||
        (node.kind === 'source' && Array.isArray(node.topics) && node.topics.includes('rows')),
    )
    return made
  }

  test.each(['deadLetter', 'skip'] as const)('%s, where the application would stop', async (policy) => {
    await using driver = new TopologyTestDriver(topologyOf(policy), { onError: 'fail' })
    await fed(driver, readsRows)
    expect(numbers(driver).filter((n) => n > 0)).toEqual([1, 3])
    expect(letters(driver)).toBe(policy === 'skip' ? 0 : 1)
  })

  test('fail, where the application would skip', async () => {
    const driver = new TopologyTestDriver(topologyOf('fail'), { onError: 'skip' })
    await expect(fed(driver, readsRows)).rejects.toThrow(/(the policy|onError) is to stop/)
    await driver.close().catch(() => {})
  })
})

const run = async (build: (t: TopologyBuilder) => void, onError: 'deadLetter' | 'skip' | 'fail'): Promise<TopologyTestDriver> => {
  const driver = new TopologyTestDriver(topology('piece', build), { onError })
  await fed(driver, false)
  return driver
}
const boom = (event: Event): Event => sound(event)

describe('whose error it is', () => {
  test('that of the callback that threw, not that of an operator above it', async () => {
    await using driver = await run((t) => {
      t.stream('in', { ...EVENTS, onError: 'fail' })
        .filter(() => true, { onError: 'fail' })
        .process<string, Event>((context) => ({ process: (record) => context.forward(record) }), { onError: 'fail' })
        .mapValues(boom)
        .to('out', { ...EVENTS, onError: 'fail' })
    }, 'skip')
    expect([numbers(driver), letters(driver)]).toEqual([[1, 3], 0])
  })

  test('nor that of one below it, and of a processor that throws another one it is that', async () => {
    await using driver = await run((t) => {
      const said = t.stream('in', EVENTS).process<string, Event>(
        (context) => ({
          process(record) {
            context.forward(record)
            sound(record.value)
          },
        }),
        { onError: 'deadLetter' },
      )
      said.filter(() => true, { onError: 'fail' }).to('out', { ...EVENTS, onError: 'fail' })
    }, 'skip')
    expect([numbers(driver), letters(driver)]).toEqual([[1, 3], 1])
  })

  test('one that a processor catches is still that of the operator below', async () => {
    await using driver = await run((t) => {
      t.stream('in', EVENTS)
        .process<string, Event>(
          (context) => ({
            process(record) {
              try {
                context.forward(record)
              } catch {
                // as if nothing had happened
              }
            },
          }),
          { onError: 'fail' },
        )
        .mapValues(boom, { onError: 'deadLetter' })
        .to('out', EVENTS)
    }, 'skip')
    expect([numbers(driver), letters(driver)]).toEqual([[1, 3], 1])
  })

  test('of a record that waited, that of what it meets further down', async () => {
    const waits = topology('piece', (t) => {
      t.stream('in', EVENTS)
        .join(t.table('rows', EVENTS), (event) => event, { buffer: { timeout: '1h' }, onError: 'fail' })
        .peek(boom, { onError: 'skip' })
        .to('out', EVENTS)
    })
    await using driver = new TopologyTestDriver(waits, { onError: 'fail' })
    for (const record of BATCH) await driver.input('in').pipe(record)
    await driver.crash()
    await driver.input('rows').pipe({ key: 'a', value: { n: 0 }, timestamp: 4 })
    await driver.commit()
    expect([numbers(driver), letters(driver)]).toEqual([[1, 3], 0])
  })

  test.each([
    { ofTable: { onError: 'skip' }, ofApplication: 'fail' },
    { ofTable: {}, ofApplication: 'skip' },
  ] as const)('of a table that a join asks for a row, that of the table: $ofTable', async ({ ofTable, ofApplication }) => {
    let broken = false
    const asks = topology('piece', (t) => {
      const rows = t.table('rows', EVENTS).mapValues(
        (row) => {
          if (broken) throw new Error('boom')
          return row
        },
        { value: EVENTS.value, ...ofTable },
      )
      t.stream('in', EVENTS)
        .join(rows, (event) => event, { value: EVENTS.value, onError: 'fail' })
        .to('out', EVENTS)
    })
    await using driver = new TopologyTestDriver(asks, { onError: ofApplication })
    await driver.input('rows').pipe({ key: 'a', value: { n: 0 } })
    for (const n of [1, 2, 3]) {
      broken = n === 2
      await driver.input('in').pipe({ key: 'a', value: { n } })
    }
    expect([numbers(driver), letters(driver)]).toEqual([[1, 3], 0])
  })

  test('of a timer, that of the processor that set it', async () => {
    const closing = topology('piece', (t) => {
      t.stream('in', EVENTS)
        .process<string, Event>(
          (context) => {
            let seen: Event | null = null
            context.schedule('1s', 'stream', (timestamp) => {
              const event = seen
              seen = null
              if (event !== null) context.forward({ key: 'a', value: sound(event), timestamp })
            })
            return {
              process({ value }) {
                seen = value
              },
            }
          },
          { onError: 'skip' },
        )
        .to('out', EVENTS)
    })
    await using driver = new TopologyTestDriver(closing, { onError: 'fail' })
    for (const n of [1, 2, 3, 4])
      await driver.input('in').pipe({ key: 'a', value: n === 2 ? { n, bad: true } : { n }, timestamp: n * 2_000 })
    expect([numbers(driver), letters(driver)]).toEqual([[1, 3, 4], 0])
  })

  test('of what windows put out when they close, that of the operator it meets', async () => {
    const closing = topology('piece', (t) => {
      t.stream('in', EVENTS)
        .groupByKey()
        .windowedBy(tumbling('1s', { grace: '0s' }), { emit: 'close' })
        .reduce((_, event) => event, { onError: 'fail' })
        .toStream((_, { key }) => key, { key: string() })
        .mapValues(sound, { onError: 'skip' })
        .to('out', EVENTS)
    })
    await using driver = new TopologyTestDriver(closing, { onError: 'fail' })
    for (const n of [1, 2, 3, 4])
      await driver.input('in').pipe({ key: 'a', value: n === 2 ? { n, bad: true } : { n }, timestamp: n * 2_000 })
    expect([numbers(driver), letters(driver)]).toEqual([[1, 3], 0]) // the window of 4 is open
  })

  test('with blockKey the key waits behind the dead letter of an operator that says so, and not behind one that is skipped', async () => {
    const build = (t: TopologyBuilder): void =>
      t
        .stream('in', EVENTS)
        .peek(
          (event) => {
            if (event.n === 2) sound(event)
          },
          { onError: 'deadLetter' },
        )
        .peek(
          (event) => {
            if (event.n === 1) throw new Error('boom')
          },
          { onError: 'skip' },
        )
        .to('out', EVENTS)
    await using driver = new TopologyTestDriver(topology('piece', build), { onError: { callback: 'fail', blockKey: true } })
    await fed(driver, false)
    expect([numbers(driver), letters(driver)]).toEqual([[], 1])
    await driver.dropDeadLetters()
    expect(numbers(driver)).toEqual([3])
  })

  test('a letter that comes back and can not be read falls under the policy of its source', async () => {
    const value = json<Event>((event) => (event as Event).bad !== true)
    const build = (t: TopologyBuilder): void => t.stream('in', { key: string(), value, onError: 'deadLetter' }).to('out', EVENTS)
    const onError = { deserialization: 'fail', callback: 'skip', blockKey: true } as const
    await using driver = new TopologyTestDriver(topology('piece', build), { onError })
    await fed(driver, false)
    expect([numbers(driver), letters(driver)]).toEqual([[1], 1])
    await driver.replayDeadLetters()
    expect([numbers(driver), letters(driver)]).toEqual([[], 1]) // in its place again
    await driver.dropDeadLetters()
    expect(numbers(driver)).toEqual([3])
  })
})
