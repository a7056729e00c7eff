// What the builders put into a topology: nodes, their serdes, names and stores.
import { describe, expect, it } from 'vitest'
import type { TopologyBuilder } from '../../src/dsl/builder.ts'
import { topology } from '../../src/dsl/topology.ts'
import { json } from '../../src/serde/json.ts'
import { int32, int64 } from '../../src/serde/numbers.ts'
import { string } from '../../src/serde/text.ts'
import type { Node } from '../../src/topology/node.ts'
import { summed } from '../topology/made.ts'

const text = { key: string(), value: string() }

function nodesOf(build: (t: TopologyBuilder) => void): readonly Node[] {
  return topology('t', build).nodes
}

/** The first node of a kind. */
function nodeOf<Kind extends Node['kind']>(kind: Kind, build: (t: TopologyBuilder) => void): Extract<Node, { kind: Kind }> {
  const node = nodesOf(build).find((each) => each.kind === kind)
  if (node === undefined) throw new Error(`no ${kind}`)
  return node as Extract<Node, { kind: Kind }>
}

describe('nodes', () => {
  it('are frozen and stand at their ids, parents first', () => {
    const nodes = nodesOf((t) => {
      const a = t.stream('a', text).filter(() => true)
      a.merge(t.stream('b', text)).toTable({ store: 's' }).toStream().to('c')
    })
    expect(Object.isFrozen(nodes)).toBe(true)
    for (const [id, node] of nodes.entries()) {
      expect(Object.isFrozen(node)).toBe(true)
      expect(node.id).toBe(id)
      for (const parent of node.parents) expect(parent).toBeLessThan(id)
    }
    expect(new Set(nodes.map(({ name }) => name)).size).toBe(nodes.length)
  })

  it('count their generated names per operator', () => {
    const names = nodesOf((t) => {
      const a = t.stream('a', text).filter(() => true)
      a.filter(() => true)
        .groupByKey()
        .count()
      a.peek(() => {})
        .groupByKey()
        .count()
    }).map(({ name }) => name)
    expect(names).toEqual(['source-1', 'filter-1', 'filter-2', 'count-1', 'peek-1', 'count-2'])
  })

  it('are named after their store, unless that name is taken', () => {
    const names = nodesOf((t) => {
      t.stream('a', text).repartition({ name: 'orders' }).groupByKey().count({ store: 'orders' })
    }).map(({ name }) => name)
    expect(names).toEqual(['source-1', 'orders', 'count-1'])
  })
})

describe('serdes', () => {
  it('of a kept key or value stay, of a made one are json() unless named', () => {
    const key = int32()
    const nodes = nodesOf((t) => {
      const stream = t.stream('a', { key, value: string() })
      stream.filter(() => true)
      stream.mapValues((value) => value)
      stream.mapValues((value) => value, { value: string() })
      stream.selectKey((value) => value)
      stream.map((value) => [value, value], { key: string(), value: string() })
      stream.flatMapValues((value) => [value])
      stream.flatMap((value) => [[value, value] as const])
    })
    expect(nodes.map((node) => [node.kind, node.key.name, node.value.name])).toEqual([
      ['source', 'int32', 'string'],
      ['filter', 'int32', 'string'],
      ['mapValues', 'int32', 'json'],
      ['mapValues', 'int32', 'string'],
      ['selectKey', 'json', 'string'],
      ['map', 'string', 'string'],
      ['flatMapValues', 'int32', 'json'],
      ['flatMap', 'json', 'json'],
    ])
  })

  it('of a sink are its own, else the stream\u2019s', () => {
    const sink = nodeOf('sink', (t) =>
      t
        .stream('a', text)
        .mapValues((value) => value.length)
        .to('b', { value: int64() }),
    )
    expect([sink.key.name, sink.value.name]).toEqual(['string', 'int64'])
    const plain = nodeOf('sink', (t) => t.stream('a', text).to('b'))
    expect([plain.key.name, plain.value.name]).toEqual(['string', 'string'])
  })

  it('of stores are those of the table', () => {
    const store = nodeOf('aggregate', (t) => summed(t.stream('a', text).groupByKey())).store
    expect(store).toMatchObject({ name: 'n', generated: false, persistent: true, changelog: true })
    expect([store.key.name, store.value.name]).toEqual(['string', 'int32'])
    const group = nodeOf('tableGroup', (t) =>
      t
        .table('a', text)
        .groupBy((value, key) => [value, key], { key: string(), value: string() })
        .count(),
    )
    expect([group.key.name, group.value.name]).toEqual(['string', 'string'])
  })
})

describe('keyChanged', () => {
  it.each<[string, boolean, (t: TopologyBuilder) => void]>([
    ['source', false, (t) => t.stream('a', text)],
    ['map', true, (t) => t.stream('a', text).map((value, key) => [key, value])],
    ['flatMap', true, (t) => t.stream('a', text).flatMap((value, key) => [[key, value] as const])],
    ['selectKey', true, (t) => t.stream('a', text).selectKey((value) => value)],
    ['groupBy', true, (t) => t.stream('a', text).groupBy((value) => value)],
    ['mapValues', false, (t) => t.stream('a', text).mapValues((value) => value)],
    [
      'filter below map',
      true,
      (t) =>
        t
          .stream('a', text)
          .map((value, key) => [key, value])
          .filter(() => true),
    ],
    [
      'branch below selectKey',
      true,
      (t) =>
        t
          .stream('a', text)
          .selectKey((value) => value)
          .split({ all: () => true }),
    ],
    [
      'merge of one that changed',
      true,
      (t) => t.stream('a', text).merge(t.stream('b', text).selectKey((value) => value, { key: string() })),
    ],
    [
      'repartition',
      false,
      (t) =>
        t
          .stream('a', text)
          .selectKey((value) => value)
          .repartition(),
    ],
    [
      'toTable',
      false,
      (t) =>
        t
          .stream('a', text)
          .selectKey((value) => value)
          .toTable(),
    ],
    ['toStream', false, (t) => t.table('a', text).toStream()],
    ['toStream with a mapper', true, (t) => t.table('a', text).toStream((value) => value)],
  ])('%s: %s', (_name, changed, build) => {
    expect(nodesOf(build).at(-1)?.keyChanged).toBe(changed)
  })
})

describe('operators', () => {
  it('split has a predicate a branch, in order, and a branch without one for the rest', () => {
    const yes = () => true
    const no = () => false
    const nodes = nodesOf((t) => t.stream('a', text).split({ yes, no }, { default: 'rest' }))
    expect(nodes[1]).toMatchObject({ kind: 'split', predicates: [yes, no], hasDefault: true })
    expect(nodes.slice(2).map(({ kind, name, parents }) => [kind, name, parents])).toEqual([
      ['branch', 'split-1-yes', [1]],
      ['branch', 'split-1-no', [1]],
      ['branch', 'split-1-rest', [1]],
    ])
  })

  it('joins of tables are by key with two functions fewer than three', () => {
    const foreignKey = (value: string) => value
    const joiner = (left: string, right: string | null | undefined) => `${left}${right}`
    const nodes = nodesOf((t) => {
      const a = t.table('a', text)
      const b = t.table('b', text)
      a.join(b, joiner)
      a.join(b, joiner, { store: 'j1' })
      a.leftJoin(b, foreignKey, joiner)
      a.leftJoin(b, foreignKey, joiner, { store: 'j2', value: string() })
      a.outerJoin(b, (left, right) => `${left}${right}`)
    })
    expect(nodes.slice(4).map((node) => [node.kind, 'type' in node && node.type, 'store' in node && node.store?.name])).toEqual([
      ['tableJoin', 'inner', undefined],
      ['tableJoin', 'inner', 'j1'],
      ['foreignKeyJoin', 'left', undefined],
      ['foreignKeyJoin', 'left', 'j2'],
      ['tableJoin', 'outer', undefined],
    ])
    expect(nodes[7]).toMatchObject({ foreignKey, joiner })
  })

  it('lastWriteWins remembers deletes for seven days, or as long as it is told', () => {
    const version = () => 1
    expect(nodeOf('lastWriteWins', (t) => t.stream('a').lastWriteWins({ version })).tombstoneRetentionMs).toBe(7 * 86_400_000)
    const told = nodeOf('lastWriteWins', (t) => t.stream('a').lastWriteWins({ version, tombstoneRetention: '90s', store: 'w' }))
    expect(told.tombstoneRetentionMs).toBe(90_000)
    expect(told.store).toMatchObject({ name: 'w', generated: false })
  })

  it('without a store get a generated one where they always have one, none where they need none', () => {
    expect(nodeOf('aggregate', (t) => t.stream('a').groupByKey().count()).store).toMatchObject({ name: 'count-1', generated: true })
    expect(nodeOf('toTable', (t) => t.table('a')).store).toBeNull()
    expect(nodesOf((t) => t.table('a').filter(() => true)).at(-1)).toMatchObject({ kind: 'tableFilter', store: null })
    expect(nodeOf('source', (t) => t.stream('a')).key).toBe(json())
  })
})
