// Holds the stores of a state directory against their changelogs, and rebuilds those that are not what these say.
//
// Invariants
// 1. Looking changes no store: the changelog is read into a store beside it, and the two are walked in the order of their keys. Memory holds a
//    chunk of each.
// 2. A store may be behind: keys that its changelog has written since are not compared, a start brings them up.
// 3. A rebuild sets the old store aside and never deletes it; cut off in the middle, the next start goes on with it.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'
import type { LogRecord, TopicPartition } from '../base/record.ts'
import type { Log } from '../log/log.ts'
import { sinceOf } from '../runtime/missed-deletes.ts'
import { parseTaskId } from '../runtime/recover.ts'
import { committedEnd, feedingTopics, rowsOf as rowsOfTopic } from '../runtime/source-fed.ts'
import { levelProvider, lookAtStore } from '../state/leveldb.ts'
import { checkpointFits, type RestoreChunk, restoreStore } from '../state/restore.ts'
import type { Checkpoint, StateStore, Stored } from '../state/store.ts'
import type { StoreSpec } from '../topology/node.ts'
import type { Plan } from '../topology/plan-types.ts'
import { storedTasks } from './state-dir.ts'

export interface Verdict {
  readonly task: string
  readonly store: string
  /** sound; differs: its rows are others than the changelog says; damaged: it cannot be used as it is; unknown: nothing to compare it with. */
  readonly state: 'sound' | 'differs' | 'damaged' | 'unknown'
  readonly rows: number
  /** Rows that the changelog has and the store has not; has another way; has not. */
  readonly missing: number
  readonly other: number
  readonly extra: number
  /** Changelog offsets that it does not have yet. */
  readonly behind: number
  /** Of what is not sound. */
  readonly reason: string | null
  readonly rebuilt: boolean
}

export interface VerifyOptions {
  readonly log: Log
  readonly plan: Plan
  readonly stateDir: string
  readonly world: World
  readonly rebuild: boolean
}

interface Span {
  readonly changelog: TopicPartition
  readonly spec: StoreSpec
  readonly earliest: number
  /** Of a table whose topic is its changelog: what is committed of that. */
  readonly end: number
  /** How far a store can have come: applied before it is committed, at least once. */
  readonly last: number
}

const NO_COUNTS = { rows: 0, missing: 0, other: 0, extra: 0, behind: 0, rebuilt: false }

/** Of each store in the directory, as it is known. */
export async function* verifyStores(options: VerifyOptions): AsyncGenerator<Verdict> {
  const { plan, stateDir } = options
  const dir = join(stateDir, plan.applicationId)
  const scratch = join(stateDir, '.verify')
  const topics = new Map(plan.internalTopics.flatMap(({ kind, store, name }) => (kind === 'changelog' ? [[store, name] as const] : [])))
  const infos = await options.log.topics([...topics.values(), ...feedingTopics(plan)])
  rmSync(scratch, { recursive: true, force: true }) // of one that was killed
  try {
    for (const task of storedTasks(dir)) {
      const { subTopology, partition } = parseTaskId(task)
      for (const spec of plan.subTopologies[subTopology]?.stores ?? []) {
        const { name, persistent, source } = spec
        const topic = topics.get(name) ?? source
        if (!persistent || topic === undefined) continue
        const place = { topic, partition }
        if (partition >= (infos.get(topic)?.partitions ?? 0)) {
          yield { task, store: name, state: 'unknown', ...NO_COUNTS, reason: `there is no ${topic}-${partition}` }
          continue
        }
        yield await verifyStore(options, dir, scratch, task, spec, place)
        rmSync(scratch, { recursive: true, force: true })
      }
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

async function verifyStore(
  options: VerifyOptions,
  dir: string,
  scratch: string,
  task: string,
  spec: StoreSpec,
  changelog: TopicPartition,
): Promise<Verdict> {
  const { log, plan, world, rebuild } = options
  const { name } = spec
  const askedAtMs = world.clock.now()
  const [earliest] = (await log.offsets([changelog], 'earliest')) as [number]
  const [last] = (await log.offsets([changelog], spec.changelog ? 'settled' : 'latest')) as [number]
  const committed = spec.changelog ? last : ((await committedEnd(log, plan.applicationId, changelog)) ?? earliest)
  const end = Math.min(committed, last) // a topic that was cut off ends before what is committed of it
  const span = { changelog, spec, earliest, end, last }
  const verdict = { task, store: name, ...(await look(options, dir, scratch, task, name, span)) }
  if (!rebuild || verdict.state === 'sound') return verdict
  const provider = levelProvider({ dir, world })
  await provider.setAside(task, name, verdict.reason as string)
  const { store } = await provider.open(task, name, true)
  try {
    await restore(log, store, span, span.earliest, world, { since: sinceOf(null, askedAtMs) })
  } finally {
    await store.close()
  }
  return { ...verdict, rebuilt: true }
}

type Seen = Omit<Verdict, 'task' | 'store'>

async function look(options: VerifyOptions, dir: string, scratch: string, task: string, name: string, known: Span): Promise<Seen> {
  const { log, world } = options
  const damaged = (reason: string): Seen => ({ ...NO_COUNTS, state: 'damaged', reason })
  const store = await lookAtStore({ dir, world }, task, name)
  if (store === null) return { ...NO_COUNTS, state: 'sound', behind: known.end - known.earliest, reason: null } // a start restores it
  if ('reason' in store) return damaged(store.reason)
  const beside = levelProvider({ dir: scratch, world })
  try {
    const at = store.checkpoint()?.changelogOffset ?? known.earliest
    const span = { ...known, end: Math.max(known.end, Math.min(at, known.last)) }
    if (!checkpointFits({ changelogOffset: at }, span.earliest, span.end))
      return damaged(`its checkpoint ${at} is outside of its changelog (${span.earliest} to ${span.end})`)
    const { store: wanted } = await beside.open(task, 'wanted', true)
    const { store: since } = await beside.open(task, 'since', true)
    try {
      await restore(log, wanted, span, span.earliest, world)
      await restore(log, since, span, at, world, { as: asMark })
      const counts = await compare(store, wanted, since)
      const differs = counts.missing + counts.other + counts.extra > 0
      const reason = differs ? `${counts.missing} rows are missing, ${counts.other} are others, ${counts.extra} should not be there` : null
      return { ...counts, state: differs ? 'differs' : 'sound', behind: span.end - at, reason, rebuilt: false }
    } finally {
      await wanted.close()
      await since.close()
    }
  } catch (error) {
    if (error instanceof MillraceError && error.disposition === 'rebuild') return damaged(error.message)
    throw error
  } finally {
    await store.close().catch(() => {}) // one that is damaged
  }
}

/** A key that was written at all, deleted or not. */
const asMark = (record: LogRecord): LogRecord => ({ ...record, value: Buffer.alloc(1) })

async function restore(
  log: Log,
  store: StateStore,
  { changelog, spec, end }: Span,
  from: number,
  world: World,
  { as = (record) => record, since = {} }: { as?: (record: LogRecord) => LogRecord; since?: Pick<Checkpoint, 'caughtUpAtMs'> } = {},
): Promise<void> {
  const reader = log.reader()
  async function* chunks(): AsyncGenerator<RestoreChunk> {
    for (let position = from; position < end; ) {
      for (const chunk of await reader.poll(LIMITS.fetchWaitMs)) {
        position = chunk.position
        const rows = spec.changelog ? chunk : await rowsOfTopic(chunk, spec, end)
        yield { records: rows.records.filter(({ offset }) => offset < end).map(as), position: rows.position }
      }
    }
  }
  try {
    reader.assign([{ ...changelog, offset: from }])
    await restoreStore(store, chunks(), { world, since })
  } finally {
    await reader.close()
  }
}

/** Three scans in the order of the keys' bytes. */
async function compare(
  store: StateStore,
  wanted: StateStore,
  since: StateStore,
): Promise<Pick<Verdict, 'rows' | 'missing' | 'other' | 'extra'>> {
  const [has, should, fresh] = [rowsOf(store), rowsOf(wanted), rowsOf(since)] as const
  const counts = { rows: 0, missing: 0, other: 0, extra: 0 }
  try {
    let [mine, theirs, later] = [await has.next(), await should.next(), await fresh.next()]
    while (mine.done !== true || theirs.done !== true) {
      const order = mine.done === true ? 1 : theirs.done === true ? -1 : mine.value[0].compare(theirs.value[0])
      const [key] = (order <= 0 ? mine : theirs).value as Row
      while (later.done !== true && later.value[0].compare(key) < 0) later = await fresh.next()
      const isFresh = later.done !== true && later.value[0].equals(key)
      if (order <= 0) counts.rows++
      if (!isFresh) {
        if (order < 0) counts.extra++
        else if (order > 0) counts.missing++
        else if (!sameRow((mine.value as Row)[1], (theirs.value as Row)[1])) counts.other++
      }
      if (order <= 0) mine = await has.next()
      if (order >= 0) theirs = await should.next()
    }
    return counts
  } finally {
    for (const rows of [has, should, fresh]) await rows.return(undefined)
  }
}

type Row = readonly [key: Buffer, stored: Stored]

async function* rowsOf(store: StateStore): AsyncGenerator<Row, undefined, undefined> {
  for await (const chunk of store.scan({ from: null, to: null })) yield* chunk
  return undefined
}

function sameRow(a: Stored, b: Stored): boolean {
  return a.timestamp === b.timestamp && a.value.equals(b.value)
}
