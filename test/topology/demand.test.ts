// Which tables send old values and which are kept: as Kafka Streams has it.
import { describe, expect, it } from 'vitest'
import type { TopologyBuilder } from '../../src/dsl/builder.ts'
import { planOf, sendingOld, storesOf, text } from './made.ts'

const yes = () => true
const left = (a: unknown) => String(a)
const pair = (value: string, key: string): [string, string] => [value, key]
const fk = (value: string) => value

describe('old values', () => {
  it.each<[string, (t: TopologyBuilder) => void, string[]]>([
    [
      'nobody asks',
      (t) =>
        t
          .table('a', { ...text, store: 'a' })
          .mapValues(left)
          .toStream(),
      [],
    ],
    [
      'a group asks its parent',
      (t) =>
        t
          .table('a', { ...text, store: 'a' })
          .groupBy(pair)
          .count({ store: 'n' }),
      ['a'],
    ],
    ['a group that nobody aggregates does not', (t) => t.table('a', { ...text, store: 'a' }).groupBy(pair), []],
    [
      'through mapValues to the table',
      (t) =>
        t
          .table('a', { ...text, store: 'a' })
          .mapValues(left)
          .groupBy(pair)
          .count({ store: 'n' }),
      ['a', 'mapValues-1'],
    ],
    [
      'not past a mapValues with a store',
      (t) =>
        t
          .table('a', { ...text, store: 'a' })
          .mapValues(left, { store: 'm' })
          .groupBy(pair)
          .count({ store: 'n' }),
      ['m'],
    ],
    [
      'an inner join asks nothing',
      (t) =>
        t
          .table('a', { ...text, store: 'a' })
          .join(t.table('b', { ...text, store: 'b' }), left)
          .toStream(),
      [],
    ],
    [
      'an inner join that is asked asks both',
      (t) =>
        t
          .table('a', { ...text, store: 'a' })
          .join(t.table('b', { ...text, store: 'b' }), left)
          .groupBy(pair)
          .count({ store: 'n' }),
      ['a', 'b', 'join-1'],
    ],
    [
      'an inner join with a store asks nothing though it is asked',
      (t) =>
        t
          .table('a', { ...text, store: 'a' })
          .join(t.table('b', { ...text, store: 'b' }), left, { store: 'j' })
          .groupBy(pair)
          .count({ store: 'n' }),
      ['j'],
    ],
    [
      'a left join asks both',
      (t) => t.table('a', { ...text, store: 'a' }).leftJoin(t.table('b', { ...text, store: 'b' }), left),
      ['a', 'b'],
    ],
    [
      'an outer join asks both',
      (t) => t.table('a', { ...text, store: 'a' }).outerJoin(t.table('b', { ...text, store: 'b' }), left),
      ['a', 'b'],
    ],
    [
      'a foreign-key join asks its left',
      (t) => t.table('a', { ...text, store: 'a' }).join(t.table('b', { ...text, store: 'b' }), fk, left),
      ['a'],
    ],
    [
      'a filter of a kept table asks',
      (t) =>
        t
          .table('a', { ...text, store: 'a' })
          .filter(yes)
          .toStream(),
      ['a', 'filter-1'],
    ],
    ['a filter of a table that is not kept does not', (t) => t.table('a', text).filter(yes).toStream(), []],
    [
      'a filter of an aggregate asks',
      (t) => t.stream('a', text).groupByKey().count({ store: 'n' }).filterNot(yes).toStream(),
      ['n', 'filterNot-1'],
    ],
    [
      'a filter behind mapValues asks',
      (t) =>
        t
          .table('a', { ...text, store: 'a' })
          .mapValues(left)
          .filter(yes),
      ['a', 'mapValues-1', 'filter-1'],
    ],
    [
      'a filter of a join with one table not kept asks',
      (t) => t.table('a', text).join(t.table('b', text), left).filter(yes),
      ['table-1', 'table-2', 'join-1', 'filter-1'],
    ],
  ])('%s', (_name, build, names) => {
    expect(sendingOld(planOf(build)).sort()).toEqual([...names].sort())
  })
})

describe('kept tables', () => {
  it.each<[string, (t: TopologyBuilder) => void, string[]]>([
    ['not one that is only passed on', (t) => t.table('a', text).mapValues(left).toStream().to('b'), []],
    ['one that a stream looks up', (t) => t.stream('a', text).join(t.table('b', text), left), ['table-1: table-1*']],
    [
      'the one behind a filter and a mapValues that a stream looks up',
      (t) => t.stream('a', text).join(t.table('b', text).filter(yes).mapValues(left), left),
      ['table-1: table-1*'],
    ],
    ['not the one behind a kept filter', (t) => t.stream('a', text).join(t.table('b', text).filter(yes, { store: 'f' }), left), ['f: f']],
    ['both of a join', (t) => t.table('a', text).join(t.table('b', text), left), ['table-1: table-1*', 'table-2: table-2*']],
    [
      'the one that a group asks for old values',
      (t) => t.table('a', text).groupBy(pair).count({ store: 'n' }),
      ['n: n', 'table-1: table-1*'],
    ],
    [
      'the result of a foreign-key join that a stream looks up',
      (t) => {
        const result = t.table('a', { ...text, store: 'a' }).join(t.table('b', { ...text, store: 'b' }), fk, left)
        t.stream('c', text).join(result, left)
      },
      ['a: a', 'b: b', 'join-1-right: join-1-subscriptions*', 'join-1: join-1-foreign-keys* join-1*'],
    ],
    [
      'not the result of a foreign-key join that is only passed on',
      (t) =>
        t
          .table('a', { ...text, store: 'a' })
          .join(t.table('b', { ...text, store: 'b' }), fk, left)
          .toStream(),
      ['a: a', 'b: b', 'join-1-right: join-1-subscriptions*', 'join-1: join-1-foreign-keys*'],
    ],
    [
      'a toTable that a join looks up',
      (t) => t.table('a', { ...text, store: 'a' }).join(t.stream('b', text).toTable(), left),
      ['a: a', 'toTable-1: toTable-1*'],
    ],
  ])('%s', (_name, build, stores) => {
    expect(storesOf(planOf(build)).sort()).toEqual([...stores].sort())
  })
})
