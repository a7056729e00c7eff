// Which serdes of a plan write to which topics, and the telling of those that must know it before the first record (`Serde.prepare`).
//
// Invariants
// 1. Every serde of the plan that writes is told: of sinks with a fixed topic, of repartition topics, of stores under the topic of their
//    changelog, also where they keep none.
// 2. An operator that packs several kinds of values into one store tells them apart: `<changelog>-left`, `<changelog>-right`, ...
// 3. One after the other: the error that comes out is the same in each run.
import type { AnySerde, RecordHalf } from '../serde/serde.ts'
import type { StoreSpec } from './node.ts'
import type { Plan, PlanNode } from './plan-types.ts'

export interface Writing {
  readonly serde: AnySerde
  readonly topic: string
  readonly half: RecordHalf
}

interface Pair {
  readonly key: AnySerde
  readonly value: AnySerde
}

export async function prepareSerdes(writings: Iterable<Writing>): Promise<void> {
  for (const { serde, topic, half } of writings) await serde.prepare?.(topic, half)
}

export function pairWritings(topic: string, { key, value }: Pair): Writing[] {
  return [
    { serde: key, topic, half: 'key' },
    { serde: value, topic, half: 'value' },
  ]
}

export function storeWritings(plan: Plan, store: StoreSpec): Writing[] {
  return pairWritings(changelogOf(plan, store), store)
}

/** All that a running plan writes, dead letters excepted: they keep their bytes. */
export function writingsOf(plan: Plan): Writing[] {
  const found = plan.subTopologies.flatMap(({ nodes }) => nodes.flatMap((node) => [...topicWritings(node), ...rowWritings(plan, node)]))
  // Rows of a global table are looked up by keys that are written here.
  const lookups = plan.globals.map(({ key, topic }): Writing => ({ serde: key, topic, half: 'key' }))
  return [...found, ...lookups].filter(({ serde }) => serde.prepare !== undefined)
}

function topicWritings({ operator }: PlanNode): Writing[] {
  switch (operator.kind) {
    case 'sink':
      return typeof operator.topic === 'string' ? pairWritings(operator.topic, operator) : []
    case 'repartitionSink':
      return pairWritings(operator.topic, operator)
    case 'changeSink':
      return pairWritings(operator.topic, operator.group)
    default:
      return []
  }
}

function rowWritings(plan: Plan, node: PlanNode): Writing[] {
  const [own] = node.stores
  if (own === undefined) return []
  const packed = Object.entries(node.operator).flatMap(([field, value]): Writing[] => {
    const part = /^(foreignKey|\w+?)(Key|Value|Serde)$/.exec(field)
    if (isSerde(value) && part !== null) {
      const half: RecordHalf = part[2] === 'Value' ? 'value' : 'key'
      return [{ serde: value, topic: `${changelogOf(plan, own)}-${part[1]}`, half }]
    }
    const isPair =
      field !== 'store' && field !== 'state' && field !== 'join' && isObject(value) && isSerde(value.key) && isSerde(value.value)
    return isPair ? pairWritings(`${changelogOf(plan, own)}-${field}`, value as object as Pair) : []
  })
  return [...node.stores.flatMap((store) => storeWritings(plan, store)), ...packed]
}

function changelogOf(plan: Plan, store: StoreSpec): string {
  const topic = plan.internalTopics.find((internal) => internal.kind === 'changelog' && internal.store === store.name)
  return topic?.name ?? `${plan.applicationId}-${store.name}-changelog`
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function isSerde(value: unknown): value is AnySerde {
  return isObject(value) && typeof value.encode === 'function' && typeof value.decode === 'function'
}
