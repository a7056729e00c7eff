// Opens a task's stores, brings them to the committed end of their changelogs, and finds where its inputs go on. The same way at the
// start, after a rebalance and after a rewind.
//
// Invariants
// 1. A store is used only when it has caught up with the end of its changelog as it was when the restore began, every transaction
//    that was open there then having ended. "The end of what is committed" is not enough: the last owner's epoch may be committed and
//    its marker not yet be here, or an open transaction of one that hangs may hide a committed one behind it.
// 2. A store whose checkpoint lies outside its changelog, or that is damaged, is set aside and rebuilt from the earliest offset (R5, R7);
//    one whose changelog lacks what was committed is refused (changelog.ts). One that may have missed deletes is removed and rebuilt.
import { MillraceError } from '../base/errors.ts'
import type { World } from '../base/ports.ts'
import { partitionName, type TopicPartition } from '../base/record.ts'
import type { CommittedOffset, Log } from '../log/log.ts'
import { foreignKeyPrefixLength, parkingPrefixLength } from '../operators/index.ts'
import type { UnderWay } from '../operators/operator.ts'
import { Overlay } from '../state/overlay.ts'
import type { CacheBudget } from '../state/cache-budget.ts'
import { checkpointFits, restoreStore } from '../state/restore.ts'
import type { Checkpoint, StateStore, StoreProvider } from '../state/store.ts'
import type { OffsetReset, StoreSpec } from '../topology/node.ts'
import type { PlanSource, SizedPlan, SubTopology } from '../topology/plan-types.ts'
import type { ErrorPolicies } from './dead-letter.ts'
import { givenUpLog } from './given-up.ts'
import { GlobalReaders } from './global-readers.ts'
import { type GlobalTable, globalNamed, type GlobalTables } from './global-tables.ts'
import { InputQueue } from './input-queue.ts'
import { closedWhileRestoring, columnsUntil, portionsUntil } from './portions.ts'
import { readPositionNote } from './position.ts'
import { refuseGap } from './changelog.ts'
import { missedDeletes, sinceOf } from './missed-deletes.ts'
import { compile, type SourceEntry } from './program.ts'
import { committedEnd, rowPortions } from './source-fed.ts'
import { Pause } from './suspend.ts'
import { Task } from './task.ts'
import type { TaskStore } from './task-parts.ts'
import { Timers } from './timers.ts'
import { Wakes } from './wakes.ts'

export interface RestoreProgress {
  readonly task: string
  readonly store: string
  readonly restored: number
  readonly remaining: number
  readonly recordsPerSecond: number
}

export interface TaskDeps {
  readonly log: Log
  readonly groupId: string
  readonly provider: StoreProvider
  readonly sized: SizedPlan
  readonly policies: ErrorPolicies
  /** How long a task waits for an empty input; -1: not at all, left out: 0. */
  readonly maxIdleMs?: number
  /** At least once: see TaskServices. */
  readonly repeats?: boolean
  readonly deadLetterTopic: string
  readonly partitionsOf: (topic: string) => number
  readonly inputTopics: (source: PlanSource) => readonly string[]
  readonly changelogTopic: (store: string) => string
  /** Absent where the plan has none. */
  readonly globals?: () => GlobalTables
  /** Where a source begins without a committed offset, if not where it says. */
  readonly resetOf?: (source: PlanSource) => OffsetReset
  /** For the rows that all stores keep in memory; absent: each for itself. */
  readonly cache?: CacheBudget
  readonly world: World
  /** Epoch time without jumps (base/steady.ts); left out: the wall clock, which has none then. */
  readonly steadyMs?: () => number
  /** Has whoever runs the task look at it soon. */
  readonly rouse?: () => void
  readonly onProgress: (progress: RestoreProgress) => void
  /** True ends a restore: what is restored so far stays. */
  readonly stopping: () => boolean
  /** Whoever goes on with the stores of a task that is given up; true: it has taken them, open as they are. */
  readonly heir?: (task: Task) => boolean
}

export function taskId(subTopology: number, partition: number): string {
  return `${subTopology}_${partition}`
}

export function parseTaskId(id: string): { readonly subTopology: number; readonly partition: number } {
  const [subTopology = 0, partition = 0] = id.split('_').map(Number)
  return { subTopology, partition }
}

/** `cut` ends what is under way, soon, whatever it waits for: what is restored so far stays. */
export async function openTask(deps: TaskDeps, id: string, cut?: AbortSignal): Promise<Task> {
  const { subTopology, partition } = parseTaskId(id)
  const sub = deps.sized.plan.subTopologies[subTopology]
  if (sub === undefined) throw new MillraceError('STREAM_INTERNAL', `task ${id} is not in the plan`)
  const stores = new Map<string, TaskStore>()
  const opened: StateStore[] = []
  try {
    const results = await Promise.allSettled(sub.stores.map((spec) => openStore(deps, id, partition, spec, cut)))
    for (const result of results) if (result.status === 'fulfilled') opened.push(result.value)
    for (const result of results) if (result.status === 'rejected') throw result.reason
    sub.stores.forEach((spec, i) => {
      stores.set(spec.name, {
        name: spec.name,
        overlay: new Overlay(opened[i] as StateStore, {
          ...prefixOptions(sub, spec),
          ...(deps.cache === undefined ? {} : { cache: deps.cache }),
        }),
        changelogTopic: spec.changelog ? deps.changelogTopic(spec.name) : null,
        ...(spec.source === undefined ? {} : { source: { topic: spec.source, position: -1, isAtEnd: false } }),
      })
    })
    const timers = new Timers()
    const nowMs = () => deps.world.clock.now()
    const steadyMs = deps.steadyMs ?? nowMs
    const readers = new GlobalReaders()
    const wakes = new Wakes(steadyMs)
    const underWay = new Set<UnderWay>()
    let task: Task | null = null
    const program = compile({
      subTopology: sub,
      partition,
      overlay: (name) => (stores.get(name) as TaskStore).overlay,
      partitionsOf: deps.partitionsOf,
      global: (store) => globalTable(deps, store).row,
      globalRows: (store) => readers.of(globalTable(deps, store)),
      services: {
        nowMs,
        steadyMs,
        monotonicMs: () => deps.world.clock.monotonic(),
        schedule: (node, intervalMs, clock, run, kept = true) => timers.add({ node, intervalMs, clock, run, kept }, nowMs()),
        requestCommit() {
          if (task !== null) task.commitRequested = true
        },
        wake: (wake) => void wakes.all.push(wake),
        giveUp: (record, error, always) => task?.giveUp(record, error, always),
        pauseInput() {
          if (task?.mayPause !== false) throw new Pause()
        },
        piece: () => task?.piece ?? 0,
        underWay,
        rouse: () => deps.rouse?.(),
        repeats: deps.repeats === true,
        chance: (bound) => deps.world.random.below(bound),
      },
    })
    const queues = await openQueues(deps, partition, program.sources, cut)
    task = new Task({
      id,
      partition,
      program,
      queues,
      stores: [...stores.values()],
      policies: deps.policies,
      deadLetterTopic: deps.deadLetterTopic,
      partitionsOf: deps.partitionsOf,
      givenUp: givenUpLog(deps.world, id, deps.deadLetterTopic),
      timers,
      wakes,
      readers,
      underWay,
      nowMs,
      steadyMs,
      monotonicMs: () => deps.world.clock.monotonic(),
      maxIdleMs: deps.maxIdleMs ?? 0,
    })
    timers.opened(queues.find((queue) => queue.timers !== '')?.timers ?? '', program.context.streamTime, nowMs())
    return task
  } catch (error) {
    for (const { overlay } of stores.values()) overlay.close()
    await Promise.allSettled(opened.map((store) => store.close()))
    throw error
  }
}

/** What a task reads. */
export function inputsOf(deps: TaskDeps, id: string): TopicPartition[] {
  const { subTopology, partition } = parseTaskId(id)
  return inputTopicsOf(deps, subTopology)
    .filter((topic) => partition < deps.partitionsOf(topic))
    .map((topic) => ({ topic, partition }))
}

export function inputTopicsOf(deps: TaskDeps, subTopology: number): string[] {
  const nodes = deps.sized.plan.subTopologies[subTopology]?.nodes ?? []
  const sources = nodes.flatMap(({ operator }) => (operator.kind === 'source' ? [operator] : []))
  return [...new Set(sources.flatMap((source) => deps.inputTopics(source)))]
}

/** The foreign-key subscriptions are read by prefix, and the heads of what is parked. */
function prefixOptions(sub: SubTopology, spec: StoreSpec): { prefixLength?: (key: Buffer) => number } {
  const owner = sub.nodes.find(({ stores }) => stores.some(({ name }) => name === spec.name))?.operator.kind
  const byForeignKey = owner === 'foreignKeyRight' || owner === 'holdTable'
  const parked = owner === 'bufferingJoin' || owner === 'holdUntil'
  return byForeignKey ? { prefixLength: foreignKeyPrefixLength } : parked ? { prefixLength: parkingPrefixLength } : {}
}

async function openStore(deps: TaskDeps, id: string, partition: number, spec: StoreSpec, cut?: AbortSignal): Promise<StateStore> {
  const opened = await openSound(deps, id, partition, spec, cut)
  const { store, changelog } = opened
  if (changelog === null) return store
  try {
    await restore(deps, id, { ...opened, changelog }, spec, cut)
    return store
  } catch (error) {
    await closeFailed(deps.provider, id, spec.name, store)
    throw error
  }
}

export interface SoundStore {
  readonly store: StateStore
  /** Null: it keeps none. */
  readonly changelog: TopicPartition | null
  readonly earliest: number
  /** Up to where it is to be restored. */
  readonly end: number
  /** Restored to there it has all that the changelog had. */
  readonly isAll: boolean
  /** Wall clock, before its changelog was looked at. */
  readonly askedAtMs: number
}

/** Opens a store as it lies on disk, and empty where its changelog could not bring that up to date. `cut` ends the waiting. */
export async function openSound(deps: TaskDeps, id: string, partition: number, spec: StoreSpec, cut?: AbortSignal): Promise<SoundStore> {
  const { provider, world } = deps
  const { store: found, rebuilt } = await provider.open(id, spec.name, spec.persistent)
  let store = found
  const askedAtMs = world.clock.now()
  const topic = spec.changelog ? deps.changelogTopic(spec.name) : (spec.source ?? null)
  if (topic === null || (spec.source !== undefined && partition >= deps.partitionsOf(topic)))
    return { store, changelog: null, earliest: 0, end: 0, isAll: true, askedAtMs }
  try {
    if (rebuilt !== null)
      world.logger.warn({ task: id, store: spec.name, reason: rebuilt }, 'store set aside, rebuilding it from its changelog')
    const changelog = { topic, partition }
    const [earliest] = await unlessCut(cut, deps.log.offsets([changelog], 'earliest'))
    // What others write to a topic is committed to us when we have read it: their open transactions are nothing to wait for.
    const [end] = await unlessCut(cut, deps.log.offsets([changelog], spec.changelog ? 'settled' : 'latest'))
    const checkpoint = store.checkpoint()
    const held = { checkpoint, earliest: earliest as number, end: end as number }
    const inputs = spec.changelog ? inputsOf(deps, id) : [changelog]
    await unlessCut(cut, refuseGap(deps.log, deps.groupId, spec.name, changelog, held, inputs))
    const unfit = checkpoint === null ? null : await unlessCut(cut, unfitness(deps, changelog, checkpoint, held))
    if (unfit !== null) {
      await store.close()
      await provider.setAside(id, spec.name, unfit.reason, unfit.keep)
      store = (await provider.open(id, spec.name, spec.persistent)).store
      const told = { task: id, store: spec.name, reason: unfit.reason }
      if (unfit.keep) world.logger.warn(told, 'store set aside, rebuilding it from its changelog')
      else world.logger.info(told, 'store removed, rebuilding it from its changelog')
    }
    if (spec.changelog) return { store, changelog, earliest: earliest as number, end: end as number, isAll: true, askedAtMs }
    const until = await unlessCut(cut, committedEnd(deps.log, deps.groupId, changelog))
    const upTo = Math.min(until ?? 0, end as number) // a topic that was cut off is somebody else's error
    // Where it begins is remembered: what was cut off from the topic before that never was a row of it.
    if (until === null && store.checkpoint() === null)
      await store.apply([], { changelogOffset: earliest as number, caughtUpAtMs: askedAtMs })
    return { store, changelog, earliest: earliest as number, end: upTo, isAll: upTo >= (end as number), askedAtMs }
  } catch (error) {
    await closeFailed(provider, id, spec.name, store)
    throw error
  }
}

/** Why its changelog can't bring a store up to date; `keep`: it may be worth looking at. */
async function unfitness(
  { log, world }: TaskDeps,
  { topic, partition }: TopicPartition,
  checkpoint: Checkpoint,
  { earliest, end }: { readonly earliest: number; readonly end: number },
): Promise<{ readonly reason: string; readonly keep: boolean } | null> {
  if (!checkpointFits(checkpoint, earliest, end))
    return { reason: `checkpoint ${checkpoint.changelogOffset} is outside ${topic}-${partition} (${earliest} to ${end})`, keep: true }
  const missed = await missedDeletes(log, world, topic, checkpoint, end)
  return missed === null ? null : { reason: missed, keep: false }
}

/** Left open it could not be opened again by the next try; left damaged where it is, it might be taken for sound. */
export async function closeFailed(provider: StoreProvider, id: string, name: string, store: StateStore): Promise<void> {
  await store.close().catch(() => {})
  if (store.damaged !== null) await provider.setAside(id, name, store.damaged).catch(() => {})
}

/** What is waited for may take as long as a transaction that hangs. */
function unlessCut<T>(cut: AbortSignal | undefined, waiting: Promise<T>): Promise<T> {
  if (cut === undefined) return waiting
  return new Promise((resolve, reject) => {
    const end = (): void => reject(closedWhileRestoring())
    if (cut.aborted) end()
    cut.addEventListener('abort', end, { once: true })
    waiting.then(resolve, reject).finally(() => cut.removeEventListener('abort', end))
  })
}

async function restore(
  deps: TaskDeps,
  task: string,
  { store, changelog, earliest, end, isAll, askedAtMs }: SoundStore & { readonly changelog: TopicPartition },
  spec: StoreSpec,
  cut?: AbortSignal,
): Promise<void> {
  const checkpoint = store.checkpoint()
  const from = Math.max(checkpoint?.changelogOffset ?? 0, earliest)
  if (from >= end) return
  // Also told where it is over before the first batch is written.
  deps.onProgress({ task, store: store.name, restored: 0, remaining: end - from, recordsPerSecond: 0 })
  const reader = deps.log.reader()
  const wake = (): void => reader.wake()
  cut?.addEventListener('abort', wake)
  const ended = (): boolean => cut?.aborted === true || deps.stopping()
  try {
    reader.assign([{ ...changelog, offset: from }])
    const read = { world: deps.world, reader, from, end, ended }
    const source = spec.changelog ? (columnsUntil(read) ?? portionsUntil(read)) : rowPortions(portionsUntil(read), spec, end)
    await restoreStore(store, source, {
      world: deps.world,
      endOffset: end,
      since: sinceOf(checkpoint, askedAtMs),
      ...(isAll ? { caughtUpAtMs: askedAtMs } : {}),
      onProgress: ({ records, remaining, recordsPerSecond }) =>
        deps.onProgress({ task, store: store.name, restored: records, remaining: remaining ?? 0, recordsPerSecond }),
    })
  } finally {
    cut?.removeEventListener('abort', wake)
    await reader.close()
  }
}

async function openQueues(deps: TaskDeps, partition: number, sources: readonly SourceEntry[], cut?: AbortSignal): Promise<InputQueue[]> {
  const byTopic = new Map<string, SourceEntry[]>()
  for (const entry of sources) {
    for (const topic of deps.inputTopics(entry.source)) {
      const entries = byTopic.get(topic)
      if (entries === undefined) byTopic.set(topic, [entry])
      else entries.push(entry)
    }
  }
  const queues = [...byTopic]
    .filter(([topic]) => partition < deps.partitionsOf(topic))
    .map(([topic, entries]) => new InputQueue({ topic, partition }, entries, 0))
  await unlessCut(cut, rewindQueues(deps, queues))
  return queues
}

/** Sets the queues to the group's committed positions; without one, to where the source's reset policy says. */
export async function rewindQueues(deps: Pick<TaskDeps, 'log' | 'groupId' | 'resetOf'>, queues: readonly InputQueue[]): Promise<void> {
  if (queues.length === 0) return
  const committed = await deps.log.committed(deps.groupId, queues)
  const missing = queues.filter((_, i) => committed[i] === null)
  const resetOf = (queue: InputQueue): OffsetReset => {
    const { source } = queue.entries[0] as SourceEntry
    return deps.resetOf?.(source) ?? source.offsetReset ?? 'earliest'
  }
  const resets = new Map<InputQueue, number>()
  for (const queue of missing) {
    if (resetOf(queue) !== 'none') continue
    throw new MillraceError(
      'STREAM_OFFSET_MISSING',
      `${partitionName(queue.topic, queue.partition)}: the group ${deps.groupId} has committed no offset here, and its source says offsetReset: 'none'; commit one, or let it begin at 'earliest' or 'latest'`,
    )
  }
  for (const which of ['earliest', 'latest'] as const) {
    const these = missing.filter((queue) => resetOf(queue) === which)
    if (these.length === 0) continue
    const offsets = await deps.log.offsets(these, which)
    these.forEach((queue, i) => void resets.set(queue, offsets[i] as number))
  }
  const ends = await deps.log.offsets(queues, 'latest')
  queues.forEach((queue, i) => {
    const at = committed[i] as CommittedOffset | null
    queue.rewind(at?.offset ?? (resets.get(queue) as number), readPositionNote(at?.metadata ?? ''))
    // "The end" is another place at the next look: what came in between would be lost. It is committed before anything is read.
    if (at === null && resetOf(queue) === 'latest') queue.committed = -1
    queue.endOffset = ends[i] as number
  })
}

/** After a failed epoch: loses what is not committed; the tasks are to be opened again. A damaged store is set aside. */
export async function discardTask(deps: TaskDeps, task: Task): Promise<void> {
  task.drop()
  if (deps.heir?.(task) === true) {
    for (const { overlay } of task.stores) overlay.close() // its rows in memory; the store goes on without them
    return
  }
  await closeTask(task)
  for (const { name, overlay } of task.stores) {
    if (overlay.store.damaged !== null) await deps.provider.setAside(task.id, name, overlay.store.damaged)
  }
}

/** Closes the stores. One that is damaged may not even close: that is no news. */
export async function closeTask(task: Task): Promise<void> {
  task.abort()
  const results = await Promise.allSettled(task.stores.map(({ overlay }) => overlay.store.close()))
  for (const { overlay } of task.stores) overlay.close()
  task.stores.forEach(({ overlay }, i) => {
    const result = results[i] as PromiseSettledResult<void>
    if (result.status === 'rejected' && overlay.store.damaged === null) throw result.reason
  })
}

function globalTable(deps: TaskDeps, store: string): GlobalTable {
  const table = globalNamed(deps.globals?.() ?? [], store)
  if (table === undefined) throw new MillraceError('STREAM_INTERNAL', `the global table ${store} is not open`)
  return table
}
