// Record caches of any size, committed and crashed at random places, against the same topology without: the final tables are the same,
// each chain of changes holds together (what is subtracted was added), and crashes change no output.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ByteSize, json, session, string, tumbling, topology } from '../../src/index.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'

/** A table, aggregates of all kinds above it, and aggregates of those: every level is cached. */
const flowOf = (cache: ByteSize | undefined) =>
  topology('cached', (t) => {
    const cached = cache === undefined ? {} : { cache }
    const text = { key: string(), value: string() }
    const rows = t.table('rows', { ...text, ...cached })
    rows.toStream().to('rows-out', text)
    // What is out is a list of all that was added and not taken away: a wrong old value shows.
    rows
      .groupBy((value) => [value.slice(0, 1), value], text)
      .aggregate(
        () => [] as string[],
        (all, value) => [...all, value],
        (all, value) => {
          if (!all.includes(value)) throw new Error(`${value} was never added`)
          // A group that came and went within one commit was never there.
          return all.length === 1 ? null : all.toSpliced(all.indexOf(value), 1)
        },
        { store: 'groups', ...cached },
      )
      .toStream()
      .mapValues((all) => all?.toSorted() ?? null)
      .to('groups-out', { key: string(), value: json<string[] | null>() })
    const words = t.stream('words', text)
    words
      .groupByKey()
      .reduce((all, value) => (value === 'x' ? null : `${all}${value}`.slice(-6)), { store: 'reduced', ...cached })
      .toStream()
      .to('reduced-out', text)
    words
      .groupByKey()
      .windowedBy(tumbling('10ms', { grace: '20ms' }))
      .count({ store: 'counted', ...cached })
      .groupBy((n, { key }) => [key, n], { key: string(), value: json<number>() })
      .aggregate(
        () => 0,
        (sum, n) => sum + n,
        (sum, n) => sum - n,
        { store: 'sums', ...cached },
      )
      .toStream()
      .to('sums-out', { key: string(), value: json<number>() })
    words
      .groupByKey()
      .windowedBy(session('5ms', { grace: '30ms' }))
      .count({ store: 'sessions', ...cached })
      .toStream()
      .map((n, { key, start, end }) => [`${key}@${start}-${end}`, n], { key: string(), value: json<number>() })
      .to('sessions-out', { key: string(), value: json<number>() })
    // Last, so that the record has gone into all caches when it is undone.
    words.forEach((value) => {
      if (value === 'z') throw new Error('undone')
    })
  })

const OUTS = ['rows-out', 'groups-out', 'reduced-out', 'sums-out', 'sessions-out'] as const

type Step =
  | { readonly do: 'commit' | 'crash' }
  | { readonly do: 'row' | 'word'; readonly key: string; readonly value: string | null; readonly at: number }

const key = fc.constantFrom('a', 'b', 'c', 'd')
const stepOf: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('row' as const),
      key,
      value: fc.option(fc.constantFrom('p1', 'p2', 'q1', 'q2')),
      at: fc.nat(60),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('word' as const), key, value: fc.constantFrom('k', 'l', 'm', 'x', 'z'), at: fc.nat(60) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('commit' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const) }) },
)

interface Outcome {
  readonly records: Readonly<Record<string, readonly (readonly [string, unknown])[]>>
  readonly tables: Readonly<Record<string, ReadonlyMap<unknown, unknown>>>
}

async function play(cache: ByteSize | undefined, partitions: number, steps: readonly Step[], crashes: boolean): Promise<Outcome> {
  const driver = new TopologyTestDriver(flowOf(cache), { partitions })
  const [rows, words] = [driver.input('rows'), driver.input('words')]
  for (const step of steps) {
    if (step.do === 'row') await rows.pipe({ key: step.key, value: step.value, timestamp: step.at })
    else if (step.do === 'word') await words.pipe({ key: step.key, value: step.value, timestamp: step.at })
    else if (step.do === 'commit') await driver.commit()
    else if (crashes) await driver.crash()
  }
  await driver.commit()
  const records: Record<string, (readonly [string, unknown])[]> = {}
  const tables: Record<string, Map<unknown, unknown>> = {}
  for (const out of OUTS) {
    const all = driver.output(out).readAll() as readonly { readonly key: string; readonly value: unknown }[]
    records[out] = all.map((record) => [record.key, record.value] as const)
    tables[out] = new Map()
    for (const record of all)
      if (record.value === null) tables[out].delete(record.key)
      else tables[out].set(record.key, record.value)
  }
  await driver.close()
  return { records, tables }
}

const word = (value: string, at: number): Step => ({ do: 'word', key: 'a', value, at })
/** The third word fills the cache, and after the crash it must wait for a row first: it is undone and run again. */
const runAgain: Step[] = [word('z', 36), { do: 'commit' }, word('k', 0), word('k', 1), word('k', 36), word('k', 31), { do: 'crash' }]

describe('record cache', () => {
  it('property: final tables as without; crashes change nothing; at most one update a key and commit', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(stepOf, { maxLength: 50, size: 'max' }),
        fc.constantFrom<ByteSize>(1, 700, 2_000, '10MiB'),
        fc.integer({ min: 1, max: 3 }),
        async (steps, cache, partitions) => {
          const plain = await play(undefined, partitions, steps, false)
          const calm = await play(cache, partitions, steps, false)
          const crashed = await play(cache, partitions, steps, true)
          for (const out of OUTS) {
            // A session or a row that came and went within one commit was never seen.
            expect(calm.tables[out], out).toEqual(plain.tables[out])
            expect(crashed.records[out], out).toEqual(calm.records[out])
            expect(calm.records[out]?.length).toBeLessThanOrEqual(plain.records[out]?.length as number)
          }
        },
      ),
      { numRuns: 60, examples: [[runAgain, 700, 1]] },
    )
  })

  const letters = { key: string(), value: string() }
  const counting = (cache: ByteSize) =>
    topology('counting', (t) => {
      t.stream('words', letters)
        .groupByKey()
        .count({ store: 'counts', cache })
        .toStream()
        .to('out', { key: string(), value: json<number>() })
    })

  it('forwards the last update of each key at the commit, in the order of the last updates', async () => {
    const driver = new TopologyTestDriver(counting('1MiB'))
    const words = driver.input('words')
    for (const [i, word] of ['a', 'b', 'c', 'a', 'b', 'a'].entries()) await words.pipe({ key: word, value: '-', timestamp: i })
    await driver.commit()
    const out = driver.output('out').readAll() as readonly { key: unknown; value: unknown; timestamp: number }[]
    expect(out.map(({ key, value, timestamp }) => [key, value, timestamp])).toEqual([
      ['c', 1, 2],
      ['b', 2, 4],
      ['a', 3, 5],
    ])
    await driver.close()
  })

  it('that is full lets all go on', async () => {
    const driver = new TopologyTestDriver(counting(1_000))
    const words = driver.input('words')
    for (let i = 0; i < 4; i++) await words.pipe({ key: `k${i}`, value: '-', timestamp: i })
    await words.pipe({ key: 'k9', value: '-', timestamp: 9 })
    await driver.crash()
    await driver.commit()
    const keys = (driver.output('out').readAll() as readonly { key: unknown }[]).map((record) => record.key)
    expect(keys).toEqual(['k0', 'k1', 'k2', 'k3', 'k9'])
    await driver.close()
  })

  it('an update that throws behind the cache takes no other with it', async () => {
    const flow = topology('throwing', (t) => {
      t.table('rows', { ...letters, store: 'rows', cache: '1MiB' })
        .toStream()
        .map((value, key) => {
          if (value === 'bad') throw new Error('refused')
          return [key, value]
        }, letters)
        .to('out', letters)
    })
    const driver = new TopologyTestDriver(flow)
    const rows = driver.input('rows')
    for (const [i, value] of ['good', 'bad', 'fine', 'bad', 'last'].entries()) await rows.pipe({ key: `k${i}`, value, timestamp: i })
    await driver.commit()
    const out = driver.output('out').readAll() as readonly { key: unknown; value: unknown }[]
    expect(out.map(({ value }) => value)).toEqual(['good', 'fine', 'last'])
    await driver.close()
  })

  it('goes neither with emit close, nor with versioned, nor with what is no size', () => {
    const make = (build: Parameters<typeof topology>[1]) => () => topology('refused', build)
    const by = (t: Parameters<Parameters<typeof topology>[1]>[0]) => t.stream('words', letters).groupByKey()
    expect(make((t) => void by(t).windowedBy(tumbling('1s'), { emit: 'close' }).count({ cache: '1MiB' }))).toThrow(
      /cache does not go with emit/,
    )
    expect(make((t) => void by(t).windowedBy(tumbling('1s'), { lateTo: 'late' }).count({ cache: '1MiB' }))).toThrow(
      /cache does not go with lateTo/,
    )
    expect(make((t) => void t.table('rows', { ...letters, versioned: '1m', cache: '1MiB' }))).toThrow(/cache does not go with versioned/)
    expect(make((t) => void by(t).count({ cache: '1MB' as ByteSize }))).toThrow(/count: cache: "1MB" is no size/)
  })
})
