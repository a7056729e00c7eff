// Windows, suppress and cogroup as they are built: what is refused, by the operator's name, and what the nodes say.
import { describe, expect, it } from 'vitest'
import { hopping, session, sliding, string, topology, tumbling } from '../../src/index.ts'
import { plan } from '../../src/topology/plan.ts'

/** The untyped view that a JavaScript user has. */
type Loose = any

const text = { key: string(), value: string() }
const loose = { tumbling, hopping, sliding, session } as Loose

describe('refused', () => {
  const windows: readonly (readonly [name: string, make: () => unknown, message: RegExp])[] = [
    ['no size', () => loose.tumbling(), /^tumbling: size: undefined is no duration/],
    ['size 0', () => tumbling(0), /^tumbling: size must be over 0$/],
    ['negative size', () => tumbling(-5), /^tumbling: size: -5 is no duration/],
    ['size as text without a unit', () => loose.tumbling('5'), /^tumbling: size: "5" is no duration/],
    ['negative grace', () => tumbling('5m', { grace: -1 }), /^tumbling: grace: -1 is no duration/],
    ['grace misspelt', () => loose.tumbling('5m', { garce: '1m' }), /^tumbling: unknown option "garce"/],
    ['no advance', () => loose.hopping('5m'), /^hopping: advance is missing/],
    ['advance 0', () => hopping('5m', { advance: 0 }), /^hopping: advance must be over 0$/],
    ['advance over size', () => hopping('5m', { advance: '6m' }), /^hopping: advance \(360000 ms\) must not be over size \(300000 ms\)/],
    ['negative difference', () => sliding(-1), /^sliding: difference: -1 is no duration/],
    ['gap 0', () => session('0ms'), /^session: gap must be over 0$/],
    ['a fraction', () => session(1.5), /^session: gap: 1.5 is no duration/],
  ]
  for (const [name, make, message] of windows) it(name, () => expect(make).toThrow(message))

  const built: readonly (readonly [name: string, build: (grouped: Loose, t: Loose) => unknown, message: RegExp])[] = [
    ['no window', (g) => g.windowedBy('5m'), /^windowedBy: the window must be tumbling\(...\), .*, not a string$/],
    ['a bad emit', (g) => g.windowedBy(tumbling(5), { emit: 'final' }), /^windowedBy: emit must be 'update' or 'close', not "final"$/],
    ['onLate no function', (g) => g.windowedBy(tumbling(5), { onLate: 1 }), /^windowedBy: onLate must be a function, not a number$/],
    [
      'no merger',
      (g) => g.windowedBy(session(5)).aggregate(Number, Number, {}),
      /^aggregate: the merger must be a function, not an object$/,
    ],
    [
      'a short retention',
      (g) => g.windowedBy(tumbling(10, { grace: 5 })).count({ retention: 14 }),
      /^count: retention \(14 ms\) must not be under the time that a window is open \(15 ms\)$/,
    ],
    ['suppress without a word', (g) => g.count().suppress({}), /^suppress: name \{until: 'windowCloses'\} or \{for: '30s'\}$/],
    ['suppress until something else', (g) => g.count().suppress({ until: 'noon' }), /^suppress: until must be 'windowCloses', not "noon"$/],
    [
      'suppress until the window closes, where there is none',
      (g) => g.count({ store: 'all' }).filter(Boolean).suppress({ until: 'windowCloses' }),
      /^suppress: until 'windowCloses' needs a table of windows, but "source-1" has none/,
    ],
    [
      'a final result with a bound',
      (g) => g.windowedBy(tumbling(5)).count().suppress({ until: 'windowCloses', maxRecords: 5 }),
      /^suppress: maxRecords does not go with until/,
    ],
    ['a negative bound', (g) => g.count().suppress({ for: 5, maxRecords: -1 }), /^suppress: maxRecords must be a whole number, not -1$/],
    ['a bad clock', (g) => g.count().suppress({ for: 5, clock: 'sun' }), /^suppress: clock must be 'stream' or 'wall', not "sun"$/],
    ['cogroup without an adder', (g) => g.cogroup(), /^cogroup: the adder must be a function, not undefined$/],
    [
      'cogroup with a stream',
      (g, t) => g.cogroup(Number).cogroup(t.stream('b'), Number),
      /^cogroup: the other side must be a GroupedStream/,
    ],
    [
      'cogroup of keys of other serdes',
      (g, t) => g.cogroup(Number).cogroup(t.stream('b').groupByKey(), Number),
      /^cogroup: the keys are written by string and by json; equal keys would not meet$/,
    ],
  ]
  for (const [name, build, message] of built)
    it(name, () => {
      expect(() => topology('t', (t) => void build(t.stream('in', text).groupByKey(), t))).toThrow(message)
    })
})

describe('a changed key', () => {
  it('goes through a topic: one for a window, one a parent for a cogroup', () => {
    const made = topology('t', (t) => {
      const one = t.stream('one', text).groupBy((value) => value, { key: string() })
      const two = t.stream('two', text).groupBy((value) => value, { key: string() })
      const three = t.stream('three', text).groupByKey()
      one.windowedBy(tumbling('5m')).count({ store: 'windows' })
      one
        .cogroup<number>((n) => n + 1)
        .cogroup(two, (n) => n + 1)
        .cogroup(three, (n) => n + 1)
        .aggregate(() => 0, { store: 'both' })
    })
    const { internalTopics, coPartitions } = plan(made, 't')
    expect(internalTopics.map(({ name }) => name).sort()).toEqual([
      't-both-1-repartition',
      't-both-2-repartition',
      't-both-changelog',
      't-windows-changelog',
      't-windows-repartition',
    ])
    expect(coPartitions).toEqual([{ operator: 'both', topics: ['t-both-1-repartition', 't-both-2-repartition', 'three'] }])
  })
})
