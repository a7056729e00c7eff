// The stores of tasks that another member runs, kept current beside the worker's loop from what is committed of their changelogs. When such
// a task comes here its stores are handed over as they are, open, and only the tail is restored; when one goes, its stores come here. It
// writes no output and no changelog, and whatever befalls it ends nothing but itself.
//
// Invariants
// 1. It reads as a committed reader does, and a store's rows and its checkpoint are one batch: what it holds was committed, always.
// 2. A store is open once in a process: a task's is opened here only when nobody else has it (`free`), and what is handed over or let go
//    is written no more from then on. Whoever opens it afterwards waits for the write that is under way.
// 3. At most one chunk a partition is held, beside what the reader has fetched ahead.
// 4. One that may have missed deletes, because nothing was read for too long, is opened again, and that builds it anew.
// 5. A store whose changelog is its table's topic is kept no further than the task has committed of it: what is behind was not processed.
import { explain, MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { type LogRecord, partitionName, type TopicPartition } from '../base/record.ts'
import type { Chunk, Reader } from '../log/log.ts'
import type { Checkpoint, StateStore, StoreProvider, Write } from '../state/store.ts'
import type { StoreSpec } from '../topology/node.ts'
import { backoffMs } from './backoff.ts'
import { caughtUp, type Mark, missedDeletes, reached, sinceOf, upToDate } from './missed-deletes.ts'
import { closeFailed, openSound, parseTaskId, type TaskDeps } from './recover.ts'
import { rowsOf } from './source-fed.ts'
import type { Task } from './task.ts'

export interface StandbyFigure {
  readonly task: string
  readonly store: string
  /** Up to which changelog offset it goes. */
  readonly position: number
  /** Offsets of the changelog that it does not have yet, as far as it has heard. */
  readonly lag: number
}

interface Held {
  readonly name: string
  readonly store: StateStore
  readonly changelog: TopicPartition
  /** Of a store whose changelog is its table's topic. */
  readonly fed: StoreSpec | null
  /** Behind the last chunk that was taken. */
  position: number
  /** Of a fed store: what the task has committed. */
  end: number
  /** As its checkpoint says, or is to say with the next write. */
  since: Pick<Checkpoint, 'caughtUpAtMs'>
  mark: Mark | null
}

interface Standby {
  readonly id: string
  readonly cut: AbortController
  readonly stores: Map<string, Held>
  /** Its opening, or the writes under way; never rejects. */
  work: Promise<unknown>
  /** All of its stores are open and read. */
  ready: boolean
  failures: number
  cancelRetry: () => void
}

export class Standbys {
  /** Through which tasks open their stores: what is held here is handed over. */
  readonly provider: StoreProvider
  readonly #deps: TaskDeps
  readonly #free: (id: string) => boolean
  #wanted: ReadonlySet<string> = new Set()
  readonly #held = new Map<string, Standby>()
  readonly #queue: Standby[] = []
  #opening: Standby | null = null
  /** By task: what was handed over and not taken yet; what is being closed. */
  readonly #handed = new Map<string, Promise<Map<string, StateStore>>>()
  readonly #leaving = new Map<string, Promise<void>>()
  #reader: Reader | null = null
  #running: Promise<void> = Promise.resolve()
  #byPartition = new Map<string, { readonly standby: Standby; readonly held: Held }>()
  #changed = false
  #asking = false
  #askAgainMs = 0
  #closed = false

  /** `deps` with the provider that opens stores for good; `free`: no task has its stores. */
  constructor(deps: TaskDeps, free: (id: string) => boolean) {
    this.#deps = deps
    this.#free = free
    const { provider } = deps
    this.provider = {
      open: async (task, store, persistent) => {
        const found = await this.#take(task, store)
        return found === null ? await provider.open(task, store, persistent) : { store: found, rebuilt: null }
      },
      setAside: (task, store, reason, keep) => provider.setAside(task, store, reason, keep),
    }
  }

  /** Tasks stood by for, those that are being opened too. */
  get ids(): readonly string[] {
    return [...this.#held.keys()]
  }

  /** How far it is, by task; only of those that are kept current. */
  get at(): Readonly<Record<string, number>> {
    const at: Record<string, number> = {}
    for (const { id, ready, stores } of this.#held.values())
      if (ready) at[id] = [...stores.values()].reduce((sum, { position }) => sum + position, 0)
    return at
  }

  *stores(): Iterable<readonly [task: string, store: StateStore]> {
    for (const { id, stores } of this.#held.values()) for (const { store } of stores.values()) yield [id, store]
  }

  figures(): readonly StandbyFigure[] {
    return [...this.#held.values()].flatMap(({ id, stores }) =>
      [...stores].map(([store, { position, end }]) => ({ task: id, store, position, lag: Math.max(0, end - position) })),
    )
  }

  /** From now on these. Of the others those go on that will soon be opened as tasks here: till then. */
  want(ids: readonly string[], coming: readonly string[]): void {
    this.#wanted = new Set(ids)
    for (const standby of [...this.#held.values()]) if (!this.#wanted.has(standby.id) && !coming.includes(standby.id)) this.#letGo(standby)
    this.look()
  }

  /** Opens what is wanted and has become free. */
  look(): void {
    for (const id of this.#wanted) {
      if (this.#closed || this.#held.has(id) || !this.#free(id)) continue
      const standby = newStandby(id)
      this.#held.set(id, standby)
      this.#queue.push(standby)
    }
    this.#openNext()
  }

  /** Goes on with the stores of a task that is given up; false: they are to be closed. Its last epoch is applied, or lost. */
  inherit(task: Task): boolean {
    const sound = task.stores.every(({ overlay: { store }, changelogTopic, source }) => {
      return store.damaged === null && ((changelogTopic === null && source === undefined) || store.checkpoint() !== null)
    })
    if (this.#closed || !sound || !this.#wanted.has(task.id) || this.#held.has(task.id)) return false
    const standby = newStandby(task.id)
    for (const { name, overlay, changelogTopic, source } of task.stores) {
      const { store } = overlay
      const topic = changelogTopic ?? source?.topic
      if (topic === undefined || task.partition >= this.#deps.partitionsOf(topic))
        standby.work = Promise.all([standby.work, store.close().catch(() => {})])
      else {
        const { changelogOffset: position, ...since } = store.checkpoint() as Checkpoint
        const changelog = { topic, partition: task.partition }
        const fed = source === undefined ? null : this.#spec(task.id, name)
        standby.stores.set(name, { name, store, changelog, fed, position, end: position, since, mark: null })
      }
    }
    this.#held.set(task.id, standby)
    this.#begin(standby)
    return true
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const standby of [...this.#held.values()]) this.#letGo(standby)
    this.#reader?.wake()
    await this.#running
    await Promise.all(this.#leaving.values())
    for (const stores of this.#handed.values()) for (const store of (await stores).values()) await store.close().catch(() => {})
    await this.#reader?.close()
  }

  // --- in and out ----------------------------------------------------------------------------------------------------

  async #take(task: string, store: string): Promise<StateStore | null> {
    const standby = this.#held.get(task)
    if (standby !== undefined) {
      this.#end(standby)
      this.#handed.set(
        task,
        standby.work.then(() => new Map([...standby.stores].map(([name, held]) => [name, held.store]))),
      )
    }
    const handed = this.#handed.get(task)
    if (handed === undefined) await this.#leaving.get(task)
    const stores = await handed
    const found = stores?.get(store) ?? null
    stores?.delete(store)
    if (stores?.size === 0 && this.#handed.get(task) === handed) this.#handed.delete(task)
    return found
  }

  #letGo(standby: Standby): void {
    this.#end(standby)
    const left: Promise<void> = Promise.all([this.#leaving.get(standby.id), standby.work])
      .then(() => Promise.allSettled([...standby.stores.values()].map(({ store }) => store.close())))
      .then(() => {
        if (this.#leaving.get(standby.id) === left) this.#leaving.delete(standby.id)
      })
    this.#leaving.set(standby.id, left)
  }

  /** It is written no more. */
  #end(standby: Standby): void {
    standby.cut.abort()
    standby.ready = false
    standby.cancelRetry()
    this.#held.delete(standby.id)
    this.#change()
  }

  #openNext(): void {
    if (this.#opening !== null) return
    let standby = this.#queue.shift()
    while (standby?.cut.signal.aborted === true) standby = this.#queue.shift()
    if (standby === undefined) return
    const next = standby
    this.#opening = next
    next.work = this.#open(next)
      .catch((error: unknown) => this.#retry(next, error))
      .finally(() => {
        this.#opening = null
        this.#openNext()
      })
  }

  async #open(standby: Standby): Promise<void> {
    const { id, stores, cut } = standby
    const { subTopology, partition } = parseTaskId(id)
    await this.#leaving.get(id)
    for (const spec of this.#deps.sized.plan.subTopologies[subTopology]?.stores ?? []) {
      if (cut.signal.aborted) return
      const { name, source } = spec
      if (stores.has(name) || (source === undefined ? !spec.changelog : partition >= this.#deps.partitionsOf(source))) continue
      const { store, changelog, earliest, end, isAll, askedAtMs } = await openSound(this.#deps, id, partition, spec, cut.signal)
      const checkpoint = store.checkpoint()
      const position = Math.max(checkpoint?.changelogOffset ?? 0, earliest)
      const since = isAll && end - position <= 1 ? { caughtUpAtMs: askedAtMs } : sinceOf(checkpoint, askedAtMs)
      const fed = source === undefined ? null : spec
      stores.set(name, { name, store, changelog: changelog as TopicPartition, fed, position, end, since, mark: null })
    }
    if (cut.signal.aborted) return
    this.#begin(standby)
  }

  #spec(id: string, name: string): StoreSpec | null {
    return this.#deps.sized.plan.subTopologies[parseTaskId(id).subTopology]?.stores.find((spec) => spec.name === name) ?? null
  }

  #begin(standby: Standby): void {
    standby.ready = true
    this.#change()
    if (this.#reader !== null) return
    this.#reader = this.#deps.log.reader()
    this.#running = this.#loop(this.#reader)
  }

  #change(): void {
    this.#changed = true
    this.#reader?.wake()
  }

  #retry(standby: Standby, error: unknown): void {
    if (standby.cut.signal.aborted) return
    const { logger, timers } = this.#deps.world
    const afterMs = backoffMs(standby.failures++)
    logger.warn({ task: standby.id, reason: explain(error), failures: standby.failures }, 'a standby could not be opened, trying again')
    standby.cancelRetry = timers.after(afterMs, () => {
      this.#queue.push(standby)
      this.#openNext()
    })
  }

  // --- reading -------------------------------------------------------------------------------------------------------

  async #loop(reader: Reader): Promise<void> {
    const { clock, timers } = this.#deps.world
    let lookedAtMs = clock.monotonic()
    while (!this.#closed) {
      try {
        this.#askEnds()
        if (this.#changed) this.#assign(reader)
        await this.#apply(await reader.poll(LIMITS.fetchWaitMs))
        if (clock.monotonic() - lookedAtMs >= LIMITS.caughtUpLookMs) {
          lookedAtMs = clock.monotonic()
          await this.#lookAtIdle()
        }
        await timers.turn()
      } catch (error) {
        if (!this.#closed) await this.#openAnew(error)
      }
    }
  }

  /** Only between two polls: what a poll has handed out is behind the position then. */
  #assign(reader: Reader): void {
    this.#changed = false
    this.#byPartition = new Map()
    for (const standby of this.#held.values()) {
      if (!standby.ready) continue
      for (const held of standby.stores.values()) {
        if (held.fed === null || held.position < held.end)
          this.#byPartition.set(partitionName(held.changelog.topic, held.changelog.partition), { standby, held })
      }
    }
    reader.assign([...this.#byPartition.values()].map(({ held }) => ({ ...held.changelog, offset: held.position })))
  }

  async #apply(chunks: readonly Chunk[]): Promise<void> {
    const busy: Promise<unknown>[] = []
    for (const chunk of chunks) {
      const at = this.#byPartition.get(partitionName(chunk.topic, chunk.partition))
      if (at?.standby.ready !== true) continue
      const { standby, held } = at
      const written = this.#accept(held, chunk).catch((error: unknown) => this.#failed(standby, held, error))
      standby.work = Promise.all([standby.work, written])
      busy.push(written)
    }
    await Promise.all(busy)
  }

  async #accept(held: Held, chunk: Chunk): Promise<void> {
    const { log, world } = this.#deps
    const before = { changelogOffset: held.position, ...held.since }
    const { fed, end } = held
    const topicEnd = Math.max(chunk.endOffset, chunk.position)
    held.position = fed === null ? chunk.position : Math.min(chunk.position, end)
    if (fed === null) held.end = topicEnd
    else if (chunk.position >= end) this.#changed = true // it has enough; the reader may be past that
    const missed = await missedDeletes(log, world, chunk.topic, before, topicEnd)
    if (missed !== null) throw new MillraceError('STREAM_STORE_DAMAGED', missed)
    const { mark, caughtUpAtMs } = reached(held.mark, held.position, chunk.endOffset, world.clock.now())
    held.mark = mark
    if (caughtUpAtMs !== undefined) held.since = { caughtUpAtMs }
    const { records, position } = fed === null ? chunk : await rowsOf(chunk, fed, end)
    await held.store.apply(writesOf(held, records), { changelogOffset: position, ...held.since })
  }

  /** What stands idle is up to date still: else it would count as old when something comes. */
  async #lookAtIdle(): Promise<void> {
    const { log, world } = this.#deps
    const askedAtMs = world.clock.now()
    const all = [...this.#held.values()].flatMap((standby) =>
      standby.ready ? [...standby.stores.values()].map((held) => ({ standby, held, ...held })) : [],
    )
    const idle = (await upToDate(log, all)).filter(({ standby, held }) => standby.ready && standby.stores.get(held.name) === held)
    const written = idle.map(({ standby, held }) => {
      held.since = { caughtUpAtMs: askedAtMs }
      const writing = caughtUp(held.store, askedAtMs).catch((error: unknown) => this.#failed(standby, held, error))
      standby.work = Promise.all([standby.work, writing])
      return writing
    })
    await Promise.all(written)
  }

  /** How far the tasks have come in the topics of their tables. */
  #askEnds(): void {
    const { log, groupId, world } = this.#deps
    const fed = [...this.#held.values()].flatMap(({ ready, stores }) =>
      ready ? [...stores.values()].filter((held) => held.fed !== null) : [],
    )
    const now = world.clock.monotonic()
    if (fed.length === 0 || this.#asking || now < this.#askAgainMs) return
    this.#asking = true
    this.#askAgainMs = now + LIMITS.standbyEndsMs
    const at = fed.map(({ changelog }) => changelog)
    log
      .committed(groupId, at)
      .then(
        (committed) => {
          for (const [i, held] of fed.entries()) held.end = Math.max(held.end, committed[i]?.offset ?? 0)
          if (fed.some(({ position, end }) => position < end)) this.#change()
        },
        (error: unknown) => world.logger.warn({ reason: explain(error) }, 'how far the tables of standbys may go could not be read'),
      )
      .finally(() => {
        this.#asking = false
      })
  }

  /** A store that was refused a write is opened again, or anew. */
  async #failed(standby: Standby, held: Held, error: unknown): Promise<void> {
    standby.ready = false
    this.#change()
    standby.stores.delete(held.name)
    await closeFailed(this.#deps.provider, standby.id, held.name, held.store)
    this.#retry(standby, error)
  }

  /** What can't be read any more may have been cut off: all changelogs are looked at again. */
  async #openAnew(error: unknown): Promise<void> {
    const { logger, timers } = this.#deps.world
    logger.warn({ reason: explain(error) }, 'the changelogs of the standbys could not be read, their stores are opened again')
    for (const standby of [...this.#held.values()]) {
      if (!standby.ready) continue
      this.#letGo(standby)
    }
    await timers.sleep(LIMITS.rewindBackoffMs)
    this.look()
  }
}

function newStandby(id: string): Standby {
  return { id, cut: new AbortController(), stores: new Map(), work: Promise.resolve(), ready: false, failures: 0, cancelRetry: () => {} }
}

function writesOf({ changelog: { topic, partition } }: Held, records: readonly LogRecord[]): Write[] {
  return records.map(({ key, value, timestamp, offset }) => {
    if (key === null)
      throw new MillraceError('STREAM_INTERNAL', `${partitionName(topic, partition)}@${offset}: a changelog record has no key`)
    return { key, value, timestamp }
  })
}
