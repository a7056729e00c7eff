// Where a topology is cut, what topics and stores come of it, and what is refused.
import { describe, expect, it } from 'vitest'
import { topology } from '../../src/dsl/topology.ts'
import { session, tumbling } from '../../src/dsl/windows.ts'
import { json } from '../../src/serde/json.ts'
import { string } from '../../src/serde/text.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'
import { plan } from '../../src/topology/plan.ts'
import { nodeNamed, planOf, shapeOf, storesOf, text } from './made.ts'

const yes = () => true
const first = (a: string) => a

describe('what a repartition topic carries', () => {
  const valuesOf = (topic: string, build: Parameters<typeof planOf>[0]) =>
    planOf(build)
      .subTopologies.flatMap(({ nodes }) => nodes)
      .flatMap(({ operator }) => (operator.kind === 'repartitionSink' && operator.topic === topic ? [operator.value.name] : []))

  it('no values for a count, which looks at none', () => {
    const changed = (t: Parameters<Parameters<typeof planOf>[0]>[0]) => t.stream('a', text).groupBy(first, { key: string() })
    expect(valuesOf('app-n-repartition', (t) => changed(t).count({ store: 'n' }))).toEqual(['present'])
    expect(valuesOf('app-n-repartition', (t) => changed(t).windowedBy(tumbling('1m')).count({ store: 'n' }))).toEqual(['present'])
    expect(valuesOf('app-n-repartition', (t) => changed(t).windowedBy(session('1m')).count({ store: 'n' }))).toEqual(['present'])
  })

  it('values for everything else, and where late records are shown', () => {
    const changed = (t: Parameters<Parameters<typeof planOf>[0]>[0]) => t.stream('a', text).groupBy(first, { key: string() })
    expect(valuesOf('app-n-repartition', (t) => changed(t).reduce(first, { store: 'n' }))).toEqual(['string'])
    const late = tumbling('1m')
    expect(
      valuesOf('app-n-repartition', (t) =>
        changed(t)
          .windowedBy(late, { onLate: () => {} })
          .count({ store: 'n' }),
      ),
    ).toEqual(['string'])
    expect(valuesOf('app-n-repartition', (t) => changed(t).windowedBy(late, { lateTo: 'late' }).count({ store: 'n' }))).toEqual(['string'])
  })
})

describe('with optimize', () => {
  const build = (t: Parameters<Parameters<typeof planOf>[0]>[0]): void => {
    const grouped = t.stream('a', text).groupBy((value) => value.slice(0, 1), { key: string() })
    grouped.count({ store: 'n' }).toStream().to('counts')
    grouped.windowedBy(tumbling('1m')).count({ store: 'w' })
    grouped
      .reduce((all, value) => all + value, { store: 'all' })
      .toStream()
      .to('out', text)
    grouped.cogroup<string>((all, value) => all + value).aggregate(() => '', { store: 'c', value: string() })
  }

  it('all that needs a stream by its new key reads one topic, which carries the values', () => {
    const made = plan(topology('t', build, { optimize: true }), 'app')
    expect(made.internalTopics.flatMap(({ name, kind }) => (kind === 'repartition' ? [name] : []))).toEqual(['app-n-repartition'])
    const sinks = made.subTopologies.flatMap(({ nodes }) => nodes).map(({ operator }) => operator)
    expect(sinks.flatMap((operator) => (operator.kind === 'repartitionSink' ? [operator.value.name] : []))).toEqual(['string'])
    expect(plan(topology('t', build), 'app').internalTopics.filter(({ kind }) => kind === 'repartition')).toHaveLength(4)
  })

  it('repartition() keeps a topic of its own, and so do records without a key that a left join puts out', () => {
    const made = plan(
      topology(
        't',
        (t) => {
          const changed = t.stream('a', text).selectKey(first, { key: string() })
          changed.groupByKey().count({ store: 'n' })
          changed.repartition({ name: 'mine', partitions: 4 }).to('mine-out')
          changed.repartition({ name: 'other' }).to('other-out')
          changed.leftJoin(t.table('b', { ...text, store: 'b' }), first, { value: string() })
        },
        { optimize: true },
      ),
      'app',
    )
    const topics = made.internalTopics.flatMap(({ name, kind }) => (kind === 'repartition' ? [name] : []))
    expect(topics.toSorted()).toEqual(['app-leftJoin-1-repartition', 'app-mine-repartition', 'app-n-repartition', 'app-other-repartition'])
  })

  it('what comes out is what comes out without it', async () => {
    const play = async (optimize: boolean) => {
      await using driver = new TopologyTestDriver(topology('t', build, { optimize }), { partitions: 2 })
      for (const [i, value] of ['x1', 'y2', 'x3', 'y4', 'x5'].entries()) {
        await driver.input('a').pipe({ key: `${i}`, value, timestamp: i })
        if (i === 2) await driver.crash()
      }
      const rows = ['n', 'all', 'c'].map((store) => ['x', 'y'].map((key) => driver.store(store).get(key)))
      return { counts: driver.output('counts').readTable(), out: driver.output('out').readTable(), rows }
    }
    const plain = await play(false)
    expect(await play(true)).toEqual(plain)
    expect(plain.rows).toEqual([
      [3, 2],
      ['x1x3x5', 'y2y4'],
      ['x1x3x5', 'y2y4'],
    ])
  })

  it('is true or false', () => {
    expect(() => topology('t', build, { optimize: 1 as never })).toThrow(/^topology: optimize must be true or false, not /)
  })
})

describe('cuts', () => {
  it('none where the key is kept', () => {
    const made = planOf((t) => t.stream('a', text).filter(yes).mapValues(first).groupByKey().count({ store: 'n' }).toStream().to('b'))
    expect(shapeOf(made)).toEqual([
      ['source-1 -> filter-1', 'filter-1 -> mapValues-1', 'mapValues-1 -> n', 'n -> toStream-1', 'toStream-1 -> to-1', 'to-1'],
    ])
    expect(made.internalTopics.map(({ name, kind }) => [name, kind])).toEqual([['app-n-changelog', 'changelog']])
  })

  it('where a changed key meets a stateful operator, once a use', () => {
    const made = planOf((t) => {
      const changed = t.stream('a', text).selectKey(first, { key: string() })
      changed.groupByKey().count({ store: 'n' })
      changed.toTable({ store: 'last' })
      changed.lastWriteWins({ store: 'w', version: () => 1 })
      changed.to('b')
    })
    expect(shapeOf(made)).toEqual([
      [
        'source-1 -> selectKey-1',
        'selectKey-1 -> n-repartition-sink last-repartition-sink w-repartition-sink to-1',
        'n-repartition-sink',
        'last-repartition-sink',
        'w-repartition-sink',
        'to-1',
      ],
      ['n-repartition-source -> n', 'n'],
      ['last-repartition-source -> last', 'last'],
      ['w-repartition-source -> w', 'w'],
    ])
    expect(made.internalTopics.filter(({ kind }) => kind === 'repartition')).toEqual([
      { name: 'app-n-repartition', kind: 'repartition', partitions: null, subTopology: 1, store: null, writtenBy: 0, generated: false },
      { name: 'app-last-repartition', kind: 'repartition', partitions: null, subTopology: 2, store: null, writtenBy: 0, generated: false },
      { name: 'app-w-repartition', kind: 'repartition', partitions: null, subTopology: 3, store: null, writtenBy: 0, generated: false },
    ])
  })

  it('once only: behind repartition() the key counts as kept', () => {
    const made = planOf((t) =>
      t.stream('a', text).selectKey(first).repartition({ name: 'r', partitions: 3 }).groupByKey().count({ store: 'n' }),
    )
    expect(shapeOf(made)).toEqual([
      ['source-1 -> selectKey-1', 'selectKey-1 -> r-repartition-sink', 'r-repartition-sink'],
      ['r-repartition-source -> n', 'n'],
    ])
    expect(made.internalTopics[0]).toMatchObject({ name: 'app-r-repartition', partitions: 3 })
  })

  it('only on the stream side of a join with a table', () => {
    const made = planOf((t) => {
      const table = t.table('b', { ...text, store: 'b' })
      t.stream('a', text).selectKey(first, { key: string() }).join(table, first).to('c')
    })
    expect(shapeOf(made)).toEqual([
      ['source-1 -> b', 'b -> join-1/1', 'join-1-repartition-source -> join-1', 'join-1 -> to-1', 'to-1'],
      ['source-2 -> selectKey-1', 'selectKey-1 -> join-1-repartition-sink', 'join-1-repartition-sink'],
    ])
    expect(made.internalTopics[0]).toMatchObject({ name: 'app-join-1-repartition', generated: true })
  })

  it('with records without a key only where a left join puts them out', () => {
    const made = planOf((t) => {
      const table = t.table('b', { ...text, store: 'b' })
      const changed = t.stream('a', text).selectKey(first, { key: string() })
      changed.join(table, first)
      changed.leftJoin(table, first)
      changed.groupByKey().count({ store: 'n' })
    })
    const keeps = ['join-1', 'leftJoin-1', 'n'].map((name) => nodeNamed(made, `${name}-repartition-sink`).operator)
    expect(keeps).toMatchObject([{ keepsNullKeys: false }, { keepsNullKeys: true }, { keepsNullKeys: false }])
  })

  it('always where a table is grouped; the topic carries changes under the serdes of the group', () => {
    const made = planOf((t) => {
      const group = t.table('a', { ...text, store: 'a' }).groupBy((value, key) => [value, key], { key: json(), value: string() })
      group.count({ store: 'n' })
      group.reduce(first, first, { store: 'm' })
    })
    expect(shapeOf(made)).toEqual([
      ['source-1 -> a', 'a -> n-repartition-sink m-repartition-sink', 'n-repartition-sink', 'm-repartition-sink'],
      ['n-repartition-source -> n', 'n'],
      ['m-repartition-source -> m', 'm'],
    ])
    const { operator, key, value } = nodeNamed(made, 'n-repartition-source')
    expect(operator).toMatchObject({ kind: 'source', carries: 'changes', internal: true, topics: ['app-n-repartition'] })
    expect([key.name, value.name]).toEqual(['json', 'string'])
    expect(nodeNamed(made, 'n-repartition-sink').operator).toMatchObject({ kind: 'changeSink', topic: 'app-n-repartition' })
  })

  it('in two where a foreign key joins, with a topic there and one back', () => {
    const made = planOf((t) => {
      const left = t.table('left', { key: string(), value: json<{ fk: string }>(), store: 'left' })
      left
        .join(
          t.table('right', { ...text, store: 'right' }),
          (row) => row.fk,
          (row, other) => row.fk + other,
          { store: 'j', value: string() },
        )
        .toStream()
        .to('out')
    })
    expect(shapeOf(made)).toEqual([
      ['source-1 -> left', 'left -> j', 'j-response-source -> j/1', 'j -> toStream-1', 'toStream-1 -> to-1', 'to-1'],
      ['source-2 -> right', 'right -> j-right', 'j-subscription-source -> j-right/1', 'j-right'],
    ])
    expect(storesOf(made)).toEqual(['left: left', 'j: j-foreign-keys j', 'right: right', 'j-right: j-subscriptions'])
    expect(nodeNamed(made, 'j').operator).toMatchObject({
      kind: 'foreignKeyLeft',
      subscriptionTopic: 'app-j-subscription-repartition',
      leftKey: { name: 'string' },
      leftValue: { name: 'json' },
      rightValue: { name: 'string' },
      foreignKeySerde: { name: 'string' },
    })
    expect(nodeNamed(made, 'j-right').operator).toMatchObject({ kind: 'foreignKeyRight', responseTopic: 'app-j-response-repartition' })
    expect(made.internalTopics.slice(0, 2)).toMatchObject([
      { name: 'app-j-subscription-repartition', subTopology: 1, writtenBy: 0 },
      { name: 'app-j-response-repartition', subTopology: 0, writtenBy: 1 },
    ])
    expect(made.coPartitions).toEqual([
      { operator: 'j-right', topics: ['right', 'app-j-subscription-repartition'] },
      { operator: 'j', topics: ['left', 'app-j-response-repartition'] },
    ])
  })

  it('not between a table and itself', () => {
    const made = planOf((t) => {
      const table = t.table('a', { ...text, store: 'a' })
      table
        .join(table, (left, right) => left + right)
        .toStream()
        .to('b')
    })
    expect(shapeOf(made)).toEqual([['source-1 -> a', 'a -> join-1 join-1/1', 'join-1 -> toStream-1', 'toStream-1 -> to-1', 'to-1']])
  })
})

describe('sources', () => {
  it('that are alike are read once', () => {
    const made = planOf((t) => {
      t.stream('a', text).to('b')
      t.table('a', { ...text, store: 'a' })
    })
    expect(shapeOf(made)).toEqual([['source-1 -> to-1 a', 'to-1', 'a']])
    expect(made.subTopologies[0]?.sources).toEqual([0])
  })

  it('name the inputs, patterns and outputs', () => {
    const made = planOf((t) => {
      t.stream(['a', 'b'], text).to('c')
      t.stream(/^d-/, text).to(() => 'somewhere')
      t.stream('e', text).to('c')
    })
    expect(made).toMatchObject({ inputs: ['a', 'b', 'e'], patterns: [/^d-/], outputs: ['c'], applicationId: 'app', topology: 't' })
  })
})

describe('co-partitioning', () => {
  it('is asked of joins, and of any store that several topics feed', () => {
    const made = planOf((t) => {
      const b = t.table('b', { ...text, store: 'b' })
      t.stream('a', text).join(b, first).to('x')
      t.stream('c', text).merge(t.stream('d', text)).groupByKey().count({ store: 'n' })
      t.stream(/^e-/, text).toTable({ store: 'm' })
      t.stream(['f', 'g'], text).to('y')
    })
    expect(made.coPartitions).toEqual([
      { operator: 'join-1', topics: ['a', 'b'] },
      { operator: 'n', topics: ['c', 'd'] },
      { operator: 'm', topics: [/^e-/] },
    ])
  })
})

describe('refused', () => {
  it('two repartitions of a join to different numbers, both named', () => {
    const build = () =>
      planOf((t) => {
        const table = t.stream('b', text).repartition({ name: 'right', partitions: 4 }).toTable({ store: 'b' })
        t.stream('a', text).repartition({ name: 'left', partitions: 3 }).join(table, first).to('c')
      })
    expect(build).toThrow(/"join-1" needs equal partition counts, but "app-right-repartition" has 4 and "app-left-repartition" has 3/)
  })

  it('two operators with one internal topic', () => {
    const build = () =>
      planOf((t) => {
        t.stream('a', text).repartition({ name: 'n' }).to('b')
        t.stream('c', text).groupBy(first).count({ store: 'n' })
      })
    expect(build).toThrow(/would both write the internal topic "app-n-repartition"/)
  })

  it('a user\u2019s topic that is an internal one', () => {
    expect(() => planOf((t) => t.stream('a', text).groupByKey().count({ store: 'n' }).toStream().to('app-n-changelog'))).toThrow(
      /the topic "app-n-changelog" is written by the topology, but it is one of its own internal topics/,
    )
  })

  it('an internal topic whose name is too long', () => {
    const name = 'n'.repeat(200)
    const long = topology('t', (t) => t.stream('a').groupByKey().count({ store: name }))
    expect(() => plan(long, 'a'.repeat(60))).toThrow(/would be 271 characters long, over 249/)
    expect(() => plan(long, 'a/b')).toThrow(/application name "a\/b" is not allowed/)
  })
})

describe('names', () => {
  it('that the plan makes give way to the user\u2019s', () => {
    const made = planOf((t) => {
      const table = t.table('a', text)
      t.stream('b', text).groupByKey().count({ store: 'table-1' })
      t.stream('c', text).join(table, first).to('d')
    })
    expect(storesOf(made)).toEqual(['table-1: table-1-2*', 'count-1: table-1'])
  })
})
