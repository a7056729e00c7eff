// A worker on any log, as app.ts would wire it, for tests and benchmarks: they bring the log, the stores and the faults.
import { prepareTopics } from '../../src/app/topics.ts'
import { LIMITS } from '../../src/base/limits.ts'
import { partitionOf } from '../../src/base/murmur2.ts'
import type { World } from '../../src/base/ports.ts'
import { type Headers, type LogRecord, NO_HEADERS } from '../../src/base/record.ts'
import type { Tracing } from '../../src/base/tracing.ts'
import type { Guarantee, Log } from '../../src/log/log.ts'
import { DEFAULT_POLICIES, deadLetterTopic, type ErrorPolicies } from '../../src/runtime/dead-letter.ts'
import { Worker } from '../../src/runtime/worker.ts'
import type { StoreProvider } from '../../src/state/store.ts'
import type { Topology } from '../../src/topology/node.ts'
import { plan as planOf, type PlanOptions } from '../../src/topology/plan.ts'

export interface WorkerSetup {
  readonly log: Log
  readonly topology: Topology
  readonly applicationId: string
  readonly provider: StoreProvider
  readonly world: World
  readonly partitions: number
  readonly commitIntervalMs?: number
  readonly epochRecordsMax?: number
  readonly guarantee?: Guarantee
  readonly policies?: ErrorPolicies & PlanOptions
  /** One a member; default 'a'. */
  readonly member?: string
  /** Static membership. */
  readonly instanceId?: string
  readonly standbys?: number
  readonly maxIdleMs?: number
  readonly tracing?: Tracing | null
}

export interface RunningWorker {
  readonly worker: Worker
  /** Records restored from changelogs, over all tasks. */
  restored(): number
  /** All inputs, internal ones too, are committed to their ends. Throws what the worker gave up with. */
  caughtUp(): Promise<boolean>
  untilCaughtUp(timeoutMs?: number): Promise<void>
}

/** Started: a member of the group, its tasks being restored. */
export async function runWorker(setup: WorkerSetup): Promise<RunningWorker> {
  const { log, topology, applicationId, provider, world, partitions } = setup
  const plan = planOf(topology, applicationId, setup.policies)
  const topics = await prepareTopics(log, plan, partitions)
  const restored = new Map<string, number>()
  let failure: { readonly error: unknown } | null = null
  const member = `${applicationId}-${setup.member ?? 'a'}`
  const worker = new Worker({
    deps: {
      log,
      groupId: applicationId,
      provider,
      sized: topics.sized,
      policies: setup.policies ?? DEFAULT_POLICIES,
      maxIdleMs: setup.maxIdleMs ?? 0,
      deadLetterTopic: deadLetterTopic(applicationId),
      partitionsOf: topics.partitionsOf,
      inputTopics: topics.inputTopics,
      changelogTopic: (store) => plan.internalTopics.find((topic) => topic.kind === 'changelog' && topic.store === store)?.name as string,
      world,
      onProgress: (progress) => restored.set(`${progress.task}/${progress.store}`, progress.restored),
      stopping: () => false,
    },
    transactionalId: member,
    instanceId: setup.instanceId ?? null,
    guarantee: setup.guarantee ?? 'exactly_once',
    limits: {
      intervalMs: setup.commitIntervalMs ?? 20,
      recordsMax: setup.epochRecordsMax ?? LIMITS.epochRecordsMax,
      bytesMax: LIMITS.epochBytesMax,
    },
    stored: [],
    standbys: setup.standbys ?? 0,
    tracing: setup.tracing ?? null,
    onFatal: (error) => {
      failure = { error }
    },
  })
  await worker.start()
  const read = plan.subTopologies.flatMap((sub) =>
    sub.nodes.flatMap(({ operator }) => (operator.kind === 'source' ? topics.inputTopics(operator) : [])),
  )
  const inputs = [...new Set(read)].flatMap((topic) =>
    Array.from({ length: topics.partitionsOf(topic) }, (_, partition) => ({ topic, partition })),
  )
  /** The inputs that are not committed to their ends, each as 'topic/partition: 3 of 5'. */
  const behind = async (): Promise<string[]> => {
    if (failure !== null) throw failure.error
    // In this order: what an epoch wrote to a repartition topic is there when its input offset is.
    const committed = await log.committed(applicationId, inputs)
    const ends = await log.offsets(inputs, 'latest')
    const starts = await log.offsets(inputs, 'earliest')
    return inputs.flatMap(({ topic, partition }, i) => {
      const at = committed[i]?.offset ?? starts[i] ?? 0
      const end = ends[i] as number
      return at >= end ? [] : [`${topic}/${partition}: ${at} of ${end}`]
    })
  }
  const caughtUp = async (): Promise<boolean> => (await behind()).length === 0
  /** What somebody who looks into a standstill asks first. */
  const state = async (): Promise<string> =>
    [
      `${member} is ${worker.ready ? 'ready' : 'not ready'}`,
      `tasks ${[...worker.tasks.keys()].join(' ') || 'none'}`,
      ...(await behind()),
    ].join('; ')
  return {
    worker,
    restored: () => [...restored.values()].reduce((sum, n) => sum + n, 0),
    caughtUp,
    async untilCaughtUp(timeoutMs = 30_000) {
      const end = world.clock.monotonic() + timeoutMs
      // Kafka answers the end of a transaction before its markers are written: until then the ends are those without it.
      const settleMs = log.kind === 'kafka' ? 500 : 0
      let since: number | null = null
      for (;;) {
        const now = world.clock.monotonic()
        if (!(worker.ready && (await caughtUp()))) since = null
        else if (now - (since ?? now) >= settleMs) return
        else since ??= now
        if (world.clock.monotonic() > end) throw new Error(`${applicationId}: not caught up after ${timeoutMs} ms: ${await state()}`)
        await world.timers.sleep(5)
      }
    },
  }
}

export interface InputRecord {
  readonly topic: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly timestamp: number
  readonly headers?: Headers
}

/** Committed in epochs of `epochRecords`; the topics are made when they are missing. */
export async function load(log: Log, records: readonly InputRecord[], partitions: number, epochRecords = 20_000): Promise<void> {
  const names = [...new Set(records.map((record) => record.topic))]
  const there = await log.topics(names)
  await log.createTopics(names.filter((name) => !there.has(name)).map((name) => ({ name, partitions, kind: 'plain' })))
  await log.topics(names)
  const writer = log.writer({ transactionalId: 'loader', guarantee: 'at_least_once' })
  await writer.init()
  for (let i = 0; i < records.length; i += epochRecords) {
    for (const { topic, key, value, timestamp, headers = NO_HEADERS } of records.slice(i, i + epochRecords)) {
      writer.append(topic, key === null ? 0 : partitionOf(key, partitions), timestamp, key, value, headers)
      if (writer.bufferedBytes > LIMITS.sendBufferBytesHigh) await writer.drain()
    }
    writer.seal()
    await writer.flush()
    await writer.commit(null, 'loader', [])
  }
  await writer.close()
}

/** All committed records of a topic, by partition. */
export async function readAll(log: Log, topic: string): Promise<LogRecord[][]> {
  const partitions = (await log.topics([topic])).get(topic)?.partitions ?? 0
  const all = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))
  const starts = await log.offsets(all, 'earliest')
  const ends = await log.offsets(all, 'latest')
  const records: LogRecord[][] = all.map(() => [])
  const positions = [...starts]
  const reader = log.reader()
  try {
    reader.assign(all.map((at, i) => ({ ...at, offset: starts[i] as number })))
    while (positions.some((position, i) => position < (ends[i] as number))) {
      for (const chunk of await reader.poll(LIMITS.fetchWaitMs)) {
        ;(records[chunk.partition] as LogRecord[]).push(...chunk.records)
        positions[chunk.partition] = chunk.position
      }
    }
  } finally {
    await reader.close()
  }
  return records
}
