// What a session tells of its plan and its tasks.
import { feedingTopics } from '../runtime/source-fed.ts'
import type { Task } from '../runtime/task.ts'
import type { AnySerde } from '../serde/serde.ts'
import type { Plan, PlanSource } from '../topology/plan-types.ts'

/** What records come in by from outside. */
export function externalSources(plan: Plan): PlanSource[] {
  return plan.subTopologies.flatMap((sub) =>
    sub.nodes.flatMap(({ operator }) => (operator.kind === 'source' && !operator.internal ? [operator] : [])),
  )
}

/** What lines can be read for. */
export interface Input {
  readonly topic: string | RegExp
  readonly key: AnySerde
  readonly value: AnySerde
}

export function inputsOf(plan: Plan): readonly Input[] {
  const found = externalSources(plan).flatMap(({ topics, key, value }): Input[] =>
    (topics instanceof RegExp ? [topics] : topics).map((topic) => ({ topic, key, value })),
  )
  return [...found, ...plan.globals]
}

/** Topics that are in the log, and read from it: internal ones, external ones that are read and written, which the user said is meant, and
 *  those that tables are restored from. */
export function loggedTopics(plan: Plan): ReadonlySet<string> {
  const internal = plan.internalTopics.filter(({ kind }) => kind === 'repartition').map(({ name }) => name)
  const nodes = plan.subTopologies.flatMap((sub) => sub.nodes)
  const anyLoops = nodes.some(({ operator }) => operator.kind === 'sink' && operator.loop && typeof operator.topic !== 'string')
  return new Set([...internal, ...plan.inputs.filter((input) => anyLoops || plan.outputs.includes(input)), ...feedingTopics(plan)])
}

/** Counters and gauges by node and name. */
export function sumsOf(tasks: Iterable<Task>): Map<string, Map<string, number>> {
  const sums = new Map<string, Map<string, number>>()
  for (const task of tasks) {
    for (const [node, counters] of [...task.program.counters, ...task.program.gauges]) {
      const sum = sums.get(node) ?? new Map<string, number>()
      for (const [name, counter] of counters) sum.set(name, (sum.get(name) ?? 0) + counter.n)
      sums.set(node, sum)
    }
  }
  return sums
}
