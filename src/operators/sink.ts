// `to`: writes records to a topic, fixed or named by a function (value, key, record).
//
// Invariants
// 1. Without a partition function a key decides (murmur2), and a record without a key goes to the task's own partition number.
// 2. A windowed key goes where its key without the window goes, as in Kafka Streams.
// 3. A topic or partition that a function got wrong is STREAM_CALLBACK: that record's fault, so it can be parked. Wrong is also a topic that
//    the topology reads, unless it said `loop`, and one of its internal topics, as where the topic is fixed.
import { MillraceError } from '../base/errors.ts'
import { NotYet } from '../base/not-yet.ts'
import { partitionOf as partitionOfKey } from '../base/murmur2.ts'
import { isName } from '../base/names.ts'
import type { Windowed } from '../base/window.ts'
import { isWindowedSerde } from '../serde/windowed.ts'
import { readsTopic } from '../topology/pattern.ts'
import type { PlanSink } from '../topology/plan-types.ts'
import { keyToBytes, valueToBytes } from './encode.ts'
import type { Operator, Site } from './operator.ts'
import { type RecordView, recordView } from './record-view.ts'

type TopicOf = (value: unknown, key: unknown, record: RecordView) => unknown
type PartitionOf = (value: unknown, key: unknown, partitions: number) => unknown

export const sink: Operator = (site) => {
  const { context, node } = site
  const { topic, partition } = node.operator as PlanSink
  const topicOf = typeof topic === 'string' ? null : site.guard(topic as TopicOf)
  const prepared = new Set<string>()
  const prepares = topicOf !== null && (node.key.prepare !== undefined || node.value.prepare !== undefined)
  const partitionOf = partition === null ? null : site.guard(partition as PartitionOf)
  return {
    inputs: [
      (key, value, timestamp) => {
        const to =
          topicOf === null ? (topic as string) : checkedTopic(site, topicOf(value, key, recordView(context, key, value, timestamp)))
        if (prepares && !prepared.has(to)) throw unprepared(site, to, prepared)
        const at = partitionOf === null ? ownPartition(site, to, key) : checkedPartition(site, to, value, key, partitionOf)
        site.send(to, at, keyToBytes(site, node.key, key), valueToBytes(site, node.value, value), timestamp)
      },
    ],
  }
}

/** A topic that the function names for the first time: the serdes are told of it before the record is written. */
function unprepared({ node }: Site, topic: string, prepared: Set<string>): NotYet {
  return new NotYet('STREAM_REGISTRY', `${node.name}: the serdes do not know of ${topic} yet`, async () => {
    await node.key.prepare?.(topic, 'key')
    await node.value.prepare?.(topic, 'value')
    prepared.add(topic)
  })
}

function ownPartition(site: Site, topic: string, key: unknown): number | null {
  const serde = site.node.key
  if (key === null || !isWindowedSerde(serde)) return null
  const inner = keyToBytes(site, serde.inner, (key as Windowed<unknown>).key)
  return inner === null ? null : partitionOfKey(inner, site.partitionsOf(topic))
}

function checkedTopic(site: Site, topic: unknown): string {
  const why = typeof topic === 'string' && isName(topic) ? whyNot(site.node.operator as PlanSink, topic) : 'which is no topic name'
  if (why === null) return topic as string
  const what =
    typeof topic === 'string' ? JSON.stringify(topic) : topic === null || topic === undefined ? String(topic) : `a ${typeof topic}`
  throw new MillraceError('STREAM_CALLBACK', `${site.node.name}: the topic function returned ${what}, ${why}`)
}

function whyNot({ inputs = [], internal }: PlanSink, topic: string): string | null {
  if (internal?.has(topic) === true) return 'which is an internal topic of this application'
  if (!inputs.some((topics) => readsTopic(topics, topic))) return null
  return 'which this topology reads, an endless loop; if it is meant, give to(..., {loop: true})'
}

/** Null or undefined: as without a function. */
function checkedPartition(site: Site, topic: string, value: unknown, key: unknown, partitionOf: PartitionOf): number | null {
  const partitions = site.partitionsOf(topic)
  const partition = partitionOf(value, key, partitions) ?? null
  if (partition === null || (Number.isInteger(partition) && (partition as number) >= 0 && (partition as number) < partitions)) {
    return partition as number | null
  }
  throw new MillraceError(
    'STREAM_CALLBACK',
    `${site.node.name}: the partition function returned ${String(partition)}, but ${topic} has partitions 0 to ${partitions - 1}`,
  )
}
