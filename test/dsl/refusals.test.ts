// Mistakes that the compiler would have caught in TypeScript, made at run time: each is refused when it is made, by the operator's name.
import { describe, expect, it } from 'vitest'
import { Stream } from '../../src/dsl/stream.ts'
import { topology } from '../../src/dsl/topology.ts'
import { within } from '../../src/dsl/within.ts'
import { json } from '../../src/serde/json.ts'
import { string } from '../../src/serde/text.ts'

/** The untyped view that a JavaScript user has. */
type Loose = any

function refusal(build: (t: Loose) => void): { code: string; message: string; disposition: string } {
  try {
    topology('t', build)
  } catch (error) {
    const { code, message, disposition } = error as { code: string; message: string; disposition: string }
    return { code, message, disposition }
  }
  throw new Error('not refused')
}

const text = { key: string(), value: string() }
const HOLD = { timeout: '1m' }
const holds = (t: Loose, options: object): unknown => {
  t.table('b', { store: 'b' })
  return t.stream('a').holdUntil(() => [], options)
}
const calls = (t: Loose, options: object): unknown => t.stream('a').mapAsync(() => 1, options)
const waiting = (t: Loose, buffer: object): unknown => t.stream('a').join(t.table('b'), () => 1, { buffer })

describe('refused when built', () => {
  const cases: readonly (readonly [name: string, build: (t: Loose) => void, code: string, message: RegExp])[] = [
    ['no function', (t) => t.stream('in').filter('x'), 'STREAM_TOPOLOGY', /^filter: the predicate must be a function, not a string$/],
    ['no function in map', (t) => t.stream('in').map(), 'STREAM_TOPOLOGY', /^map: the mapper must be a function, not undefined$/],
    ['no joiner', (t) => t.table('a').join(t.table('b'), {}), 'STREAM_TOPOLOGY', /^join: the joiner must be a function, not an object$/],
    [
      'no foreign key',
      (t) => t.table('a').leftJoin(t.table('b'), 'id', () => 1),
      'STREAM_TOPOLOGY',
      /^leftJoin: the foreign key must be a function/,
    ],
    [
      'no subtractor',
      (t) =>
        t
          .table('a')
          .groupBy(() => [1, 1])
          .reduce(() => 1),
      'STREAM_TOPOLOGY',
      /^reduce: the subtractor must be a function/,
    ],
    [
      'no version',
      (t) => t.stream('a').lastWriteWins({ store: 's' }),
      'STREAM_TOPOLOGY',
      /^lastWriteWins: version must be a function, not undefined$/,
    ],
    [
      'by foreign key without a buffer',
      (t) => t.stream('a').join(t.table('b'), () => 1, { on: () => 1 }),
      'STREAM_TOPOLOGY',
      /^join: a join of a stream by foreign key needs a buffer/,
    ],
    ['a hold without a buffer', (t) => holds(t, {}), 'STREAM_TOPOLOGY', /^holdUntil: it needs a buffer, such as/],
    [
      'a hold without tables',
      (t) => t.stream('a').holdUntil(() => [], { buffer: HOLD }),
      'STREAM_TOPOLOGY',
      /^holdUntil: no table with a store/,
    ],
    [
      'a table that is not there',
      (t) => holds(t, { buffer: HOLD, tables: ['c'] }),
      'STREAM_TOPOLOGY',
      /^holdUntil: no table with the store "c"/,
    ],
    [
      'a stream for a table',
      (t) => holds(t, { buffer: HOLD, tables: [t.stream('c')] }),
      'STREAM_TOPOLOGY',
      /^holdUntil: tables must name tables .* a Stream$/,
    ],
    ['no tables', (t) => holds(t, { buffer: HOLD, tables: [] }), 'STREAM_TOPOLOGY', /^holdUntil: tables must be an array of tables/],
    [
      'nothing to call',
      (t) => t.stream('a').mapAsync('fn'),
      'STREAM_TOPOLOGY',
      /^mapAsync: what it calls must be a function, not a string$/,
    ],
    [
      'no such order of calls',
      (t) => calls(t, { order: 'any' }),
      'STREAM_TOPOLOGY',
      /^mapAsync: order must be 'key' or 'none', not "any"$/,
    ],
    ['no call at once', (t) => calls(t, { concurrency: 0 }), 'STREAM_TOPOLOGY', /^mapAsync: concurrency .* from 1 to 10000, not 0$/],
    ['retries without attempts', (t) => calls(t, { retry: {} }), 'STREAM_TOPOLOGY', /^mapAsync: name how often a record is tried/],
    ['a call without time', (t) => calls(t, { timeout: '0s' }), 'STREAM_TOPOLOGY', /^mapAsync: a timeout of 0 leaves no time/],
    ['no such end', (t) => calls(t, { onError: 'retry' }), 'STREAM_TOPOLOGY', /^mapAsync: onError must be .* not "retry"$/],
    [
      'no such policy',
      (t) => t.stream('a', { onError: 'retry' }),
      'STREAM_TOPOLOGY',
      /^stream: onError must be 'deadLetter', .* not "retry"$/,
    ],
    ['a function for a policy', (t) => t.stream('a').to('b', { onError: () => 1 }), 'STREAM_TOPOLOGY', /^to: onError must .* a function$/],
    [
      'blockKey of an operator',
      (t) => t.stream('a').filter(() => true, { onError: { blockKey: true } }),
      'STREAM_TOPOLOGY',
      /^filter: blockKey is not for one operator: .* onError: \{blockKey: true\}$/,
    ],
    [
      'blockKey among the options of an operator',
      (t) => calls(t, { blockKey: true }),
      'STREAM_TOPOLOGY',
      /^mapAsync: blockKey is not for one operator/,
    ],
    [
      'a policy of what calls nothing',
      (t) => t.stream('a').repartition({ onError: 'skip' }),
      'STREAM_TOPOLOGY',
      /^repartition: unknown option "onError"/,
    ],
    [
      'a policy of a global table',
      (t) => t.globalTable('a', { onError: 'skip' }),
      'STREAM_TOPOLOGY',
      /^globalTable: onError is not for a global table: .* left out and counted/,
    ],
    ['a buffer without its timeout', (t) => waiting(t, { maxRecords: 1 }), 'STREAM_TOPOLOGY', /^join: name the buffer's timeout/],
    ['no time to wait', (t) => waiting(t, { timeout: 0 }), 'STREAM_TOPOLOGY', /^join: a timeout of 0 waits for nothing/],
    ['room for none', (t) => waiting(t, { timeout: '1m', maxRecords: 0 }), 'STREAM_TOPOLOGY', /^join: the buffer's maxRecords .* not 0$/],
    [
      'no such end',
      (t) => waiting(t, { timeout: '1m', onTimeout: 'skip' }),
      'STREAM_TOPOLOGY',
      /^join: the buffer's onTimeout must be 'deadLetter' or 'emit' or 'drop', not "skip"$/,
    ],
    ['no such bound', (t) => waiting(t, { timeout: '1m', max: 1 }), 'STREAM_TOPOLOGY', /^join: buffer: unknown option "max"/],
    ['no such clock', (t) => waiting(t, { timeout: '1m', clock: 'both' }), 'STREAM_TOPOLOGY', /^join: the buffer's clock must be/],
    [
      'a left join that waits',
      (t) => t.stream('a').leftJoin(t.table('b'), () => 1, { buffer: { timeout: '1m' } }),
      'STREAM_TOPOLOGY',
      /^leftJoin: a buffering join is join\(\.\.\.\) with onTimeout: 'emit'/,
    ],
    ['no retention', (t) => t.stream('a').dedupe({ id: () => 1 }), 'STREAM_TOPOLOGY', /^dedupe: name a retention/],
    ['no time', (t) => t.stream('a').dedupe({ id: () => 1, retention: '0s' }), 'STREAM_TOPOLOGY', /^dedupe: a retention of 0/],
    ['no id', (t) => t.stream('a').dedupe({ retention: '1h' }), 'STREAM_TOPOLOGY', /^dedupe: id must be a function, not undefined$/],
    ['no duration', (t) => t.stream('a').dedupe({ id: () => 1, retention: '1 hour' }), 'STREAM_USAGE', /^dedupe: retention: "1 hour"/],
    [
      'no serde',
      (t) => t.stream('a', { key: 'string' }),
      'STREAM_TOPOLOGY',
      /^stream: key must be a serde with encode and decode, not a string$/,
    ],
    [
      'a join of streams without a window',
      (t) => t.stream('a').join(t.stream('b'), () => 1),
      'STREAM_TOPOLOGY',
      /^join: a join of two streams needs a window: within\('5m'\), not undefined$/,
    ],
    [
      'an outer join of a stream with a table',
      (t) => t.stream('a').outerJoin(t.table('b'), () => 1, within('5m')),
      'STREAM_TOPOLOGY',
      /^outerJoin: the other side must be a Stream, not a Table$/,
    ],
    [
      'no duration',
      (t) => t.stream('a').join(t.stream('b'), () => 1, within('5x' as Loose)),
      'STREAM_USAGE',
      /^within: size: "5x" is no duration/,
    ],
    [
      'grace without history',
      (t) => t.stream('a').join(t.table('b'), () => 1, { grace: '1s' }),
      'STREAM_TOPOLOGY',
      /^join: grace needs a versioned table, which "table-1" is not; read it with t\.table\(topic, \{versioned: '5m'\}\)$/,
    ],
    [
      'grace over an aggregate of a versioned table',
      (t) =>
        t.stream('a').join(
          t
            .table('b', { versioned: '5m' })
            .groupBy(() => [1, 1])
            .count(),
          () => 1,
          { grace: '1s' },
        ),
      'STREAM_TOPOLOGY',
      /^join: grace needs a versioned table/,
    ],
    [
      'a longer grace than the history',
      (t) => t.stream('a').leftJoin(t.table('b', { versioned: '1s', store: 'rows' }), () => 1, { grace: '2s' }),
      'STREAM_TOPOLOGY',
      /^leftJoin: grace \(2000 ms\) must not be longer than the history of "rows" \(1000 ms\)$/,
    ],
    [
      'a topic that is a global table and a stream',
      (t) => [t.stream('a'), t.globalTable('a')],
      'STREAM_TOPOLOGY',
      /^topology "t": the topic "a" of the global table "globalTable-1" is read by "source-1" too; read it once$/,
    ],
    [
      'a global table without a key function',
      (t) => t.stream('a').join(t.globalTable('b'), () => 1),
      'STREAM_TOPOLOGY',
      /^join: the joiner must be a function, not undefined$/,
    ],
    [
      'a store of a join that stores nothing',
      (t) => t.stream('a').join(t.table('b'), () => 1, { store: 'waiting' }),
      'STREAM_TOPOLOGY',
      /^join: store is for what waits for a grace; without grace nothing is stored$/,
    ],
    [
      'a serde not called',
      (t) => t.stream('a', { value: json }),
      'STREAM_TOPOLOGY',
      /^stream: value must be a serde .*call it: string\(\), json\(\)/,
    ],
    [
      'a typo',
      (t) => t.stream('a').groupByKey().count({ stroe: 'x' }),
      'STREAM_TOPOLOGY',
      /^count: unknown option "stroe" \(did you mean "store"\?\)$/,
    ],
    [
      'an unknown option',
      (t) => t.stream('a').toTable({ windowSize: 1 }),
      'STREAM_TOPOLOGY',
      /^toTable: unknown option "windowSize"; it knows store, key, value, cache$/,
    ],
    ['options that are none', (t) => t.stream('a').to('b', 'json'), 'STREAM_TOPOLOGY', /^to: options must be an object .* not a string$/],
    [
      'a function as options',
      (t) =>
        t
          .stream('a')
          .groupByKey()
          .count(() => 0),
      'STREAM_TOPOLOGY',
      /^count: options must be an object/,
    ],
    ['a bad topic', (t) => t.stream('a/b'), 'STREAM_NAME', /^stream: topic name "a\/b" is not allowed/],
    ['a bad sink topic', (t) => t.stream('a').to('..'), 'STREAM_NAME', /^to: topic name "\.\." is not allowed/],
    ['a bad store', (t) => t.stream('a').toTable({ store: 'a b' }), 'STREAM_NAME', /^toTable: store name "a b" is not allowed/],
    [
      'a store that is no name',
      (t) => t.stream('a').toTable({ store: {} }),
      'STREAM_TOPOLOGY',
      /^toTable: store must be a name, not an object$/,
    ],
    [
      'a bad repartition name',
      (t) => t.stream('a').repartition({ name: 'x/y' }),
      'STREAM_NAME',
      /^repartition: name "x\/y" is not allowed/,
    ],
    [
      'no partitions',
      (t) => t.stream('a').repartition({ partitions: 0 }),
      'STREAM_TOPOLOGY',
      /^repartition: partitions must be a whole number above 0, not 0$/,
    ],
    [
      'a bad duration',
      (t) => t.stream('a').lastWriteWins({ version: () => 1, tombstoneRetention: '5 days' }),
      'STREAM_USAGE',
      /^lastWriteWins: tombstoneRetention: "5 days" is no duration/,
    ],
    [
      'a store twice',
      (t) => [t.table('a', { store: 's' }), t.stream('b').groupByKey().count({ store: 's' })],
      'STREAM_TOPOLOGY',
      /^count: the store name "s" is taken; give each store its own name$/,
    ],
    [
      'a store twice but for its case',
      (t) => [t.table('a', { store: 'Sums' }), t.stream('b').groupByKey().count({ store: 'sums' })],
      'STREAM_TOPOLOGY',
      /^count: the store name "sums" differs from "Sums" only in case/,
    ],
    [
      'a store twice but for its case, the other way round',
      (t) => [t.table('a', { store: 'sums' }), t.stream('b').groupByKey().count({ store: 'Sums' })],
      'STREAM_TOPOLOGY',
      /^count: the store name "Sums" differs from "sums" only in case/,
    ],
    ['no source', () => {}, 'STREAM_TOPOLOGY', /^topology "t": it reads nothing; begin with t\.stream/],
    ['a loop', (t) => t.stream('a').to('a'), 'STREAM_TOPOLOGY', /"to-1" writes the topic "a" that "source-1" reads, an endless loop/],
    ['a loop through a pattern', (t) => t.stream(/a.*/).to('ab'), 'STREAM_TOPOLOGY', /writes the topic "ab" .* an endless loop/],
    [
      'a topic read twice in two ways',
      (t) => [t.stream('a', text), t.stream('a', { key: string(), value: json() })],
      'STREAM_TOPOLOGY',
      /the topic "a" is read by "source-1" and "source-2" with other topics, serdes or options/,
    ],
    ['a topic read by a pattern too', (t) => [t.stream('ab'), t.stream(/a.*/)], 'STREAM_TOPOLOGY', /the topic "ab" is read by/],
    ['a topic named twice', (t) => t.stream(['a', 'a']), 'STREAM_TOPOLOGY', /^stream: the topic "a" is named twice$/],
    ['no topic', (t) => t.stream([]), 'STREAM_TOPOLOGY', /^stream: name at least one topic$/],
    ['a pattern that remembers', (t) => t.stream(/a/g), 'STREAM_TOPOLOGY', /^stream: the pattern \/a\/g must not have the flags g or y$/],
    [
      'a topic that is none',
      (t) => t.stream(3),
      'STREAM_TOPOLOGY',
      /^stream: the topic must be a name, an array of names or a RegExp, not a number$/,
    ],
    [
      'an offset reset',
      (t) => t.stream('a', { offsetReset: 'now' }),
      'STREAM_TOPOLOGY',
      /^stream: offsetReset must be 'earliest', 'latest' or 'none', not "now"$/,
    ],
    [
      'a join with a stream',
      (t) => t.table('a').join(t.stream('b'), () => 1),
      'STREAM_TOPOLOGY',
      /^join: the other side must be a Table, not a Stream$/,
    ],
    [
      'a merge with a table',
      (t) => t.stream('a').merge(t.table('b')),
      'STREAM_TOPOLOGY',
      /^merge: the other side must be a Stream, not a Table$/,
    ],
    [
      'branches that are none',
      (t) => t.stream('a').split([() => true]),
      'STREAM_TOPOLOGY',
      /^split: branches must be an object of predicates, not an array$/,
    ],
    ['no branch', (t) => t.stream('a').split({}), 'STREAM_TOPOLOGY', /^split: name at least one branch$/],
    [
      'a default that is a branch',
      (t) => t.stream('a').split({ x: () => true }, { default: 'x' }),
      'STREAM_TOPOLOGY',
      /^split: the default branch "x" is/,
    ],
    ['an async function', async (t) => void t.stream('a'), 'STREAM_TOPOLOGY', /^topology "t": its function must not be async/],
  ]

  it.each(cases)('%s', (_name, build, code, message) => {
    const refused = refusal(build)
    expect(refused.message).toMatch(message)
    expect(refused.message).not.toContain('\n')
    expect(refused).toMatchObject({ code, disposition: 'usage' })
  })

  it('a table of another topology', () => {
    let other: Loose
    topology('other', (t) => {
      other = t.table('names', text)
    })
    expect(refusal((t) => t.stream('a', text).join(other, () => 1)).message).toMatch(/"table-1" belongs to another topology \("other"\)/)
  })

  it('an operator after the topology is built', () => {
    let stream: Loose
    topology('done', (t) => {
      stream = t.stream('a')
    })
    expect(() => stream.to('b')).toThrow(/the topology "done" is already built/)
  })

  it('a topology without a good name or function', () => {
    expect(() => topology('a/b', () => {})).toThrow(/topology: name "a\/b" is not allowed/)
    expect(() => (topology as Loose)('a')).toThrow(/topology "a": the second argument must be a function, not undefined/)
  })
})

describe('not refused', () => {
  it('a loop that is meant', () => {
    expect(topology('loop', (t) => t.stream('a').to('a', { loop: true })).nodes).toHaveLength(2)
  })

  it('one source declared twice alike', () => {
    expect(topology('twice', (t) => [t.stream('a', text).to('b'), t.table('a', text)]).nodes).toHaveLength(4)
  })

  it('branches with any name', () => {
    topology('names', (t) => {
      const branches = t
        .stream('a', text)
        .split({ constructor: () => true, toString: () => false, 'a b': () => true }, { default: 'hasOwnProperty' })
      for (const branch of Object.values(branches)) expect(branch).toBeInstanceOf(Stream)
      expect(Object.keys(branches)).toEqual(['constructor', 'toString', 'a b', 'hasOwnProperty'])
    })
  })
})
