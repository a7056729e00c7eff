// Plans in a form that is easy to compare.
import type { TopologyBuilder } from '../../src/dsl/builder.ts'
import type { GroupedStream } from '../../src/dsl/grouped-stream.ts'
import type { Table } from '../../src/dsl/table.ts'
import { topology } from '../../src/dsl/topology.ts'
import { int32 } from '../../src/serde/numbers.ts'
import type { Serde } from '../../src/serde/serde.ts'
import { string } from '../../src/serde/text.ts'
import { plan } from '../../src/topology/plan.ts'
import type { Plan, PlanNode } from '../../src/topology/plan-types.ts'

export const text = { key: string(), value: string() }

/** One more for each record. */
export function summed(grouped: GroupedStream<string, string>, store = 'n', value: Serde<number> = int32()): Table<string, number> {
  return grouped.aggregate(
    () => 0,
    (n) => n + 1,
    { store, value },
  )
}

export function planOf(build: (t: TopologyBuilder) => void): Plan {
  return plan(topology('t', build), 'app')
}

export function nodeNamed(made: Plan, name: string): PlanNode {
  const node = made.subTopologies.flatMap(({ nodes }) => nodes).find((each) => each.name === name)
  if (node === undefined) throw new Error(`no node ${name}`)
  return node
}

/** `name -> child child` a node, by sub-topology. */
export function shapeOf(made: Plan): string[][] {
  return made.subTopologies.map(({ nodes }) =>
    nodes.map(({ name, children }) => {
      const to = children.map(({ index, input }) => `${nodes[index]?.name}${input === 0 ? '' : `/${input}`}`)
      return to.length === 0 ? name : `${name} -> ${to.join(' ')}`
    }),
  )
}

/** Names of nodes whose changes carry the old value. */
export function sendingOld(made: Plan): string[] {
  return made.subTopologies.flatMap(({ nodes }) => nodes.filter((node) => node.sendsOld).map(({ name }) => name))
}

/** `node: store store` for nodes that own stores; generated ones have a star. */
export function storesOf(made: Plan): string[] {
  return made.subTopologies.flatMap(({ nodes }) =>
    nodes
      .filter(({ stores }) => stores.length > 0)
      .map(({ name, stores }) => `${name}: ${stores.map((store) => `${store.name}${store.generated ? '*' : ''}`).join(' ')}`),
  )
}
