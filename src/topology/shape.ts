// What the tasks of a sized plan mean: which sub-topology has which number, what each reads, keeps and writes to its own topics, and how many
// tasks it has. Two processes of one application can share tasks only when this is the same for both. Functions, outputs, global tables and
// names of operators are left out: each process may have its own.
//
// Invariants
// 1. Equal for equal plans, whatever order things were declared in; one fact a line, in words that a person can read.
// 2. How the facts are worded is what `FORM` counts: processes of another form cannot be compared with. Change the one with the other.
// 3. Partition counts of what a pattern matches are no part of it: topics that come later are read after a rolling restart.
import { FED_BY, hash64, storeForms } from './fingerprint.ts'
import type { Plan, PlanSource, SizedPlan, SubTopology } from './plan-types.ts'

const FORM = 1

export interface Shape {
  /** `1:` and 16 hex digits of the facts. */
  readonly id: string
  /** As `0 reads orders`: the sub-topology, and what is true of it. */
  readonly facts: readonly string[]
}

export function shapeOf({ plan, tasks }: SizedPlan): Shape {
  const forms = storeForms(plan)
  const facts = plan.subTopologies.flatMap((sub) => factsOf(plan, sub, forms, tasks[sub.id] ?? 0).map((fact) => `${sub.id} ${fact}`))
  const unique = [...new Set(facts)].sort()
  return Object.freeze({ id: `${FORM}:${hash64(unique.join('\n'))}`, facts: Object.freeze(unique) })
}

function factsOf(plan: Plan, sub: SubTopology, forms: ReadonlyMap<string, string>, tasks: number): string[] {
  const sources = sub.nodes.flatMap(({ operator }) => (operator.kind === 'source' ? [operator] : []))
  return [
    ...(sources.some(({ topics }) => topics instanceof RegExp) ? [] : [`has ${tasks} tasks`]),
    ...sources.flatMap(namesOf).map((topic) => `reads ${topic}`),
    ...sub.stores.map(({ name, changelog }) => {
      const form = forms.get(name) ?? 'rows of its own'
      const kept = changelog ? `, changelog ${changelogOf(plan, name)}` : form.includes(FED_BY) ? '' : ', no changelog'
      return `keeps the store ${name} (${form}${kept})`
    }),
    ...plan.internalTopics.flatMap(({ kind, name, writtenBy }) => (kind === 'repartition' && writtenBy === sub.id ? `writes ${name}` : [])),
  ]
}

function namesOf({ topics }: PlanSource): readonly string[] {
  return topics instanceof RegExp ? [String(topics)] : topics
}

function changelogOf({ internalTopics }: Plan, store: string): string {
  return internalTopics.find((topic) => topic.kind === 'changelog' && topic.store === store)?.name ?? store
}
