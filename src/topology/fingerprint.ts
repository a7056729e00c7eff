// A stable text of what state on disk and in internal topics depends on, and its hash: stores with their serdes, stateful operators,
// internal topics, and which topics feed which sub-topology. Stateless operators, sinks and users' functions are left out: they may
// change without the state losing its meaning.
//
// Invariants
// 1. Equal plans give equal texts; the order of declaration of what is not connected counts only by sub-topology number, since task
//    directories carry that number.
// 2. The text has one line a fact, so that a difference of two texts says what has changed.
import type { Plan, PlanNode, PlanOperator, SubTopology } from './plan-types.ts'

export interface Fingerprint {
  readonly text: string
  /** 16 hex digits of the text. */
  readonly hash: string
}

export function fingerprint(plan: Plan): Fingerprint {
  const lines = [
    ...plan.subTopologies.flatMap((sub) => factsOf(sub).map((fact) => `${sub.id} ${fact}`)),
    ...plan.globals.map(
      ({ topic, key, value, store }) => `global ${store.name} ${topic} ${key.name ?? 'custom'} ${value.name ?? 'custom'}`,
    ),
    ...plan.internalTopics.map(({ name, kind, partitions }) => `topic ${name} ${kind} ${partitions ?? 'auto'}`).sort(),
  ]
  const text = `${lines.join('\n')}\n`
  return Object.freeze({ text, hash: hash64(text) })
}

function factsOf(sub: SubTopology): string[] {
  return sub.nodes.flatMap((node) => [...operatorFacts(node), ...storeFacts(node)]).sort()
}

function storeFacts(node: PlanNode): string[] {
  return node.stores.map(({ name, key, value, persistent, changelog, source, form }) => {
    const kept = changelog ? 'changelog' : source === undefined ? 'no-changelog' : `changelog-is ${source}`
    const where = `${persistent ? 'disk' : 'memory'} ${kept}`
    const what = form === undefined ? formOf(node.operator) : `${formOf(node.operator)} ${JSON.stringify(form)}`
    return `store ${name} ${key.name ?? 'custom'} ${value.name ?? 'custom'} ${where} by ${what}`
  })
}

function operatorFacts({ operator, key, value }: PlanNode): string[] {
  switch (operator.kind) {
    case 'source': {
      const topics = operator.topics instanceof RegExp ? [String(operator.topics)] : operator.topics
      return topics.map((topic) => `reads ${topic} ${key.name ?? 'custom'} ${value.name ?? 'custom'} ${operator.carries}`)
    }
    case 'repartitionSink':
    case 'changeSink':
    case 'parkingSink':
      return [`writes ${operator.topic} ${key.name ?? 'custom'} ${value.name ?? 'custom'} by ${operator.kind}`]
    case 'foreignKeyLeft':
      return [`writes ${operator.subscriptionTopic} by ${operator.kind} ${operator.join.type}`]
    case 'holdUntil':
      return operator.questionTopics.map((topic) => `writes ${topic} by ${operator.kind}`)
    case 'holdTable':
      return [`writes ${operator.answerTopic} by ${operator.kind}`]
    case 'foreignKeyRight':
      return [`writes ${operator.responseTopic} by ${operator.kind} ${operator.join.type}`]
    default:
      return []
  }
}

function formOf(operator: PlanOperator): string {
  switch (operator.kind) {
    case 'aggregate':
    case 'tableAggregate':
      return `${operator.kind}/${operator.form}`
    case 'suppress':
      return `${operator.kind}/${operator.untilClose ? 'close' : 'time'}`
    case 'windowAggregate':
      return `${operator.kind}/${operator.form}/${Object.values(operator.windows).join('/')}`
    case 'streamJoin':
      return `${operator.kind}/${operator.type}/${operator.beforeMs}/${operator.afterMs}`
    case 'tableJoin':
      return `${operator.kind}/${operator.type}`
    default:
      return operator.kind
  }
}

/** In a store's form: its place in the log is one of this topic, not of a changelog. */
export const FED_BY = ', from the topic '

/** What the rows of each store are, in words: by store. Under another text the old rows could not be read, or would mean something else. */
export function storeForms(plan: Plan): ReadonlyMap<string, string> {
  const forms = new Map<string, string>()
  for (const sub of plan.subTopologies)
    for (const { operator, stores } of sub.nodes)
      for (const { name, key, value, form, source } of stores) {
        const kind = form === undefined ? rowsOf(operator) : `${form.kind}${form.kind === 'window' ? ` of ${form.sizeMs} ms` : ''}`
        const of = source === undefined ? '' : FED_BY + source
        if (!forms.has(name)) forms.set(name, `${kind} ${key.name ?? 'custom'} to ${value.name ?? 'custom'}${of}`)
      }
  return forms
}

/** Operators whose rows are a key's value each can follow each other. */
function rowsOf(operator: PlanOperator): string {
  switch (operator.kind) {
    case 'aggregate':
    case 'tableAggregate':
    case 'toTable':
      return 'keyValue'
    case 'windowAggregate':
      return 'sizeMs' in operator.windows ? `windows of ${operator.windows.sizeMs} ms` : operator.windows.kind
    default:
      return operator.kind
  }
}

/** FNV-1a, 64 bits. Tells versions of one program apart; no defence against anybody. */
export function hash64(text: string): string {
  let hash = 0xcbf29ce484222325n
  for (const byte of Buffer.from(text, 'utf8')) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n)
  return hash.toString(16).padStart(16, '0')
}
