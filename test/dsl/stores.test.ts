// What is declared for processors, and what is refused there: each by the name of the store or the operator.
import { describe, expect, it } from 'vitest'
import { keyValue, readOnly, session, string, type TopologyBuilder, topology, tumbling, versioned, window } from '../../src/index.ts'
import { plan } from '../../src/topology/plan.ts'
import { sizePlan } from '../../src/topology/sizing.ts'

const text = { key: string(), value: string() }
const built = (build: (t: TopologyBuilder) => unknown) => topology('it', (t) => void build(t))
const nothing = () => ({ process() {} })

describe('stores', () => {
  it.each<readonly [string, () => unknown, RegExp]>([
    ['no name', () => keyValue({} as never), /^keyValue: store name undefined is not allowed/],
    ['a bad name', () => keyValue({ name: 'a/b' }), /^keyValue: store name "a\/b" is not allowed/],
    [
      'an option that is not known',
      () => keyValue({ name: 'a', tll: '1m' } as never),
      /^keyValue: unknown option "tll" \(did you mean "ttl"\?\)/,
    ],
    ['a serde that is none', () => keyValue({ name: 'a', key: string as never }), /^keyValue "a": key must be a serde .* call it/],
    ['a ttl of nothing', () => keyValue({ name: 'a', ttl: 0 }), /^keyValue "a": a ttl of 0 keeps nothing/],
    ['a ttl that is none', () => keyValue({ name: 'a', ttl: 'soon' as never }), /^keyValue "a": ttl: "soon" is no duration/],
    [
      'persistent that is no flag',
      () => keyValue({ name: 'a', persistent: 1 as never }),
      /^keyValue "a": persistent must be true or false/,
    ],
    ['no size', () => window({ name: 'w', retention: '1m' } as never), /^window "w": size is missing/],
    ['a size of nothing', () => window({ name: 'w', size: 0, retention: '1m' }), /^window "w": size must be longer than 0/],
    [
      'a retention under the size',
      () => window({ name: 'w', size: '2m', retention: '1m' }),
      /^window "w": retention \(60000 ms\) must not be/,
    ],
    ['no retention of sessions', () => session({ name: 's' } as never), /^session "s": retention is missing/],
    [
      'options beside those of a session store',
      () => session({ name: 's', retention: '1m' } as never, {}),
      /^session: a store takes one object/,
    ],
    ['a ttl for versions', () => versioned({ name: 'v', retention: '1m', ttl: '1m' } as never), /^versioned: unknown option "ttl"/],
  ])('with %s are refused', (_, declare, message) => {
    expect(declare).toThrow(message)
  })

  it.each<readonly [string, (t: TopologyBuilder) => unknown, RegExp]>([
    [
      'a name twice',
      (t) => [t.store(keyValue({ name: 'a' })), t.store(window({ name: 'a', size: 1, retention: 1 }))],
      /^window: the store name "a" is taken/,
    ],
    [
      'a name that differs in case',
      (t) => [t.store(keyValue({ name: 'a' })), t.store(keyValue({ name: 'A' }))],
      /^keyValue: .* differs from "a" only in case/,
    ],
    [
      'a name of a table',
      (t) => [t.table('in', { ...text, store: 'a' }), t.store(keyValue({ name: 'a' }))],
      /^keyValue: the store name "a" is taken/,
    ],
    ['no declaration', (t) => t.store({ name: 'a' } as never), /^store: it takes keyValue/],
    [
      'a declaration that was not made known',
      (t) => t.stream('in').process(nothing, { stores: [keyValue({ name: 'a' }) as never] }),
      /^process: stores must hold what t.store/,
    ],
    [
      'no array',
      (t) => t.stream('in').process(nothing, { stores: t.store(keyValue({ name: 'a' })) as never }),
      /^process: stores must be an array/,
    ],
    [
      'a store twice',
      (t) => t.stream('in').process(nothing, { stores: [t.store(keyValue({ name: 'a' })), 'a'] }),
      /^process: the store "a" is named twice/,
    ],
    [
      'a name that is nobody',
      (t) => [t.store(keyValue({ name: 'prices' })), t.stream('in').process(nothing, { stores: ['price'] })],
      /^process: no store "price" .* \(did you mean "prices"\?\)/,
    ],
    [
      'the store of what is no table',
      (t) => [
        t.stream('x', text).dedupe({ store: 'seen', id: (value) => value, retention: '1m' }),
        t.stream('in').process(nothing, { stores: ['seen'] }),
      ],
      /^process: the store "seen" holds what "seen" keeps for itself; only tables can be read/,
    ],
    [
      'a table without a store',
      (t) => t.stream('in').process(nothing, { stores: [readOnly(t.table('x', text))] }),
      /^readOnly: the table ".*" has no store; give it one, \{store: 'name'\}/,
    ],
    [
      'windows as a table',
      (t) => readOnly(t.stream('in', text).groupByKey().windowedBy(tumbling(5)).count({ store: 'w' })),
      /^readOnly: "w" holds windows; write its name into stores/,
    ],
    [
      'a table twice',
      (t) => {
        const table = t.globalTable('x', { ...text, store: 'x' })
        t.stream('in').process(nothing, { stores: [readOnly(table), 'x'] })
      },
      /^process: the store "x" is named twice/,
    ],
    ['a supplier that is none', (t) => t.stream('in').process({} as never), /^process: the supplier must be a function, not an object/],
    [
      'a key serde for processValues',
      (t) => t.stream('in').processValues(nothing, { key: string() } as never),
      /^processValues: unknown option "key"/,
    ],
    ['outputs that are none', (t) => t.stream('in').process(nothing, { outputs: [] as never }), /^process: outputs is empty/],
    ['an output twice', (t) => t.stream('in').process(nothing, { outputs: ['a', 'a'] }), /^process: the output "a" is named twice/],
    ['readOnly of something else', () => readOnly({ name: 'a' } as never), /^readOnly: it takes what t.store/],
  ])('refuses %s', (_, build, message) => {
    expect(() => built(build)).toThrow(message)
  })

  it('belong to one topology', () => {
    let other: any
    built((t) => {
      t.stream('in')
      other = t.store(keyValue({ name: 'a' }))
    })
    expect(() => built((t) => t.stream('in').process(nothing, { stores: [other] }))).toThrow(/belongs to another topology \("it"\)/)
  })

  it('of tables bring their processors into the sub-topology of the table, with equal partition counts; a global table does not', () => {
    const made = plan(
      built((t) => {
        t.table('a', { ...text, store: 'rows', versioned: '1m' })
        t.globalTable('g', { ...text, store: 'all' })
        t.stream('b', text).process(nothing, { stores: ['rows', 'all'] })
        t.stream('c', text).process(nothing, { stores: ['all'] })
      }),
      'app',
    )
    expect(made.subTopologies.map(({ stores }) => stores.map(({ name }) => name))).toEqual([['rows', 'rows-history'], []])
    const sized = (b: number) => sizePlan(made, new Map(Object.entries({ a: 2, b, c: 5, g: 1 }))).tasks
    expect(() => sized(3)).toThrow(/"a" has 2 partitions and "b" has 3/)
    expect(sized(2)).toEqual([2, 5])
  })

  it('that are shared bring their processors into one sub-topology, with one changelog and equal partition counts', () => {
    const shared = built((t) => {
      const rows = t.store(keyValue({ name: 'rows', ...text }))
      t.stream('a', text).process(nothing, { stores: [rows] })
      t.stream('b', text).processValues(nothing, { stores: ['rows'] })
      t.stream('c', text).process(nothing)
    })
    const made = plan(shared, 'app')
    expect(made.subTopologies).toHaveLength(2)
    expect(made.subTopologies[0]?.stores.map(({ name }) => name)).toEqual(['rows'])
    expect(made.internalTopics.map(({ name }) => name)).toEqual(['app-rows-changelog'])
    const counts = (a: number, b: number) =>
      new Map([
        ['a', a],
        ['b', b],
        ['c', 7],
      ] as const)
    expect(sizePlan(made, counts(4, 4)).tasks).toEqual([4, 7])
    expect(() => sizePlan(made, counts(4, 2))).toThrow(/needs co-partitioned topics, but "a" has 4 partitions and "b" has 2/)
  })
})
