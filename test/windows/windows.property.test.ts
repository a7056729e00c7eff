// Windows against their definitions: random histories, in and out of order, with null keys and values, on 1 to 3 partitions, with
// commits and crashes at random points. A crash must not change what comes out.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hopping, json, session, sliding, string, type Topology, topology, tumbling, type Windowed } from '../../src/index.ts'
import {
  lateSlidingOracle,
  merged,
  type Outcome,
  sessionOracle,
  slidingOracle,
  suppressOracle,
  tallied,
  tally,
  timeOracle,
  wallSuppressOracle,
} from './oracle.ts'
import { PLAIN, run, waysOf } from '../support/every-step.ts'
import { runsOf } from '../support/tier.ts'
import { type Event, eventsOf, history, type Out, play, type Step } from './play.ts'

const text = { key: string(), value: string() }
const partitions = fc.integer({ min: 1, max: 3 })
const RUNS = { numRuns: runsOf(100, 500) }

/** Each partition's outputs are the oracle's. */
async function check(
  made: Topology,
  steps: readonly Step[],
  count: number,
  expected: (events: readonly Event[]) => readonly Out[],
): Promise<void> {
  const outs = await play(made, count, steps)
  for (const [partition, out] of outs.entries()) expect(out).toEqual(expected(eventsOf(steps, partition)))
}

const cases = (topics: readonly string[] = ['in']) =>
  partitions.chain((count) => fc.record({ count: fc.constant(count), steps: history(topics, count), grace: fc.constantFrom(0, 3, 10) }))

describe('tumbling and hopping windows', () => {
  const windowsOf = (size: number, advance: number, grace: number, emit: 'update' | 'close', retention?: number): Topology =>
    topology('time', (t) => {
      t.stream('in', text)
        .groupByKey()
        .windowedBy(advance === size ? tumbling(size, { grace }) : hopping(size, { advance, grace }), { emit })
        .aggregate(tally, tallied, { store: 'tally', ...(retention === undefined ? {} : { retention }) })
        .toStream()
        .to('out')
    })
  const shapes = fc.constantFrom([10, 10], [10, 5], [10, 3], [7, 2]) as fc.Arbitrary<[number, number]>
  const kept = fc.constantFrom(undefined, 60)

  for (const emit of ['update', 'close'] as const) {
    test(`emit: '${emit}'`, async () => {
      await fc.assert(
        fc.asyncProperty(cases(), shapes, kept, async ({ count, steps, grace }, [size, advance], retention) => {
          await check(windowsOf(size, advance, grace, emit, retention), steps, count, (events) => {
            const oracle = timeOracle(events, size, advance, grace)
            return emit === 'update' ? oracle.updates : oracle.closed
          })
        }),
        RUNS,
      )
    })
  }

  test('a suppressed table of updates is what is put out at the close', async () => {
    await fc.assert(
      fc.asyncProperty(cases(), shapes, async ({ count, steps, grace }, [size, advance]) => {
        const made = topology('suppressed', (t) => {
          t.stream('in', text)
            .groupByKey()
            .windowedBy(hopping(size, { advance, grace }))
            .aggregate(tally, tallied)
            .suppress({ until: 'windowCloses' })
            .toStream()
            .to('out')
        })
        await check(made, steps, count, (events) => {
          // Kafka Streams' order: by the window's end and then the serialised key. The stream time is that of the results.
          const { updates } = timeOracle(events, size, advance, grace)
          return suppressed(updates, grace)
        })
      }),
      RUNS,
    )
  })
})

/** The last update of each window, once stream time, which is the greatest timestamp of an update, is past the grace. */
function suppressed(updates: readonly Out[], grace: number): Out[] {
  const outs: Out[] = []
  let waiting: Out[] = []
  let streamTime = -1
  for (const update of updates) {
    const [key, , timestamp] = update as readonly [Windowed<string>, unknown, number]
    streamTime = Math.max(streamTime, timestamp)
    const same = (other: Out): boolean => {
      const [otherKey] = other as readonly [Windowed<string>, unknown, number]
      return otherKey.key === key.key && otherKey.start === key.start
    }
    waiting = [...waiting.filter((other) => !same(other)), update]
    const due = waiting.filter(([each]) => (each as Windowed<string>).end <= streamTime - grace)
    waiting = waiting.filter((each) => !due.includes(each))
    const order = ([each]: Out): string => `${String((each as Windowed<string>).end).padStart(6, '0')}${(each as Windowed<string>).key}`
    outs.push(...due.sort((a, b) => (order(a) < order(b) ? -1 : 1)))
  }
  return outs
}

describe('sessions', () => {
  for (const emit of ['update', 'close'] as const) {
    test(`emit: '${emit}'`, async () => {
      await fc.assert(
        fc.asyncProperty(
          cases(),
          fc.constantFrom(1, 4, 9),
          fc.constantFrom(undefined, 80),
          async ({ count, steps, grace }, gap, retention) => {
            const made = topology('sessions', (t) => {
              t.stream('in', text)
                .groupByKey()
                .windowedBy(session(gap, { grace }), { emit })
                .aggregate(tally, tallied, merged, { store: 'tally', ...(retention === undefined ? {} : { retention }) })
                .toStream()
                .to('out')
            })
            await check(made, steps, count, (events) => {
              const oracle: Outcome = sessionOracle(events, gap, grace)
              return emit === 'update' ? oracle.updates : oracle.closed
            })
          },
        ),
        RUNS,
      )
    })
  }
})

describe('sliding windows', () => {
  const windowsOf = (difference: number, grace: number, emit: 'update' | 'close'): Topology =>
    topology('sliding', (t) => {
      t.stream('in', text).groupByKey().windowedBy(sliding(difference, { grace }), { emit }).count({ store: 'counts' }).toStream().to('out')
    })
  const table = (outs: readonly Out[]): Map<string, readonly [number, number]> =>
    new Map(
      outs.map(([key, value, timestamp]) => {
        const { key: name, start, end } = key as Windowed<string>
        return [`${name}@${start}-${end}`, [value as number, timestamp]]
      }),
    )

  test('with nothing late, the table is what the definition says', async () => {
    await fc.assert(
      fc.asyncProperty(cases(), fc.constantFrom(0, 1, 6, 15), async ({ count, steps }, difference) => {
        const outs = await play(windowsOf(difference, 10_000, 'update'), count, steps)
        for (const [partition, out] of outs.entries()) expect(table(out)).toEqual(slidingOracle(eventsOf(steps, partition), difference))
      }),
      RUNS,
    )
  })

  test('with late records too', async () => {
    await fc.assert(
      fc.asyncProperty(cases(), fc.constantFrom(0, 1, 6, 15), async ({ count, steps, grace }, difference) => {
        const outs = await play(windowsOf(difference, grace, 'update'), count, steps)
        for (const [partition, out] of outs.entries())
          expect(table(out)).toEqual(lateSlidingOracle(eventsOf(steps, partition), difference, grace))
      }),
      RUNS,
    )
  })

  test('at the close each window comes once, as the last update left it, by start and key', async () => {
    await fc.assert(
      fc.asyncProperty(cases(), fc.constantFrom(0, 1, 6, 15), async ({ count, steps, grace }, difference) => {
        const updates = await play(windowsOf(difference, grace, 'update'), count, steps)
        const closed = await play(windowsOf(difference, grace, 'close'), count, steps)
        closed.forEach((out, partition) => {
          const times = eventsOf(steps, partition).flatMap(({ key, value, timestamp }) =>
            key === null || value === null ? [] : [timestamp],
          )
          const closeTime = Math.max(-1, ...times) - grace
          const expected = [...table(updates[partition] as Out[])].filter(([name]) => Number(name.split('-')[1]) < closeTime)
          const order = ([name]: readonly [string, unknown]): string => `${name.split(/[@-]/)[1]?.padStart(6, '0')}${name}`
          expect([...table(out)].sort((a, b) => (order(a) < order(b) ? -1 : 1))).toEqual(
            expected.sort((a, b) => (order(a) < order(b) ? -1 : 1)),
          )
          expect(table(out).size).toBe(out.length)
        })
      }),
      RUNS,
    )
  })
})

describe('late records to a topic', () => {
  for (const form of ['hopping', 'session'] as const) {
    for (const emit of ['update', 'close'] as const) {
      test(`${form}, ${emit}: each once, as it came; the results are those without`, async () => {
        await fc.assert(
          fc.asyncProperty(cases(), async ({ count, steps }) => {
            const made = topology('late', (t) => {
              const windowed = t.stream('in', text).groupByKey()
              const options = { emit, lateTo: 'late' }
              const counted =
                form === 'hopping'
                  ? windowed.windowedBy(hopping(10, { advance: 3, grace: 3 }), options).aggregate(tally, tallied)
                  : windowed.windowedBy(session(4, { grace: 3 }), options).aggregate(tally, tallied, merged)
              counted.toStream().to('out')
            })
            const outcome = (events: readonly Event[]): Outcome =>
              form === 'hopping' ? timeOracle(events, 10, 3, 3) : sessionOracle(events, 4, 3)
            await check(made, steps, count, (events) => outcome(events)[emit === 'update' ? 'updates' : 'closed'])
            const late = await play(made, count, steps, 'late')
            for (const [partition, out] of late.entries()) {
              const events = [...outcome(eventsOf(steps, partition)).lateRecords]
              expect(out).toEqual(events.map(({ key, value, timestamp }) => [key, value, timestamp]))
            }
          }),
          RUNS,
        )
      })
    }
  }
})

describe('cogroup', () => {
  test('by windows: each input has its own stream time', async () => {
    await fc.assert(
      fc.asyncProperty(cases(['one', 'two']), async ({ count, steps, grace }) => {
        const made = topology('cogroup', (t) => {
          const one = t.stream('one', text).groupByKey()
          const two = t.stream('two', text).groupByKey()
          one.cogroup(tallied).cogroup(two, tallied).windowedBy(tumbling(10, { grace })).aggregate(tally).toStream().to('out')
        })
        await check(made, steps, count, (events) => timeOracle(events, 10, 10, grace, true).updates)
      }),
      RUNS,
    )
  })

  test('by windows, put out at the close: one stream time', async () => {
    await fc.assert(
      fc.asyncProperty(cases(['one', 'two']), async ({ count, steps, grace }) => {
        const made = topology('cogroup', (t) => {
          const one = t.stream('one', text).groupByKey()
          const two = t.stream('two', text).groupByKey()
          one
            .cogroup(tallied)
            .cogroup(two, tallied)
            .windowedBy(tumbling(10, { grace }), { emit: 'close' })
            .aggregate(tally)
            .toStream()
            .to('out')
        })
        await check(made, steps, count, (events) => timeOracle(events, 10, 10, grace).closed)
      }),
      RUNS,
    )
  })

  test('by sessions: each input has its own stream time', async () => {
    await fc.assert(
      fc.asyncProperty(cases(['one', 'two']), fc.constantFrom(1, 4, 9), async ({ count, steps, grace }, gap) => {
        const made = topology('cogroup', (t) => {
          const one = t.stream('one', text).groupByKey()
          const two = t.stream('two', text).groupByKey()
          one.cogroup(tallied).cogroup(two, tallied).windowedBy(session(gap, { grace })).aggregate(tally, merged).toStream().to('out')
        })
        await check(made, steps, count, (events) => sessionOracle(events, gap, grace, true).updates)
      }),
      RUNS,
    )
  })

  test('without a window: one state', async () => {
    await fc.assert(
      fc.asyncProperty(cases(['one', 'two']), async ({ count, steps }) => {
        const made = topology('cogroup', (t) => {
          const one = t.stream('one', text).groupByKey()
          const two = t.stream('two', text).groupByKey()
          const add = (state: string, value: string): string => `${state}${value}`
          one
            .cogroup<string>(add)
            .cogroup(two, (state, value, key) => `${state}${key}${value}`)
            .aggregate(() => '', { value: json<string>() })
            .toStream()
            .to('out')
        })
        await check(made, steps, count, (events) => {
          const states = new Map<string, readonly [string, number]>()
          return events.flatMap(({ topic, key, value, timestamp }): Out[] => {
            if (key === null || value === null) return []
            const [state, at] = states.get(key) ?? ['', -1]
            const next = [topic === 'one' ? `${state}${value}` : `${state}${key}${value}`, Math.max(at, timestamp)] as const
            states.set(key, next)
            return [[key, ...next]]
          })
        })
      }),
      RUNS,
    )
  })
})

test('suppress for a time, with a bound', async () => {
  await fc.assert(
    fc.asyncProperty(cases(), fc.constantFrom(0, 5, 20), fc.constantFrom(0, 1, 2, 100), async ({ count, steps }, wait, maxRecords) => {
      const made = topology('suppress', (t) => {
        t.table('in', { ...text, store: 'rows' })
          .suppress({ for: wait, maxRecords })
          .toStream()
          .to('out')
      })
      await check(made, steps, count, (events) => suppressOracle(events, wait, maxRecords))
    }),
    RUNS,
  )
})

test('suppress for a time by the clock, with a crash behind each step', async () => {
  const key = fc.option(fc.constantFrom('a', 'b', 'c'), { freq: 9 })
  const record = fc.record({ topic: fc.constant('in'), key, value: fc.option(fc.constantFrom('p', 'q')), timestamp: fc.nat(50) })
  const moves = fc.record({ advanceMs: fc.integer({ min: 1, max: 12 }) })
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(record, moves), { maxLength: 30 }), fc.constantFrom(1, 5, 20), async (steps, wait) => {
      const made = topology('suppress', (t) => {
        t.table('in', { ...text, store: 'rows' })
          .suppress({ for: wait, clock: 'wall' })
          .toStream()
          .to('out', text)
      })
      const oracle = wallSuppressOracle(wait)
      const expected = steps.flatMap((step): Out[] => {
        if ('advanceMs' in step) return oracle.advance(step.advanceMs)
        oracle.update(step)
        return []
      })
      for (const way of [PLAIN, ...waysOf(7).filter(({ stores }) => stores === 'memory')])
        expect({ way: way.name, out: (await run(made, 1, steps, way)).outputs['out-0'] ?? [] }).toEqual({ way: way.name, out: expected })
    }),
    { numRuns: runsOf(30, 200) },
  )
})
