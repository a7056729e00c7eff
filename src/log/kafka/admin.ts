// Topics and their offsets. Never caches: each question goes to a broker.
//
// Invariants
// 1. What is created is usable when the call returns: every partition has a leader, and it answers.
// 2. Topics of our own never lose records to the clock: retention goes by record timestamp, and ours may be years old (measured:
//    gone minutes after being written).
// 3. A topic that exists is checked, never changed.
import { ConfigResourceTypes, createTopicsV7, deleteTopicsV6, describeConfigsV4, listOffsetsV9 } from '@platformatic/kafka'
import { explain, MillraceError } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import { partitionName, type TopicPartition } from '../../base/record.ts'
import type { TopicInfo, TopicKind, TopicSpec, WhichOffset } from '../log.ts'
import { addressOf, type KafkaClient, type Node } from './client.ts'
import { BrokerAnswer, judge, responseOf } from './errors.ts'

const ADMIN_TIMEOUT_MS = 30_000
const LONG_MAX = '9223372036854775807'
const ANY_TIMESTAMP = {
  'message.timestamp.type': 'CreateTime',
  'message.timestamp.after.max.ms': LONG_MAX,
  'message.timestamp.before.max.ms': LONG_MAX,
}

const CONFIGS: Readonly<Record<TopicKind, Readonly<Record<string, string>>>> = {
  plain: { 'message.timestamp.type': 'CreateTime' },
  changelog: { 'cleanup.policy': 'compact', ...ANY_TIMESTAMP },
  repartition: { 'cleanup.policy': 'delete', 'retention.ms': '-1', 'retention.bytes': '-1', ...ANY_TIMESTAMP },
  deadLetter: { 'cleanup.policy': 'delete', 'retention.ms': '-1', ...ANY_TIMESTAMP },
}

export async function topics(client: KafkaClient, names: readonly string[]): Promise<ReadonlyMap<string, TopicInfo>> {
  if (names.length === 0) return new Map()
  const found = await client.ask('metadata', `metadata of ${names.join(', ')}`, ADMIN_TIMEOUT_MS, () => client.refresh(names))
  return new Map([...found.values()].map(({ name, id, leaders }) => [name, { name, id, partitions: leaders.length }]))
}

/** Without those of the broker itself. */
export async function topicNames(client: KafkaClient): Promise<readonly string[]> {
  const found = await client.ask('metadata', 'list of topics', ADMIN_TIMEOUT_MS, () => client.refresh(null))
  return [...found.values()]
    .filter((topic) => !topic.internal)
    .map((topic) => topic.name)
    .sort()
}

export async function createTopics(client: KafkaClient, specs: readonly TopicSpec[]): Promise<void> {
  if (specs.length === 0) return
  const names = specs.map((spec) => spec.name)
  const before = await topics(client, names)
  for (const spec of specs) checkPartitions(spec, before.get(spec.name))
  await checkPolicies(
    client,
    specs.filter((spec) => before.has(spec.name)),
  )
  const missing = specs.filter((spec) => !before.has(spec.name))
  if (missing.length === 0) return
  await client.ask('admin', `creation of ${missing.map((spec) => spec.name).join(', ')}`, ADMIN_TIMEOUT_MS, async () => {
    try {
      await client.any((connection) => createTopicsV7.api.async(connection, missing.map(wireSpec), ADMIN_TIMEOUT_MS, false))
    } catch (error) {
      if (judge('admin', error).outcome !== 'ok') throw error // the others of the same request are created all the same
    }
  })
  // metadata names a leader a moment before that broker knows that it leads: a first Produce would be refused (measured)
  const all = missing.flatMap((spec) => Array.from({ length: spec.partitions }, (_, partition) => ({ topic: spec.name, partition })))
  await settle(client, names, async () => {
    for (const spec of specs) {
      const leaders = client.topic(spec.name)?.leaders
      if (leaders === undefined || leaders.some((id) => id < 0)) return `topic ${spec.name} got no leader`
    }
    try {
      await listOffsets(client, all, 'earliest')
      return null
    } catch (error) {
      if (error instanceof MillraceError && error.code === 'STREAM_TOPIC_MISSING') return error.message // not known everywhere yet
      throw error
    }
  })
  const after = await topics(client, names)
  for (const spec of specs) checkPartitions(spec, after.get(spec.name))
}

export async function deleteTopics(client: KafkaClient, names: readonly string[]): Promise<void> {
  if (names.length === 0) return
  await client.ask('admin', `deletion of ${names.join(', ')}`, ADMIN_TIMEOUT_MS, async () => {
    try {
      await client.any((connection) =>
        deleteTopicsV6.api.async(
          connection,
          names.map((name) => ({ name })),
          ADMIN_TIMEOUT_MS,
        ),
      )
    } catch (error) {
      if (judge('admin', error).outcome !== 'ok') throw error
    }
  })
  await settle(client, names, async () => {
    const left = names.find((name) => client.topic(name) !== undefined)
    return left === undefined ? null : `topic ${left} is still there`
  })
}

export async function listOffsets(
  client: KafkaClient,
  partitions: readonly TopicPartition[],
  which: WhichOffset,
): Promise<readonly number[]> {
  if (partitions.length === 0) return []
  if (which === 'settled') return settledEnds(client, partitions)
  return listAll(client, partitions, which, which === 'earliest' ? -2n : -1n, true)
}

/** The high watermark first, then the last stable offset until it has come so far. */
async function settledEnds(client: KafkaClient, partitions: readonly TopicPartition[]): Promise<readonly number[]> {
  const { clock, timers } = client.world
  const timeoutMs = client.options.stableOffsetsTimeoutMs ?? LIMITS.stableOffsetsTimeoutMs
  const deadline = clock.monotonic() + timeoutMs
  const written = await listAll(client, partitions, 'written', -1n, false)
  for (let tries = 0; ; tries++) {
    const stable = await listAll(client, partitions, 'latest', -1n, true)
    const behind = partitions.find((_, i) => (stable[i] as number) < (written[i] as number))
    if (behind === undefined) return stable
    if (clock.monotonic() >= deadline)
      throw new MillraceError(
        'STREAM_UNSTABLE',
        `${partitionName(behind.topic, behind.partition)} stayed behind an open transaction for ${timeoutMs} ms; a writer is hung until its transaction ` +
          'times out, or a broker crash with replication factor 1 left it open for ever (compare kafka-transactions.sh find-hanging)',
      )
    await timers.sleep(Math.min(5 * (tries + 1), 200))
  }
}

async function listAll(
  client: KafkaClient,
  partitions: readonly TopicPartition[],
  which: string,
  timestamp: bigint,
  committedOnly: boolean,
): Promise<readonly number[]> {
  const names = [...new Set(partitions.map((p) => p.topic))]
  const ask = (): Promise<Map<string, number>> => listOnce(client, partitions, timestamp, committedOnly)
  if (names.some((name) => client.topic(name) === undefined)) await topics(client, names)
  const found = await client.ask('listOffsets', `${which} offsets of ${names.join(', ')}`, ADMIN_TIMEOUT_MS, ask, () =>
    client.refresh(names).catch(() => {}),
  )
  return partitions.map((p) => found.get(partitionName(p.topic, p.partition)) as number)
}

async function listOnce(
  client: KafkaClient,
  partitions: readonly TopicPartition[],
  timestamp: bigint,
  committedOnly: boolean,
): Promise<Map<string, number>> {
  const byLeader = new Map<string, { node: Node; topics: Map<string, number[]> }>()
  for (const { topic, partition } of partitions) {
    const count = client.topic(topic)?.leaders.length
    if (count === undefined) throw new MillraceError('STREAM_TOPIC_MISSING', `topic ${topic} does not exist`)
    if (partition >= count)
      throw new MillraceError(
        'STREAM_TOPIC_MISSING',
        `topic ${topic} has ${count} partitions, there is no ${partitionName(topic, partition)}`,
      )
    const node = client.leader(topic, partition)
    if (node === undefined) throw new BrokerAnswer(`leader of ${partitionName(topic, partition)}`, 5)
    const key = addressOf(node)
    const of = byLeader.get(key) ?? { node, topics: new Map<string, number[]>() }
    byLeader.set(key, of)
    const list = of.topics.get(topic)
    if (list === undefined) of.topics.set(topic, [partition])
    else list.push(partition)
  }
  const found = new Map<string, number>()
  await Promise.all(
    [...byLeader.values()].map(async (of) => {
      const wanted = [...of.topics].map(([name, list]) => ({
        name,
        partitions: list.map((partitionIndex) => ({ partitionIndex, currentLeaderEpoch: -1, timestamp })),
      }))
      const answer = await listOffsetsV9.api.async(await client.common(of.node), -1, committedOnly ? 1 : 0, wanted)
      for (const topic of answer.topics)
        for (const p of topic.partitions) found.set(partitionName(topic.name, p.partitionIndex), Number(p.offset))
    }),
  )
  return found
}

function checkPartitions(spec: TopicSpec, found: TopicInfo | undefined): void {
  if (found === undefined || found.partitions === spec.partitions) return
  throw new MillraceError(
    'STREAM_TOPIC_MISMATCH',
    `topic ${spec.name} has ${found.partitions} partitions, ${spec.partitions} are needed; delete it, or give the number that it has`,
  )
}

/** A changelog that is not compacted forgets state. Where we may not look, we do not refuse. */
async function checkPolicies(client: KafkaClient, specs: readonly TopicSpec[]): Promise<void> {
  const changelogs = specs.filter((spec) => spec.kind === 'changelog').map(({ name }) => name)
  for (const [topic, configs] of await configsOf(client, changelogs, ['cleanup.policy'])) {
    const policy = configs.get('cleanup.policy')
    if (policy === undefined || isCompacted(policy)) continue
    throw new MillraceError(
      'STREAM_TOPIC_MISMATCH',
      `changelog topic ${topic} has cleanup.policy=${policy}; it must be compact, or state is lost`,
    )
  }
}

export async function tombstonesKeptMs(client: KafkaClient, topic: string): Promise<number | null> {
  const configs = (await configsOf(client, [topic], ['cleanup.policy', 'delete.retention.ms'])).get(topic)
  const policy = configs?.get('cleanup.policy')
  if (policy !== undefined && !isCompacted(policy)) return Number.POSITIVE_INFINITY
  const keptMs = Number(configs?.get('delete.retention.ms') ?? Number.NaN)
  return Number.isSafeInteger(keptMs) ? keptMs : null
}

function isCompacted(policy: string): boolean {
  return policy.split(',').includes('compact')
}

/** By topic, then name; what may not be read is left out. */
async function configsOf(
  client: KafkaClient,
  topicNames: readonly string[],
  names: readonly string[],
): Promise<ReadonlyMap<string, ReadonlyMap<string, string>>> {
  const found = new Map<string, ReadonlyMap<string, string>>()
  if (topicNames.length === 0) return found
  const resources = topicNames.map((resourceName) => ({
    resourceType: ConfigResourceTypes.TOPIC,
    resourceName,
    configurationKeys: [...names],
  }))
  type Answer = Awaited<ReturnType<typeof describeConfigsV4.api.async>>
  let answer: Answer | undefined
  try {
    answer = await client.any((connection) => describeConfigsV4.api.async(connection, resources, false, false))
  } catch (error) {
    answer = responseOf<Answer>(error)
    client.world.logger.warn(
      { topics: topicNames, configs: names, cause: explain(error) },
      'the settings of changelog topics could not be read (it takes the right DescribeConfigs)',
    )
  }
  for (const { errorCode, resourceName, configs } of answer?.results ?? []) {
    if (errorCode !== 0) continue
    found.set(resourceName, new Map(configs.flatMap(({ name, value }) => (value === undefined || value === null ? [] : [[name, value]]))))
  }
  return found
}

function wireSpec(spec: TopicSpec) {
  const configs = Object.entries(CONFIGS[spec.kind]).map(([name, value]) => ({ name, value }))
  return { name: spec.name, numPartitions: spec.partitions, replicationFactor: -1, assignments: [], configs }
}

/** Asks until `problem` has none. */
async function settle(client: KafkaClient, names: readonly string[], problem: () => Promise<string | null>): Promise<void> {
  const { clock, timers } = client.world
  const deadline = clock.monotonic() + LIMITS.connectTimeoutMs
  for (;;) {
    await topics(client, names)
    const left = await problem()
    if (left === null) return
    if (clock.monotonic() > deadline)
      throw new MillraceError('STREAM_BROKER', `${left} within ${LIMITS.connectTimeoutMs} ms`, { disposition: 'retry' })
    await timers.sleep(25)
  }
}
