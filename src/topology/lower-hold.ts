// Lowers `holdUntil`: a half in the stream's sub-topology, and one beside each table, with two topics between them a table.
import { addDraft, addedStore, addInternalSource, connect, type DraftNode, type DraftPlan, internalTopicName } from './draft-plan.ts'
import type { HoldUntilNode } from './node.ts'
import type { HoldTable, HoldUntil } from './plan-types.ts'
import { RAW } from './raw.ts'

/** Answers with the half that puts the records out. */
export function addHoldUntil(plan: DraftPlan, hold: HoldUntilNode, stream: DraftNode, tables: readonly DraftNode[]): DraftNode {
  const { name, generated } = hold.store
  const topics = hold.tables.map((table) => ({
    questions: internalTopicName(plan, `${name}-${table.name}-questions`, 'repartition'),
    answers: internalTopicName(plan, `${name}-${table.name}-answers`, 'repartition'),
  }))
  const sides = hold.tables.map((table, i) => {
    const { questions: questionTopic, answers: answerTopic } = topics[i] as (typeof topics)[number]
    const base = `${name}-${table.name}`
    const questions = addInternalSource(plan, `${base}-questions-source`, questionTopic, 'bytes', RAW, RAW)
    const state = addedStore(plan, `${base}-asked`, RAW, RAW, generated)
    const half: HoldTable = { kind: 'holdTable', answerTopic, state, tableKey: table.key, tableName: table.name }
    const writer = addDraft(plan, `${base}-asked`, {
      operator: Object.freeze(half),
      key: RAW,
      value: RAW,
      parents: [tables[i] as DraftNode, questions],
      sendsOld: false,
      stores: [state],
    })
    const answers = addInternalSource(plan, `${base}-answers-source`, answerTopic, 'bytes', RAW, RAW)
    return { questionTopic, answerTopic, questions, answers, writer }
  })
  const half: HoldUntil = { kind: 'holdUntil', hold, questionTopics: Object.freeze(topics.map(({ questions }) => questions)) }
  const holds = addDraft(plan, hold.name, {
    operator: Object.freeze(half),
    key: hold.key,
    value: hold.value,
    parents: [stream, ...sides.map(({ answers }) => answers)],
    sendsOld: false,
    stores: [hold.store],
  })
  for (const { questionTopic, answerTopic, questions, answers, writer } of sides) {
    connect(plan, { name: questionTopic, partitions: null, generated, writer: holds, reader: questions })
    connect(plan, { name: answerTopic, partitions: null, generated, writer, reader: answers })
  }
  return holds
}
