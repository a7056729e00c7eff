// What a session tells of its plan and its tasks.
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

/** Topics that are written here and read from the log: internal ones, and external ones that are read and written, which the user said is
 *  meant. */
export function loopedTopics(plan: Plan): ReadonlySet<string> {
  const internal = plan.internalTopics.filter(({ kind }) => kind === 'repartition').map(({ name }) => name)
  return new Set([...internal, ...plan.inputs.filter((input) => plan.outputs.includes(input))])
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
