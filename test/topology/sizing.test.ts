// How many tasks and partitions there are, once the topics are known.
import { describe, expect, it } from 'vitest'
import type { TopologyBuilder } from '../../src/dsl/builder.ts'
import { string } from '../../src/serde/text.ts'
import { sizePlan } from '../../src/topology/sizing.ts'
import { planOf, text } from './made.ts'

const first = (a: unknown) => String(a)

function sized(
  topics: Readonly<Record<string, number>>,
  build: (t: TopologyBuilder) => void,
): { tasks: readonly number[]; partitions: object } {
  const { tasks, partitions } = sizePlan(planOf(build), new Map(Object.entries(topics)))
  return { tasks, partitions: Object.fromEntries(partitions) }
}

describe('sizes', () => {
  it('a sub-topology has the tasks of its widest source, its changelogs as many partitions', () => {
    const build = (t: TopologyBuilder) => {
      const a = t.stream('a', text)
      a.merge(t.stream('b', text)).to('c')
      a.groupByKey().count({ store: 'n' })
    }
    expect(sized({ a: 2, b: 5 }, build)).toEqual({ tasks: [5], partitions: { 'app-n-changelog': 5 } })
  })

  it('a repartition topic is as wide as what writes it, over several steps', () => {
    const build = (t: TopologyBuilder) => {
      t.stream('a', text).groupBy(first, { key: string() }).count({ store: 'n' }).toStream(first, { key: string() }).toTable({ store: 'm' })
    }
    expect(sized({ a: 7 }, build)).toEqual({
      tasks: [7, 7, 7],
      partitions: { 'app-n-repartition': 7, 'app-m-repartition': 7, 'app-n-changelog': 7, 'app-m-changelog': 7 },
    })
  })

  it('what the user asked for counts, and goes on', () => {
    const build = (t: TopologyBuilder) => {
      t.stream('a', text).repartition({ name: 'r', partitions: 3 }).groupBy(first).count({ store: 'n' })
    }
    expect(sized({ a: 7 }, build)).toEqual({
      tasks: [7, 3, 3],
      partitions: { 'app-r-repartition': 3, 'app-n-repartition': 3, 'app-n-changelog': 3 },
    })
  })

  it('a repartitioned side takes the count of the table it joins', () => {
    const build = (t: TopologyBuilder) => {
      const table = t.table('b', { ...text, store: 'b' })
      t.stream('a', text).selectKey(first, { key: string() }).join(table, first).to('c')
    }
    expect(sized({ a: 8, b: 3 }, build)).toEqual({ tasks: [3, 8], partitions: { 'app-join-1-repartition': 3, 'app-b-changelog': 3 } })
  })

  it('two repartitioned sides take the greater', () => {
    const build = (t: TopologyBuilder) => {
      const table = t.stream('b', text).selectKey(first, { key: string() }).toTable({ store: 'b' })
      t.stream('a', text).selectKey(first, { key: string() }).join(table, first).to('c')
    }
    expect(sized({ a: 2, b: 6 }, build).partitions).toEqual({ 'app-b-repartition': 6, 'app-join-1-repartition': 6, 'app-b-changelog': 6 })
  })

  it('of two repartitioned sides the one that was given a number leads', () => {
    const build = (t: TopologyBuilder) => {
      const table = t.stream('b', text).repartition({ name: 'b', partitions: 4 }).toTable({ store: 'b' })
      t.stream('a', text).selectKey(first, { key: string() }).join(table, first).to('c')
    }
    expect(sized({ a: 9, b: 9 }, build).partitions).toMatchObject({ 'app-b-repartition': 4, 'app-join-1-repartition': 4 })
  })

  it('joins that share a topic are one class', () => {
    const build = (t: TopologyBuilder) => {
      const middle = t.stream('m', text).selectKey(first, { key: string() }).toTable({ store: 'm' })
      t.stream('a', text).join(middle, first).to('x')
      t.stream('b', text).selectKey(first, { key: string() }).join(middle, first).to('y')
    }
    expect(sized({ a: 5, b: 2, m: 9 }, build).partitions).toMatchObject({ 'app-m-repartition': 5, 'app-join-2-repartition': 5 })
  })

  it('a foreign-key join follows either table', () => {
    const build = (t: TopologyBuilder) => {
      const right = t.table('b', { ...text, store: 'b' })
      t.table('a', { ...text, store: 'a' })
        .join(right, (value) => value, first, { store: 'j' })
        .toStream()
        .to('c')
    }
    expect(sized({ a: 2, b: 6 }, build)).toEqual({
      tasks: [6, 2],
      partitions: {
        'app-j-subscription-repartition': 6,
        'app-j-response-repartition': 2,
        'app-a-changelog': 2,
        'app-j-foreign-keys-changelog': 2,
        'app-j-changelog': 2,
        'app-b-changelog': 6,
        'app-j-subscriptions-changelog': 6,
      },
    })
  })

  it('a foreign-key join of repartitioned tables follows what feeds them', () => {
    const build = (t: TopologyBuilder) => {
      const left = t.stream('a', text).selectKey(first, { key: string() }).toTable({ store: 'a' })
      const right = t.stream('b', text).selectKey(first, { key: string() }).toTable({ store: 'b' })
      left.join(right, (value) => value, first, { store: 'j' })
    }
    expect(sized({ a: 2, b: 6 }, build).partitions).toMatchObject({ 'app-j-subscription-repartition': 6, 'app-j-response-repartition': 2 })
  })

  it('a round of sub-topologies that write each other ends', () => {
    const build = (t: TopologyBuilder) => {
      const a = t.stream('a', text)
      const back = a.repartition({ name: 'there' }).repartition({ name: 'back' })
      a.merge(back).to('c')
    }
    expect(sized({ a: 3 }, build)).toEqual({ tasks: [3, 3], partitions: { 'app-there-repartition': 3, 'app-back-repartition': 3 } })
  })

  it('a pattern takes all topics that match it, and none of our own', () => {
    const build = (t: TopologyBuilder) => {
      t.stream(/a\d/, text).groupBy(first).count({ store: 'n' })
    }
    expect(sized({ a1: 2, a2: 5, b: 9, 'app-n-changelog': 11, 'app-n-repartition': 12 }, build).tasks).toEqual([5, 5])
    expect(sized({ b: 9 }, build).tasks).toEqual([0, 1])
  })
})

describe('refused', () => {
  it('a join of topics with different counts, naming both and the operator', () => {
    const build = (t: TopologyBuilder) => {
      t.stream('a', text)
        .join(t.table('b', { ...text, store: 'b' }), first)
        .to('c')
    }
    expect(() => sized({ a: 4, b: 2 }, build)).toThrow(
      expect.objectContaining({
        code: 'STREAM_TOPIC_MISMATCH',
        disposition: 'stop',
        message: expect.stringMatching(
          /"join-1" needs co-partitioned topics, but "b" has 2 partitions and "a" has 4|"a" has 4 partitions and "b" has 2/,
        ),
      }),
    )
  })

  it('a join with a repartition topic of another asked count', () => {
    const build = (t: TopologyBuilder) => {
      t.stream('a', text)
        .repartition({ name: 'r', partitions: 3 })
        .join(t.table('b', { ...text, store: 'b' }), first)
        .to('c')
    }
    expect(() => sized({ a: 4, b: 2 }, build)).toThrow(/"join-1" needs co-partitioned topics, but .*"app-r-repartition" has 3/)
    expect(sized({ a: 4, b: 3 }, build).tasks).toEqual([4, 3])
  })

  it('a store fed by topics with different counts', () => {
    const build = (t: TopologyBuilder) => {
      t.stream(['a', 'b'], text).groupByKey().count({ store: 'n' })
    }
    expect(() => sized({ a: 4, b: 2 }, build)).toThrow(/"n" needs co-partitioned topics, but "a" has 4 partitions and "b" has 2/)
  })

  it('a pattern with different counts below a store', () => {
    const build = (t: TopologyBuilder) => {
      t.stream(/a\d/, text).groupByKey().count({ store: 'n' })
    }
    expect(() => sized({ a1: 4, a2: 2 }, build)).toThrow(/"n" needs co-partitioned topics, but "a1" has 4 partitions and "a2" has 2/)
  })

  it('missing topics, all at once, with who reads them', () => {
    const build = (t: TopologyBuilder) => {
      t.stream(['a', 'b', 'c'], text).to('d')
    }
    expect(() => sized({ b: 1 }, build)).toThrow(
      expect.objectContaining({
        code: 'STREAM_TOPIC_MISSING',
        message: `the input topics "a" (read by "source-1"), "c" (read by "source-1") can't be found; create them first`,
      }),
    )
  })
})
