// Whatever topology is built, its plan holds together: nodes, sub-topologies, topics, stores, sizes.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Stream } from '../../src/dsl/stream.ts'
import { Table } from '../../src/dsl/table.ts'
import { topology } from '../../src/dsl/topology.ts'
import { describe as show } from '../../src/topology/describe.ts'
import { fingerprint } from '../../src/topology/fingerprint.ts'
import type { Topology } from '../../src/topology/node.ts'
import { plan } from '../../src/topology/plan.ts'
import type { Plan, PlanNode } from '../../src/topology/plan-types.ts'
import { sizePlan } from '../../src/topology/sizing.ts'
import { text } from './made.ts'

interface Step {
  readonly operator: number
  readonly at: number
  readonly other: number
}

const step: fc.Arbitrary<Step> = fc.record({ operator: fc.nat(), at: fc.nat(), other: fc.nat() })

type Streams = Stream<string, string>
type Tables = Table<string, string>

const same = (a: string) => a
const yes = () => true
const joined = (a: unknown, b: unknown) => `${a}${b}`
const keys = { key: text.key }
const values = { value: text.value }

const ON_STREAM: readonly ((
  s: Streams,
  streams: readonly Streams[],
  tables: readonly Tables[],
  at: number,
) => Streams | Tables | undefined)[] = [
  (s) => s.filter(yes),
  (s) => s.mapValues(same, values),
  (s) => s.map((value, key) => [key, value], text),
  (s) => s.selectKey(same, keys),
  (s) => s.repartition(),
  (s, streams, _tables, at) => s.merge(streams[at % streams.length] as Streams),
  (s) => s.split({ a: yes, b: yes }, { default: 'c' }).b,
  (s) => s.toTable(),
  (s) => s.groupByKey().reduce(same),
  (s) => s.groupBy(same, keys).aggregate(() => '', same, values),
  (s) => s.lastWriteWins({ version: () => 1 }),
  (s, _streams, tables, at) => (tables.length === 0 ? undefined : s.join(tables[at % tables.length] as Tables, joined, values)),
  (s, _streams, tables, at) => (tables.length === 0 ? undefined : s.leftJoin(tables[at % tables.length] as Tables, joined, values)),
  (s) => {
    s.to('out')
    return undefined
  },
]

const ON_TABLE: readonly ((t: Tables, tables: readonly Tables[], at: number) => Streams | Tables)[] = [
  (t) => t.filter(yes),
  (t) => t.mapValues(same, values),
  (t) => t.toStream(),
  (t) => t.toStream(same, keys),
  (t) => t.groupBy((value, key) => [key, value], text).reduce(same, same),
  (t, tables, at) => t.join(tables[at % tables.length] as Tables, joined, values),
  (t, tables, at) => t.leftJoin(tables[at % tables.length] as Tables, joined, values),
  (t, tables, at) => t.outerJoin(tables[at % tables.length] as Tables, joined, values),
  (t, tables, at) => t.join(tables[at % tables.length] as Tables, same, joined, values),
  (t, tables, at) => t.leftJoin(tables[at % tables.length] as Tables, same, joined, values),
]

function build(steps: readonly Step[]): Topology {
  return topology('random', (t) => {
    const streams: Streams[] = [t.stream('a', text), t.stream('b', text)]
    const tables: Tables[] = [t.table('c', text)]
    for (const { operator, at, other } of steps) {
      const which = operator % (ON_STREAM.length + ON_TABLE.length)
      const onTable = ON_TABLE[which - ON_STREAM.length]
      const made =
        onTable === undefined
          ? ON_STREAM[which]?.(streams[at % streams.length] as Streams, streams, tables, other)
          : onTable(tables[at % tables.length] as Tables, tables, other)
      if (made instanceof Stream) streams.push(made)
      else if (made instanceof Table) tables.push(made)
    }
  })
}

const topologies = fc.array(step, { maxLength: 25 }).map(build)
const TABLES = new Set([
  'toTable',
  'tableFilter',
  'tableFilterNot',
  'tableMapValues',
  'lastWriteWins',
  'aggregate',
  'tableAggregate',
  'tableJoin',
  'foreignKeyLeft',
])

/** A row of the table can be found: in its store, or through its parents. */
function isReadable(nodes: readonly PlanNode[], node: PlanNode): boolean {
  if (!TABLES.has(node.operator.kind)) return false
  const stores = node.operator.kind === 'foreignKeyLeft' ? node.stores.slice(1) : node.stores
  if (stores.length > 0) return true
  if (!['tableFilter', 'tableFilterNot', 'tableMapValues', 'tableJoin'].includes(node.operator.kind)) return false
  return node.parents.every((parent) => isReadable(nodes, nodes[parent] as PlanNode))
}

/** An old value can be had: from the own store, or from parents that send theirs. */
function canSendOld(nodes: readonly PlanNode[], node: PlanNode): boolean {
  const stores = node.operator.kind === 'foreignKeyLeft' ? node.stores.slice(1) : node.stores
  return stores.length > 0 || (node.parents.length > 0 && node.parents.every((parent) => nodes[parent]?.sendsOld === true))
}

function check(made: Plan): void {
  const names = made.subTopologies.flatMap(({ nodes }) => nodes.map(({ name }) => name))
  expect(new Set(names).size).toBe(names.length)
  const stores = made.subTopologies.flatMap((sub) => sub.stores.map(({ name }) => name.toLowerCase()))
  expect(new Set(stores).size).toBe(stores.length)
  const topics = made.internalTopics.map(({ name }) => name)
  expect(new Set(topics).size).toBe(topics.length)

  const readBy = new Map<string, number>()
  for (const { id, nodes, sources } of made.subTopologies) {
    for (const node of nodes) {
      expect(nodes[node.index]).toBe(node)
      for (const [input, parent] of node.parents.entries()) {
        expect(parent).toBeLessThan(node.index)
        expect(nodes[parent]?.children).toContainEqual({ index: node.index, input })
      }
      for (const { index, input } of node.children) expect(nodes[index]?.parents[input]).toBe(node.index)
      expect(node.children.map(({ index }) => index)).toEqual(node.children.map(({ index }) => index).sort((a, b) => a - b))
      if (node.sendsOld) expect(canSendOld(nodes, node)).toBe(true)
      checkOperator(nodes, node)
    }
    const roots = nodes.filter((node) => node.parents.length === 0)
    expect(roots.map(({ index }) => index)).toEqual([...sources])
    for (const { operator } of roots) {
      if (operator.kind !== 'source' || operator.topics instanceof RegExp) throw new Error('a root that is no source of topics')
      for (const topic of operator.topics) {
        expect(readBy.has(topic)).toBe(false)
        readBy.set(topic, id)
      }
    }
    checkConnected(nodes)
  }
  for (const { name, kind, subTopology } of made.internalTopics) if (kind === 'repartition') expect(readBy.get(name)).toBe(subTopology)
}

function checkOperator(nodes: readonly PlanNode[], node: PlanNode): void {
  const parents = node.parents.map((parent) => nodes[parent] as PlanNode)
  switch (node.operator.kind) {
    case 'tableJoin':
      for (const parent of parents) expect(isReadable(nodes, parent)).toBe(true)
      if (node.operator.type !== 'inner') for (const parent of parents) expect(parent.sendsOld).toBe(true)
      break
    case 'streamTableJoin':
      expect(isReadable(nodes, parents[1] as PlanNode)).toBe(true)
      break
    case 'changeSink':
      expect(parents[0]?.sendsOld).toBe(true)
      break
    case 'foreignKeyLeft':
      expect(isReadable(nodes, parents[0] as PlanNode)).toBe(true)
      expect(parents[0]?.sendsOld).toBe(true)
      break
    case 'foreignKeyRight':
      expect(isReadable(nodes, parents[0] as PlanNode)).toBe(true)
      break
  }
}

function checkConnected(nodes: readonly PlanNode[]): void {
  const seen = new Set([0])
  const queue = [0]
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    const { parents, children } = nodes[at] as PlanNode
    for (const next of [...parents, ...children.map(({ index }) => index)]) {
      if (seen.has(next)) continue
      seen.add(next)
      queue.push(next)
    }
  }
  expect(seen.size).toBe(nodes.length)
}

describe('any topology', () => {
  it('has a plan that holds together', () => {
    fc.assert(
      fc.property(topologies, (built) => check(plan(built, 'app'))),
      { numRuns: 300 },
    )
  })

  it('has sizes: every task reads something, every topic has a partition, what is co-partitioned is equal', () => {
    fc.assert(
      fc.property(topologies, fc.integer({ min: 1, max: 9 }), (built, count) => {
        const made = plan(built, 'app')
        const { tasks, partitions } = sizePlan(made, new Map(['a', 'b', 'c'].map((topic) => [topic, count])))
        expect(tasks.every((n) => n === count)).toBe(true)
        expect([...partitions.values()].every((n) => n === count)).toBe(true)
        expect(partitions.size).toBe(made.internalTopics.length)
      }),
      { numRuns: 200 },
    )
  })

  it('has equal counts in each co-partition, or is refused for a mismatch', () => {
    fc.assert(
      fc.property(
        topologies,
        fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
        (built, [a, b, c]) => {
          const made = plan(built, 'app')
          const counts = new Map([
            ['a', a],
            ['b', b],
            ['c', c],
          ])
          let sized: ReturnType<typeof sizePlan>
          try {
            sized = sizePlan(made, counts)
          } catch (error) {
            expect(error).toMatchObject({ code: 'STREAM_TOPIC_MISMATCH' })
            return
          }
          for (const { topics } of made.coPartitions) {
            const widths = topics.map((topic) => counts.get(String(topic)) ?? sized.partitions.get(String(topic)))
            expect(new Set(widths).size).toBe(1)
          }
        },
      ),
      { numRuns: 200 },
    )
  })

  it('planned twice gives the same fingerprint and the same pictures', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const [one, two] = [plan(build(steps), 'app'), plan(build(steps), 'app')]
        expect(fingerprint(one)).toEqual(fingerprint(two))
        for (const format of ['text', 'mermaid', 'svg', 'json'] as const) expect(show(one, format)).toBe(show(two, format))
      }),
      { numRuns: 50 },
    )
  })
})
