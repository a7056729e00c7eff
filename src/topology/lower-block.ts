// Puts the operator below a source that keeps a key's later records waiting behind a dead letter, and the topic by which letters come back.
import { MillraceError } from '../base/errors.ts'
import { addDraft, addedStore, addInternalSource, connect, type DraftNode, type DraftPlan, internalTopicName } from './draft-plan.ts'
import type { BlockKey, Plan, PlanSource } from './plan-types.ts'
import { RAW } from './raw.ts'

/** Answers with what the rest is put below: the source itself, where keys are not kept waiting. */
export function addBlockKey(plan: DraftPlan, source: DraftNode, generated: boolean): DraftNode {
  if (plan.blockKey === null) return source
  const operator = source.operator as PlanSource
  const { topics, internal } = operator
  const only = internal || topics instanceof RegExp || topics.length !== 1 ? source.name : (topics[0] as string)
  const store = addedStore(plan, `${only}-blocked`, RAW, RAW, generated)
  const topic = internalTopicName(plan, `${store.name}-letters`, 'repartition')
  const letters = addInternalSource(plan, `${store.name}-letters-source`, topic, 'letters', RAW, RAW)
  const { maxRecords } = plan.blockKey
  const body: BlockKey = { kind: 'blockKey', source: operator, topic, recordsMax: maxRecords }
  const node = addDraft(plan, store.name, {
    operator: Object.freeze(body),
    key: source.key,
    value: source.value,
    parents: [source, letters],
    sendsOld: false,
    stores: [store],
  })
  connect(plan, { name: topic, partitions: null, generated, writer: node, reader: letters, beside: true })
  return node
}

/** A dead letter comes back by one topic, to one of the sources that have read its record. */
export function refuseReadTwice(plan: Plan): void {
  for (const { nodes } of plan.subTopologies) {
    const readers = new Map<string, string>()
    for (const { operator, name } of nodes) {
      if (operator.kind !== 'blockKey') continue
      const { topics } = operator.source
      for (const topic of topics instanceof RegExp ? [String(topics)] : topics) {
        const other = readers.get(topic)
        if (other !== undefined)
          throw new MillraceError(
            'STREAM_TOPOLOGY',
            `the topic "${topic}" is read twice in one task ("${other}", "${name}"), by other serdes, timestamps or offsetReset: with blockKey read it once`,
          )
        readers.set(topic, name)
      }
    }
  }
}
