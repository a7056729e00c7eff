// Makes an application as if it had never run: its inputs at their beginning, its internal topics and its stores gone. What it has
// written to its outputs and to the dead-letter topic stays.
//
// Invariants
// 1. Nothing is changed while a member of the group runs, here or elsewhere: the offsets are committed as the group's only member.
// 2. Only topics that the plan names are deleted: a prefix could be that of another application.
// 3. Cut off in the middle it is run again: every step may find its work done.
import { existsSync, lstatSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { MillraceError } from '../base/errors.ts'
import type { TopicPartition } from '../base/record.ts'
import type { CommittedOffset, GroupIdentity, Log } from '../log/log.ts'
import { inputTopicsOf } from '../runtime/topics.ts'
import type { Plan, PlanSource } from '../topology/plan-types.ts'
import { isMatchedInput } from './topics.ts'

export interface OffsetReset extends TopicPartition {
  /** Null: none was committed. */
  readonly from: number | null
  readonly to: number
}

export interface Reset {
  readonly offsets: readonly OffsetReset[]
  /** Internal topics that are there. */
  readonly topics: readonly string[]
  /** The folder of the stores; null: there is none. */
  readonly stores: string | null
}

/** What a reset would do. Changes nothing. `offsetReset`: of sources that do not say it themselves. */
export async function findReset(log: Log, plan: Plan, stateDir: string, offsetReset: 'earliest' | 'latest'): Promise<Reset> {
  const internal = await log.topics(plan.internalTopics.map(({ name }) => name))
  const stores = join(stateDir, plan.applicationId)
  if (existsSync(stores) && !lstatSync(stores).isDirectory())
    throw new MillraceError(
      'STREAM_USAGE',
      `${stores} is a link or a file, not the folder of the stores: remove it, or name another --state-dir`,
    )
  return { offsets: await findOffsets(log, plan, offsetReset), topics: [...internal.keys()], stores: existsSync(stores) ? stores : null }
}

export async function applyReset(log: Log, plan: Plan, reset: Reset): Promise<void> {
  const inputs = [...new Set(reset.offsets.map(({ topic }) => topic))]
  await asOnlyMember(log, plan.applicationId, inputs, async (identity) => {
    await log.deleteTopics(reset.topics)
    if (reset.stores !== null) rmSync(reset.stores, { recursive: true, force: true })
    // Also where nothing moves: what goes along with a position (timers, that a store has its rows from there) is of the former life.
    await commit(
      log,
      identity,
      reset.offsets.map(({ topic, partition, to }) => ({ topic, partition, offset: to, metadata: '' })),
    )
  })
}

async function findOffsets(log: Log, plan: Plan, otherwise: 'earliest' | 'latest'): Promise<OffsetReset[]> {
  const sources = plan.subTopologies.flatMap((sub) =>
    sub.nodes.flatMap(({ operator }) => (operator.kind === 'source' && !operator.internal ? [operator] : [])),
  )
  const matching = plan.patterns.length === 0 ? [] : (await log.topicNames()).filter((name) => isMatchedInput(plan, name))
  const resets = new Map<string, PlanSource['offsetReset']>()
  for (const source of sources)
    for (const topic of inputTopicsOf(source, matching)) if (!resets.has(topic)) resets.set(topic, source.offsetReset ?? otherwise)
  const infos = await log.topics([...resets.keys()])
  const all = [...infos.values()].flatMap(({ name, partitions }) =>
    Array.from({ length: partitions }, (_, partition) => ({ topic: name, partition })),
  )
  const [committed, earliest, latest] = [
    await log.committed(plan.applicationId, all),
    await log.offsets(all, 'earliest'),
    await log.offsets(all, 'latest'),
  ]
  return all.map(({ topic, partition }, i) => ({
    topic,
    partition,
    from: committed[i]?.offset ?? null,
    to: (resets.get(topic) === 'latest' ? latest[i] : earliest[i]) as number,
  }))
}

/** Joins the group, so that nobody else can be at work in it meanwhile. */
async function asOnlyMember(
  log: Log,
  groupId: string,
  topics: readonly string[],
  act: (identity: GroupIdentity) => Promise<void>,
): Promise<void> {
  const failed = Promise.withResolvers<never>()
  failed.promise.catch(() => {})
  let alone = false
  const group = log.group({
    groupId,
    instanceId: null,
    topics,
    userData: () => Buffer.alloc(0),
    assign(members) {
      alone = members.length === 1
      if (!alone) throw inUse(groupId)
      return new Map(members.map(({ memberId }) => [memberId, { partitions: [], userData: Buffer.alloc(0) }]))
    },
    onRevoke: async () => {},
    onAssign: () => {},
    onFatal: failed.reject,
  })
  try {
    await Promise.race([group.start(), failed.promise])
    if (!alone) throw inUse(groupId)
    await act(group.identity())
  } finally {
    await group.close()
  }
}

function inUse(groupId: string): MillraceError {
  return new MillraceError(
    'STREAM_USAGE',
    `application ${groupId} is running: stop all its processes first (one that was killed counts for up to 45 s)`,
  )
}

async function commit(log: Log, identity: GroupIdentity, offsets: readonly CommittedOffset[]): Promise<void> {
  if (offsets.length === 0) return
  const writer = log.writer({ transactionalId: `${identity.groupId}-reset`, guarantee: 'at_least_once' })
  try {
    await writer.init()
    writer.seal()
    await writer.flush()
    await writer.commit(identity, identity.groupId, offsets)
  } finally {
    await writer.close()
  }
}
