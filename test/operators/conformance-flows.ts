// The topologies of the conformance suite as nodes of a plan, wired by hand as the plan would (repartition topics, stores, sendsOld).
import type { AnySerde } from '../../src/serde/serde.ts'
import { type Fields, json, type NodeSpec, store, text } from './harness.ts'

type Options = Omit<NodeSpec, 'name' | 'operator' | 'parents'>

const node = (name: string, parents: string, operator: Fields, options: Options = {}): NodeSpec => ({
  name,
  operator,
  parents: parents === '' ? [] : parents.split(' '),
  ...options,
})
const source = (topic: string, value: AnySerde = text, carries = 'records', name = topic): NodeSpec =>
  node(name, '', { kind: 'source', topics: [topic], carries, key: text, value }, { value })
const to = (parent: string, topic: string, value: AnySerde = text): NodeSpec =>
  node(`to-${topic}`, parent, { kind: 'sink', topic, partition: null }, { value })
const pass = (name: string, parents: string): NodeSpec => node(name, parents, { kind: 'merge' })
/** `t.table`, kept, with old values. */
const table = (topic: string, value: AnySerde = text, parent = `in-${topic}`): NodeSpec[] => [
  source(topic, value, 'records', `in-${topic}`),
  node(topic, parent, { kind: 'toTable' }, { stores: [store(`table-${topic}`, value)], sendsOld: true, value }),
]
const through = (parent: string, topic: string, value: AnySerde = text, keepsNullKeys = false): NodeSpec[] => [
  node(`to-${topic}`, parent, { kind: 'repartitionSink', topic, key: text, value, keepsNullKeys }),
  source(topic, value),
]

type Maybe = string | null
const first = (value: Maybe, key: Maybe): Maybe => (value == null ? key : value === '' ? null : value.slice(0, 1))
const pair = (l: Maybe, r: Maybe): string => `${l ?? 'null'}-${r ?? 'null'}`
const keyed = (l: Maybe, r: Maybe, key: Maybe): string => `${key ?? 'null'}:${l ?? 'null'}-${r ?? 'null'}`

interface Item {
  readonly g: string | null
  readonly n: number
}
interface Ref {
  readonly fk: string | null
  readonly v: string
}

const counted = (parent: string): NodeSpec[] => [
  node('counts', parent, { kind: 'aggregate', form: 'count', initial: null, adder: null }, { stores: [store('counts', json)] }),
  to('counts', 'out', json),
]

const grouped = (map: (value: Item) => unknown, groupValue: AnySerde, aggregate: Fields, value: AnySerde = json): NodeSpec[] => [
  ...table('in', json),
  node('group', 'in', { kind: 'changeSink', topic: 'groups', group: { fn: map, key: text, value: groupValue } }),
  source('groups', groupValue, 'changes'),
  node('result', 'groups', { initial: null, adder: null, subtractor: null, ...aggregate }, { stores: [store('result', value)] }),
  to('result', 'out', value),
]

const joined = (type: string, name = 'join', parents = 'left right', options: Options = {}): NodeSpec =>
  node(name, parents, { kind: 'tableJoin', type, joiner: pair }, options)
const sides = [...table('left'), ...table('right')]
const streamTable = (type: string): NodeSpec[] => [
  source('left'),
  ...table('right'),
  node('join', 'left right', { kind: 'streamTableJoin', type, joiner: keyed, graceMs: null }),
  to('join', 'out'),
]
const chain = (inner: string, outer: string): NodeSpec[] => [
  ...sides,
  joined(inner, 'first', 'left right', { sendsOld: true }),
  joined(outer, 'second', 'first right'),
  to('second', 'out'),
]
const foreign = (
  type: string,
  foreignKey: (value: Ref, key: string) => string | null,
  joiner: (l: Ref, r: Maybe) => string,
): NodeSpec[] => {
  const join = { type, foreignKey, joiner }
  const serdes = { foreignKeySerde: text, leftKey: text, leftValue: json, rightValue: text }
  const [state, asked] = [store('state'), store('asked')]
  return [
    ...table('left', json),
    ...table('right'),
    source('responses', text, 'bytes'),
    source('subscriptions', text, 'bytes'),
    node(
      'join',
      'left responses',
      { kind: 'foreignKeyLeft', join, subscriptionTopic: 'subscriptions', state, ...serdes },
      {
        stores: [state, store('joined')],
      },
    ),
    node(
      'ask',
      'right subscriptions',
      { kind: 'foreignKeyRight', join, responseTopic: 'responses', state: asked, ...serdes },
      { stores: [asked] },
    ),
    to('join', 'out'),
  ]
}
const refs = (l: Ref, r: Maybe): string => `${l.v}-${r ?? 'null'}`

export const conformanceFlows: Record<string, readonly NodeSpec[]> = {
  filter: [
    source('in'),
    node('few', 'in', { kind: 'filter', fn: (value: Maybe) => value != null && value < 'c' }),
    node('others', 'in', { kind: 'filterNot', fn: (value: Maybe, key: Maybe) => value == null || key == null || value < 'c' }),
    to('few', 'out'),
    to('others', 'rest'),
  ],
  map: [
    source('in'),
    node('it', 'in', {
      kind: 'map',
      fn: (value: Maybe, key: Maybe) => [value ? value.slice(0, 1) : null, key == null ? null : `${key}/${value ?? 'null'}`],
    }),
    node('to-out', 'it', { kind: 'sink', topic: 'out', partition: null }),
  ],
  'map-values': [
    source('in'),
    node('one', 'in', { kind: 'mapValues', fn: (value: Maybe) => (value == null ? 'none' : value.toUpperCase()) }),
    node('two', 'one', {
      kind: 'mapValues',
      fn: (value: string, key: Maybe) => (value === 'NONE' || value.startsWith('YAK') ? null : `${key ?? 'null'}:${value}`),
    }),
    to('two', 'out'),
  ],
  'flat-map': [
    source('in'),
    node('pairs', 'in', { kind: 'flatMap', fn: (value: Maybe) => (value ? value.split(',').map((word) => [word.slice(0, 1), word]) : []) }),
    to('pairs', 'out'),
    node('values', 'in', {
      kind: 'flatMapValues',
      fn: (value: Maybe, key: Maybe) =>
        value == null ? ['none', 'at all'] : value === '' ? [] : value.split(',').map((word) => `${word}!${key ?? 'null'}`),
    }),
    to('values', 'values'),
  ].map((each) => (each.name === 'to-values' ? { ...each, name: 'sink-values' } : each)),
  merge: [
    source('one'),
    source('two'),
    source('three'),
    node('ones', 'one', { kind: 'mapValues', fn: (value: Maybe) => `1:${value ?? 'null'}` }),
    pass('both', 'ones two'),
    node('threes', 'three', { kind: 'filter', fn: (value: Maybe) => value != null }),
    pass('all', 'both threes'),
    to('all', 'out'),
  ],
  peek: [
    source('in'),
    node('look', 'in', { kind: 'peek', fn: () => {} }),
    to('look', 'out'),
    node('each', 'in', { kind: 'forEach', fn: () => {} }),
  ],
  'select-key': [
    source('in'),
    node('it', 'in', {
      kind: 'selectKey',
      fn: (value: Maybe, key: Maybe) => (value == null ? key : value === '' || value.startsWith('yak') ? null : value.slice(0, 1)),
    }),
    to('it', 'out'),
  ],
  split: [
    source('in'),
    node('parts', 'in', {
      kind: 'split',
      predicates: [(value: Maybe) => value?.startsWith('ant'), (_: Maybe, key: Maybe) => key === 'a' || key === 'b'],
      hasDefault: true,
    }),
    node('ants', 'parts', { kind: 'branch' }),
    node('aOrB', 'parts', { kind: 'branch' }),
    node('rest', 'parts', { kind: 'branch' }),
    to('ants', 'ants'),
    node('loud', 'aOrB', { kind: 'mapValues', fn: (value: Maybe) => (value == null ? null : `${value}!`) }),
    to('loud', 'a-or-b'),
    to('rest', 'rest'),
    node('second', 'in', { kind: 'split', predicates: [(_: Maybe, key: Maybe) => key == null], hasDefault: false }),
    node('only', 'second', { kind: 'branch' }),
    to('only', 'only'),
  ],
  repartition: [
    source('in'),
    ...through('in', 'same'),
    to('same', 'out'),
    node('key', 'in', { kind: 'selectKey', fn: first }),
    ...through('key', 'by-letter'),
    node('shown', 'by-letter', { kind: 'mapValues', fn: (value: Maybe, key: Maybe) => `${key}=${value ?? 'null'}` }),
    to('shown', 'letters'),
  ],
  'to-dynamic': [
    source('in'),
    node('sink', 'in', {
      kind: 'sink',
      topic: (value: Maybe, key: Maybe) => (value == null || key == null ? 'none' : value.startsWith('bee') ? 'bees' : 'others'),
      partition: null,
    }),
  ],
  'to-table': [
    source('in'),
    node('plain', 'in', { kind: 'toTable' }, { stores: [store('plain')] }),
    node('news', 'plain', { kind: 'toStream' }),
    to('news', 'out'),
    node('key', 'in', { kind: 'selectKey', fn: first }),
    ...through('key', 'by-letter'),
    node('letters', 'by-letter', { kind: 'toTable' }, { stores: [store('letters')] }),
    node('loud', 'letters', { kind: 'tableMapValues', fn: (value: string) => `${value}!` }),
    to('loud', 'letters'),
  ],
  count: [source('in'), ...counted('in')],
  'count-by': [
    source('in', json),
    node('key', 'in', { kind: 'selectKey', fn: (value: Item | null) => value?.g ?? null }),
    ...through('key', 'groups', json),
    ...counted('groups'),
  ],
  reduce: [
    source('in'),
    node(
      'it',
      'in',
      { kind: 'aggregate', form: 'reduce', initial: null, adder: (a: string, v: string) => (a + v).slice(-9) },
      { stores: [store('joined')] },
    ),
    to('it', 'out'),
  ],
  aggregate: [
    source('in'),
    node(
      'it',
      'in',
      {
        kind: 'aggregate',
        form: 'aggregate',
        initial: () => ({ n: 0 }),
        adder: (a: { n: number }, value: string, key: string) => (value.startsWith('q') ? null : { n: a.n + 1, last: key + value }),
      },
      { stores: [store('tally', json)] },
    ),
    to('it', 'out', json),
  ],
  'table-filter': [
    ...table('in'),
    node('few', 'in', { kind: 'tableFilter', fn: (value: string) => value < 'c' }, { sendsOld: true }),
    to('few', 'out'),
    node('kept', 'in', { kind: 'tableFilter', fn: (value: string) => value < 'c' }, { sendsOld: true, stores: [store('stored')] }),
    to('kept', 'stored'),
    node('others', 'in', { kind: 'tableFilterNot', fn: (_: string, key: string) => key === 'a' }, { sendsOld: true }),
    node('named', 'others', { kind: 'tableMapValues', fn: (value: string, key: string) => `${key}${value}` }),
    to('named', 'not'),
  ],
  'table-map-values': [
    ...table('in'),
    node('loud', 'in', { kind: 'tableMapValues', fn: (value: string) => (value.startsWith('yak') ? null : value.toUpperCase()) }),
    to('loud', 'out'),
    node(
      'kept',
      'in',
      { kind: 'tableMapValues', fn: (value: string, key: string) => (value.startsWith('yak') ? null : `${key}${value}`) },
      { stores: [store('stored')] },
    ),
    to('kept', 'stored'),
  ],
  'table-count': grouped((value) => [value.g, value], json, { kind: 'tableAggregate', form: 'count' }),
  'table-reduce': grouped((value) => [value.g, value.n], json, {
    kind: 'tableAggregate',
    form: 'reduce',
    adder: (sum: number, n: number) => sum + n,
    subtractor: (sum: number, n: number) => sum - n,
  }),
  'table-aggregate': grouped((value) => [value.g, value], json, {
    kind: 'tableAggregate',
    form: 'aggregate',
    initial: () => ({ n: 0, sum: 0, log: '' }),
    adder: (a: any, item: Item) => ({ n: a.n + 1, sum: a.sum + item.n, log: `${a.log}+${item.n}`.slice(-8) }),
    subtractor: (a: any, item: Item) => (a.n === 1 ? null : { n: a.n - 1, sum: a.sum - item.n, log: `${a.log}-${item.n}`.slice(-8) }),
  }),
  'table-join-inner': [...sides, joined('inner'), to('join', 'out')],
  'table-join-left': [...sides, joined('left'), to('join', 'out')],
  'table-join-outer': [...sides, joined('outer'), to('join', 'out')],
  'table-join-stored': [
    ...sides,
    joined('left', 'join', 'left right', { stores: [store('joined')], sendsOld: true }),
    node('whole', 'join', { kind: 'tableFilter', fn: (value: string) => !value.endsWith('null') }, { sendsOld: true }),
    to('whole', 'out'),
  ],
  'table-chain-inner-inner': chain('inner', 'inner'),
  'table-chain-left-outer': chain('left', 'outer'),
  'table-chain-outer-left': chain('outer', 'left'),
  'stream-table-inner': streamTable('inner'),
  'stream-table-left': streamTable('left'),
  'stream-table-rekeyed': [
    source('left', json),
    node('key', 'left', {
      kind: 'selectKey',
      fn: (value: Item | null, key: Maybe) => (value?.g == null ? null : ['x', 'y', 'z'].includes(value.g) && key != null ? key : value.g),
    }),
    ...table('right'),
    ...(['inner', 'left'] as const).flatMap((type) => [
      ...through('key', `for-${type}`, json, type === 'left'),
      node(`${type}-join`, `for-${type} right`, {
        kind: 'streamTableJoin',
        graceMs: null,
        type,
        joiner: (l: Item | null, r: Maybe, key: Maybe) => `${key ?? 'null'}:${l?.n ?? 'null'}-${r ?? 'null'}`,
      }),
      to(`${type}-join`, type === 'left' ? 'outer' : type),
    ]),
  ],
  'fk-inner': foreign('inner', (value) => value.fk, refs),
  'fk-left': foreign('left', (value) => value.fk, refs),
  'fk-key-and-value': foreign('inner', (value, key) => value.fk ?? key, refs),
}
