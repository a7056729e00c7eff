// Values that a callback has changed in place before anything is written: what is written is what they are then.
import { describe, expect, test } from 'vitest'
import { json, type Stream, string, topology } from '../../src/index.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'

interface Noted {
  at: number
  seen?: boolean
}

test('by the extractor of timestamps', async () => {
  const serdes = { key: string(), value: json<Noted>() }
  const program = topology('noted', (t) => {
    const timestamp = (value: Noted | null): number => {
      if (value !== null) value.seen = true
      return value?.at ?? 0
    }
    t.stream('in', { ...serdes, timestamp })
      .toTable({ store: 'rows' })
      .toStream()
      .to('out', serdes)
  })
  await using driver = new TopologyTestDriver(program)
  await driver.input('in').pipe({ key: 'k', value: { at: 7 } })
  expect(driver.output('out').readAll()).toMatchObject([{ key: 'k', value: { at: 7, seen: true }, timestamp: 7 }])
  expect(await driver.store('rows').get('k')).toEqual({ at: 7, seen: true })
})

describe('by an operator above', () => {
  const serdes = { key: string(), value: json<Noted>() }
  const see = (value: Noted): void => {
    value.seen = true
  }
  const run = async (build: (events: Stream<string, Noted>) => void): Promise<unknown[]> => {
    await using driver = new TopologyTestDriver(topology('noted', (t) => build(t.stream('in', serdes))))
    await driver.input('in').pipe({ key: 'k', value: { at: 7 } })
    await driver.commit()
    return driver
      .output('out')
      .readAll()
      .map(({ value }) => value)
  }
  const seen = [{ at: 7, seen: true }]
  const version = ({ at }: Noted): number => at

  test('what lastWriteWins keeps and passes on', async () => {
    const program = topology('noted', (t) => {
      t.stream('in', serdes).peek(see).lastWriteWins({ version, store: 'rows' })
    })
    await using driver = new TopologyTestDriver(program)
    await driver.input('in').pipe({ key: 'k', value: { at: 7 } })
    expect(await driver.store('rows').get('k')).toEqual(seen[0])
  })

  test('what mapAsync calls for', async () => {
    const called: unknown[] = []
    const note = (value: Noted): void => void called.push({ ...value })
    await run((events) => void events.peek(see).mapAsync(note, { store: 'calls' }))
    expect(called).toEqual(seen)
  })

  test('what a repartition topic carries, and a sink behind a sibling that changes it', async () => {
    expect(await run((events) => events.peek(see).repartition().to('out', serdes))).toEqual(seen)
    expect(
      await run((events) => {
        events.forEach(see)
        events.to('out', serdes)
      }),
    ).toEqual(seen)
    expect(await run((events) => events.merge(events.filter(() => false)).to('out', serdes))).toEqual([{ at: 7 }])
  })

  test('by an aggregation that hands on what it was given', async () => {
    const last = (_: Noted, value: Noted): Noted => Object.assign(value, { seen: true })
    const cache = '1MiB'
    expect(
      await run((events) =>
        events
          .groupByKey()
          .aggregate((): Noted => ({ at: 0 }), last, { cache, value: serdes.value })
          .toStream()
          .to('out', serdes),
      ),
    ).toEqual(seen)
  })
})
