// One event loop: a group member, a writer, some tasks. The only place that awaits between records' batches; everything that
// happens to the tasks happens in this loop, in turn.
//
// Invariants
// 1. Only the loop touches tasks, reader and barrier; the group's callbacks leave a note and wake it.
// 2. Nothing is processed between a revocation and the next assignment.
// 3. After any failure: drop, `writer.init`, stores to their committed end, inputs to the committed offsets (R2). In that order.
// 4. Tasks are kept over a rebalance only from one generation to the very next under one member id: else somebody may have run them
//    in between, and they are recovered like after a failure.
// 5. A failure whose disposition is `stop` ends the worker; everything else is recovered from, with growing pauses.
import { assignTasks } from '../assignment/assignor.ts'
import { Barrier } from '../barrier/barrier.ts'
import type { EpochLimits } from '../barrier/machine.ts'
import { explain, MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { partitionName, type TopicPartition } from '../base/record.ts'
import type { Group, GroupAssignment, GroupIdentity, GroupMember, Guarantee, Reader, Writer } from '../log/log.ts'
import { closeTask, discardTask, openTasks, parseTaskId, type TaskDeps, taskId } from './recover.ts'
import type { Task } from './task.ts'

export interface WorkerOptions {
  readonly deps: TaskDeps
  readonly transactionalId: string
  readonly instanceId: string | null
  readonly guarantee: Guarantee
  readonly limits: EpochLimits
  /** Tasks whose state is on this disk: preferred by the assignor. */
  readonly stored: readonly string[]
  readonly onFatal: (error: unknown) => void
}

type Note =
  | { readonly kind: 'revoke'; readonly lost: boolean; readonly done: () => void }
  | { readonly kind: 'assign'; readonly assignment: GroupAssignment; readonly identity: GroupIdentity }

export interface WorkerCounts {
  rewinds: number
  rebalances: number
}

export class Worker {
  readonly tasks = new Map<string, Task>()
  readonly counts: WorkerCounts = { rewinds: 0, rebalances: 0 }
  readonly barrier: Barrier
  readonly #o: WorkerOptions
  readonly #writer: Writer
  readonly #reader: Reader
  readonly #group: Group
  readonly #notes: Note[] = []
  #byPartition = new Map<string, Task>()
  #paused = true // between a revocation and an assignment
  #stale = false // what is uncommitted was lost: tasks must be recovered before they go on
  #lost: string[] = [] // tasks to be opened again by a rewind that has not succeeded yet
  #stopping = false
  #ended = false // the loop attends to no note any more
  #identity: GroupIdentity | null = null // of the assignment adopted last
  #running: Promise<void> | null = null
  #waitingSince = new Map<Task, number>()

  constructor(options: WorkerOptions) {
    const stopping = (): boolean => this.#stopping || options.deps.stopping()
    this.#o = { ...options, deps: { ...options.deps, stopping } }
    const { log, groupId, world } = options.deps
    this.#writer = log.writer({ transactionalId: options.transactionalId, guarantee: options.guarantee })
    this.#reader = log.reader()
    this.#group = log.group({
      groupId,
      instanceId: options.instanceId,
      topics: this.#allInputs(),
      userData: () => Buffer.from(JSON.stringify({ owned: [...this.tasks.keys()], stored: options.stored })),
      assign: (members) => this.#assign(members),
      onRevoke: (lost) => new Promise((done) => this.#note({ kind: 'revoke', lost, done })),
      onAssign: (assignment) => this.#note({ kind: 'assign', assignment, identity: this.#group.identity() }),
      onFatal: (error) => this.#end(error),
    })
    this.barrier = new Barrier({
      writer: this.#writer,
      guarantee: options.guarantee,
      groupId,
      identity: () => this.#group.identity(),
      limits: options.limits,
      world,
    })
  }

  /** True when all assigned tasks are restored and running. */
  get ready(): boolean {
    return !this.#paused && this.#notes.length === 0
  }

  /** Resolves when the membership has begun; tasks are restored and run in the background. */
  async start(): Promise<void> {
    await this.#writer.init()
    this.#running = this.#loop()
    await this.#group.start()
  }

  /** Commits what was processed and leaves. */
  async close(): Promise<void> {
    this.#stopping = true
    this.#reader.wake()
    const failures: unknown[] = []
    const end = async (what: () => Promise<void> | null): Promise<void> => {
      try {
        await what()
      } catch (error) {
        failures.push(error)
      }
    }
    await end(() => this.#running)
    await end(() => this.#group.close())
    for (const task of this.tasks.values()) await end(() => closeTask(task))
    this.tasks.clear()
    await end(() => this.#reader.close())
    await end(() => this.#writer.close())
    if (failures.length > 0) throw failures[0]
  }

  #note(note: Note): void {
    if (this.#ended) {
      if (note.kind === 'revoke') note.done()
      return
    }
    this.#notes.push(note)
    this.#reader.wake()
  }

  #end(error: unknown): void {
    if (this.#stopping) return
    this.#stopping = true
    this.#paused = true
    this.#reader.wake()
    this.#o.onFatal(error)
  }

  // --- the loop ------------------------------------------------------------------------------------------------------

  async #loop(): Promise<void> {
    const { world } = this.#o.deps
    let failures = 0
    let epochs = 0
    while (!this.#stopping) {
      try {
        if (this.#notes.length > 0) await this.#attend()
        else if (this.#stale && !this.#paused) await this.#rewind()
        else {
          await this.#step()
          if (this.barrier.figures.epochs > epochs) failures = 0
          epochs = this.barrier.figures.epochs
        }
      } catch (error) {
        const disposition = error instanceof MillraceError ? error.disposition : 'rewind'
        // park: an error of one record that no record can be blamed for here; it would come again and again.
        if (disposition === 'stop' || disposition === 'usage' || disposition === 'park') {
          this.#end(error)
          break
        }
        this.#stale = true
        this.counts.rewinds++
        failures++
        world.logger.warn({ reason: explain(error), failures }, 'epoch failed, rewinding to what is committed')
        await world.timers.sleep(Math.min(LIMITS.rewindBackoffMs * 2 ** Math.min(failures, 10), LIMITS.rewindBackoffMaxMs))
      }
    }
    await this.#finish()
  }

  async #step(): Promise<void> {
    const { barrier } = this
    if (barrier.failure !== null) throw barrier.failure.error
    const chunks = await this.#reader.poll(this.#waitMs())
    for (const chunk of chunks) this.#byPartition.get(partitionName(chunk.topic, chunk.partition))?.accept(chunk)
    if (this.#paused || this.#notes.length > 0) {
      this.#throttle()
      await this.#o.deps.world.timers.turn() // what is waited for comes through the event loop
      return
    }
    if (barrier.overfull(this.#openBytes())) await barrier.settled()
    await this.#process()
    this.#throttle()
    if (barrier.due(this.#openBytes()) || this.#commitAsked()) barrier.begin([...this.tasks.values()])
    await this.#writer.drain()
    await this.#o.deps.world.timers.turn()
  }

  async #process(): Promise<void> {
    const { barrier } = this
    for (const task of this.tasks.values()) {
      await this.#fireTimers(task)
      const attend = task.suspended !== null || task.hasDue
      if (task.queued === 0 && !attend) continue
      const force = this.#overdue(task)
      if (!force && !task.ready() && !attend) continue
      await task.resume()
      await task.prefetch(LIMITS.taskBatchRecords)
      let done = 0
      for (;;) {
        done += task.run(LIMITS.taskBatchRecords - done, barrier.append, force)
        if (task.suspended === null) break
        await task.resume()
      }
      task.forgetRows()
      if (done > 0 || task.dirty) barrier.worked(done)
    }
  }

  /** Timers on the wall clock. */
  async #fireTimers(task: Task): Promise<void> {
    if (task.suspended !== null) return
    while (task.runTimers(this.barrier.append)) {
      this.barrier.worked(0)
      // Once: a timer that takes longer than its interval must not keep the records waiting.
      if (task.suspended === null) break
      await task.resume()
    }
    task.forgetRows()
  }

  /** An input that should have more has kept the others waiting for too long. */
  #overdue(task: Task): boolean {
    if (task.ready() || task.suspended !== null) {
      this.#waitingSince.delete(task)
      return false
    }
    const now = this.#o.deps.world.clock.monotonic()
    const since = this.#waitingSince.get(task)
    if (since === undefined) this.#waitingSince.set(task, now)
    return since !== undefined && now - since >= LIMITS.inputWaitMs
  }

  /** A processor has asked for a commit, and nothing is in its way. */
  #commitAsked(): boolean {
    if (!this.barrier.open || this.barrier.committing) return false
    for (const task of this.tasks.values()) if (task.commitRequested) return true
    return false
  }

  #waitMs(): number {
    if (this.#paused) return LIMITS.pollWaitMs // what waits in the queues cannot go on: a note wakes the reader
    for (const task of this.tasks.values()) if (task.suspended !== null || task.ready() || task.hasDue) return 0
    return Math.min(this.#timerInMs(), this.#barrierInMs())
  }

  /** How long until a timer on the wall clock is due. */
  #timerInMs(): number {
    let atMs = Number.POSITIVE_INFINITY
    for (const task of this.tasks.values()) atMs = Math.min(atMs, task.wallTimerAtMs ?? Number.POSITIVE_INFINITY)
    return atMs === Number.POSITIVE_INFINITY ? LIMITS.pollWaitMs : Math.max(0, atMs - this.#o.deps.world.clock.now())
  }

  #barrierInMs(): number {
    return Math.max(0, Math.min(LIMITS.pollWaitMs, this.barrier.committing ? 1 : (this.barrier.dueInMs() ?? LIMITS.pollWaitMs)))
  }

  #openBytes(): number {
    let bytes = this.#writer.bufferedBytes
    for (const task of this.tasks.values()) bytes += task.openBytes
    return bytes
  }

  /** A queue that is full is not fetched until it has come down to half. */
  #throttle(): void {
    for (const task of this.tasks.values()) {
      for (const queue of task.queues) {
        const full = queue.records > LIMITS.queueRecordsHigh || queue.bytes > LIMITS.queueBytesHigh
        if (full && !queue.paused) {
          queue.paused = true
          this.#reader.pause(queue)
        } else if (queue.paused && queue.records < LIMITS.queueRecordsHigh / 2 && queue.bytes < LIMITS.queueBytesHigh / 2) {
          queue.paused = false
          this.#reader.resume(queue)
        }
      }
    }
  }

  // --- rebalance, rewind, end ----------------------------------------------------------------------------------------

  async #attend(): Promise<void> {
    const note = this.#notes[0] as Note
    if (note.kind === 'revoke') {
      this.#paused = true
      if (note.lost) this.#stale = true
      try {
        if (!this.#stale) await this.#commitAll()
      } catch (error) {
        this.#o.deps.world.logger.warn({ reason: explain(error) }, 'the last epoch before a rebalance was lost, its records are read again')
        this.#stale = true
      }
      this.#notes.shift()
      note.done()
      return
    }
    await this.#adopt(note.assignment, note.identity)
    this.#notes.shift()
    this.#paused = false
    this.counts.rebalances++
  }

  async #commitAll(): Promise<void> {
    const { barrier } = this
    await barrier.settled()
    const tasks = [...this.tasks.values()]
    if (
      !barrier.open &&
      !tasks.some((task) => task.dirty || task.timers.changed || task.queues.some((queue) => queue.position !== queue.committed))
    )
      return
    if (!barrier.open) barrier.worked(0)
    barrier.begin(tasks)
    await barrier.settled()
  }

  async #adopt(assignment: GroupAssignment, identity: GroupIdentity): Promise<void> {
    const before = this.#identity
    if (before !== null && (identity.memberId !== before.memberId || identity.generation !== before.generation + 1)) this.#stale = true
    this.#identity = identity
    const wanted = new Set(decodeTasks(assignment.userData))
    this.#lost = this.#lost.filter((id) => wanted.has(id))
    for (const [id, task] of this.tasks) {
      if (wanted.has(id)) continue
      this.tasks.delete(id)
      await discardTask(this.#o.deps, task)
    }
    if (this.#stale) await this.#rewind()
    await this.#openTasks([...wanted].filter((id) => !this.tasks.has(id)))
    await this.#begin()
    this.#readTasks(false)
    this.#o.deps.world.logger.info({ tasks: [...this.tasks.keys()] }, 'running')
  }

  async #rewind(): Promise<void> {
    const { deps } = this.#o
    await this.barrier.settled().catch(() => {})
    this.#byPartition = new Map()
    this.#lost = [...new Set([...this.#lost, ...this.tasks.keys()])]
    for (const [id, task] of [...this.tasks]) {
      this.tasks.delete(id)
      await discardTask(deps, task)
    }
    await this.#writer.init()
    await this.#openTasks(this.#lost)
    this.#lost = []
    this.barrier.recover()
    this.#waitingSince.clear()
    await this.#begin()
    this.#stale = false
    this.#readTasks(true)
  }

  /** Positions that nobody can find again are committed before anything is read from them. */
  async #begin(): Promise<void> {
    const unsure = [...this.tasks.values()].some((task) => task.timers.changed || task.queues.some((queue) => queue.committed < 0))
    if (unsure) await this.#commitAll()
  }

  async #openTasks(ids: readonly string[]): Promise<void> {
    for (const [id, task] of await openTasks(this.#o.deps, ids)) this.tasks.set(id, task)
  }

  /** Tells the reader what to read; `afresh`: also partitions that it reads already start at the queue's position. */
  #readTasks(afresh: boolean): void {
    const queues = [...this.tasks.values()].flatMap((task) => task.queues)
    this.#byPartition = new Map(
      [...this.tasks.values()].flatMap((task) => task.queues.map((queue) => [partitionName(queue.topic, queue.partition), task] as const)),
    )
    if (afresh) this.#reader.assign([])
    this.#reader.assign(queues.map((queue) => ({ topic: queue.topic, partition: queue.partition, offset: queue.fetched })))
  }

  async #finish(): Promise<void> {
    try {
      if (!this.#stale && !this.#paused) await this.#commitAll()
      else await this.barrier.settled()
    } catch (error) {
      this.#o.deps.world.logger.warn({ reason: explain(error) }, 'the last epoch was lost, its records are read again at the next start')
    }
    for (const note of this.#notes) if (note.kind === 'revoke') note.done()
    this.#notes.length = 0
    this.#ended = true
  }

  // --- assignment ----------------------------------------------------------------------------------------------------

  #allInputs(): string[] {
    const { deps } = this.#o
    const topics = new Set<string>()
    for (const sub of deps.sized.plan.subTopologies) {
      for (const source of sub.sources) {
        const operator = sub.nodes[source]?.operator
        if (operator?.kind === 'source') for (const topic of deps.inputTopics(operator)) topics.add(topic)
      }
    }
    return [...topics]
  }

  #assign(members: readonly GroupMember[]): ReadonlyMap<string, GroupAssignment> {
    const { sized } = this.#o.deps
    const tasks = sized.tasks.flatMap((count, sub) => Array.from({ length: count }, (_, partition) => taskId(sub, partition)))
    const plan = assignTasks(
      members.map((member) => ({ memberId: member.memberId, ...decodeUserData(member.userData) })),
      tasks,
    )
    return new Map(
      [...plan].map(([member, ids]) => [
        member,
        { partitions: ids.flatMap((id) => this.#partitionsOfTask(id)), userData: Buffer.from(JSON.stringify(ids)) },
      ]),
    )
  }

  #partitionsOfTask(id: string): TopicPartition[] {
    const { deps } = this.#o
    const { subTopology, partition } = parseTaskId(id)
    const sub = deps.sized.plan.subTopologies[subTopology]
    const topics = new Set<string>()
    for (const source of sub?.sources ?? []) {
      const operator = sub?.nodes[source]?.operator
      if (operator?.kind === 'source')
        for (const topic of deps.inputTopics(operator)) if (partition < deps.partitionsOf(topic)) topics.add(topic)
    }
    return [...topics].map((topic) => ({ topic, partition }))
  }
}

function decodeTasks(userData: Buffer): readonly string[] {
  return userData.length === 0 ? [] : (JSON.parse(userData.toString('utf8')) as string[])
}

function decodeUserData(userData: Buffer): { readonly owned: readonly string[]; readonly stored: readonly string[] } {
  if (userData.length === 0) return { owned: [], stored: [] }
  const { owned = [], stored = [] } = JSON.parse(userData.toString('utf8')) as { owned?: string[]; stored?: string[] }
  return { owned, stored }
}
