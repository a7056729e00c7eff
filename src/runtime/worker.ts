// One event loop: a group member, a writer, some tasks. The only place that awaits between records' batches; everything that
// happens to the tasks happens in this loop, in turn.
//
// Invariants
// 1. Only the loop touches running tasks, reader and barrier; the group's callbacks leave a note and wake it. What is being opened or
//    closed is in `moves`, beside the loop.
// 2. A revocation is answered when everything processed so far is committed. From then to the next assignment the tasks go on, but no
//    epoch is sealed: the generation may be over at any moment.
// 3. A task that the assignment leaves out runs no more, is committed under that assignment's generation, and only then given up.
// 4. After any failure: drop, `writer.init`, stores to their committed end, inputs to the committed offsets (R2). In that order.
// 5. Tasks go on over a rebalance only from one generation to the very next under one member id: else somebody may have run them
//    in between, and they are recovered like after a failure.
// 6. What is given for a topology of another shape is not looked at any further (shape-check.ts).
// 7. A failure whose disposition is `stop` ends the worker; everything else is recovered from, with growing pauses.
import { decodeShare, encodeClaim } from '../assignment/hand-over.ts'
import { Barrier } from '../barrier/barrier.ts'
import { explain, type MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { partitionName } from '../base/record.ts'
import { steadyClock } from '../base/steady.ts'
import type { Group, GroupAssignment, GroupIdentity, Reader, Writer } from '../log/log.ts'
import { CacheBudget } from '../state/cache-budget.ts'
import { shapeOf } from '../topology/shape.ts'
import { Backoff } from './backoff.ts'
import { isFinal } from './final.ts'
import { acceptAll, type Flow, fireTimers, flushCaches, inputInMs, openBytes, processBatch, throttle, timerInMs } from './flow.ts'
import { Holdings } from './holdings.ts'
import { IdleStores } from './idle-stores.ts'
import { Moves } from './moves.ts'
import { closeTask, inputTopicsOf, type TaskDeps } from './recover.ts'
import { Rejoining } from './rejoining.ts'
import { ShapeCheck } from './shape-check.ts'
import { assignShares } from './share.ts'
import { Standbys } from './standbys.ts'
import type { Task } from './task.ts'
import { Turns } from './turns.ts'
import { countFailure, type WorkerCounts } from './worker-counts.ts'
import type { WorkerOptions } from './worker-options.ts'

type Note =
  | { readonly kind: 'revoke'; readonly lost: boolean; readonly done: () => void }
  | { readonly kind: 'assign'; readonly assignment: GroupAssignment; readonly identity: GroupIdentity }

export class Worker {
  readonly tasks = new Map<string, Task>()
  readonly counts: WorkerCounts = { rewinds: 0, fenced: 0, rebalances: 0 }
  readonly barrier: Barrier
  readonly standbys: Standbys
  readonly #o: WorkerOptions
  readonly #writer: Writer
  readonly #reader: Reader
  readonly #group: Group
  readonly #notes: Note[] = []
  #byPartition = new Map<string, Task>()
  readonly #moves: Moves
  readonly #holdings: Holdings
  readonly #idle: IdleStores
  readonly #flow: Flow
  readonly #backoff: Backoff
  #held = true // between the answer to a revocation and an assignment: nothing is sealed
  #flushing = false // the last epoch of what was asked for is under way
  #leaving: readonly string[] = [] // tasks that run no more and are not committed yet
  readonly #rejoining = new Rejoining()
  readonly #shape: ShapeCheck
  #said: Buffer | null = null // the last claim
  #stale = false // what is uncommitted was lost: tasks must be recovered before they go on
  #lost: readonly string[] = [] // tasks to be opened again by a rewind
  #stopping = false
  #ended = false // the loop attends to no note any more
  #identity: GroupIdentity | null = null // of the assignment adopted last
  #running: Promise<void> | null = null
  #turn = 0 // the task that goes first

  constructor(options: WorkerOptions) {
    const stopping = (): boolean => this.#stopping || options.deps.stopping()
    this.standbys = new Standbys({ ...options.deps, stopping }, (id) => this.#isFree(id))
    const { provider } = this.standbys
    const heir = (task: Task): boolean => this.standbys.inherit(task)
    const cache = options.deps.cache ?? new CacheBudget()
    const deps: TaskDeps = {
      steadyMs: steadyClock(options.deps.world.clock),
      ...options.deps,
      cache,
      stopping,
      provider,
      heir,
      repeats: options.guarantee === 'at_least_once',
      rouse: () => this.#reader.wake(),
    }
    this.#o = { ...options, deps }
    const { stored, storedBytes = {}, stateQuotaBytes: bytes = null } = options
    const quota = bytes === null ? null : { bytes, over: (error: MillraceError) => this.#end(error) }
    this.#holdings = new Holdings({ world: deps.world, tasks: this.tasks, standbys: this.standbys, stored, storedBytes, quota })
    this.#moves = new Moves(deps, () => {
      this.standbys.look()
      this.#reader.wake()
    })
    const { log, groupId, world } = deps
    this.#shape = new ShapeCheck(shapeOf(deps.sized), groupId)
    this.#backoff = new Backoff(world)
    this.#writer = log.writer({ transactionalId: options.transactionalId, guarantee: options.guarantee })
    this.#reader = log.reader()
    this.#group = log.group({
      groupId,
      instanceId: options.instanceId,
      together: options.together ?? [],
      topics: [...new Set(deps.sized.plan.subTopologies.flatMap((_, sub) => inputTopicsOf(deps, sub)))],
      userData: () => this.#claim(),
      assign: (members) => assignShares(deps, members, { ...this.#shape.knows, said: this.#said }),
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
      tracing: options.tracing ?? null,
      ...(options.onEpoch === undefined ? {} : { onEpoch: options.onEpoch }),
    })
    this.#flow = { barrier: this.barrier, turns: new Turns(world), tracing: options.tracing ?? null }
    this.#idle = new IdleStores({ log, world, tasks: this.tasks, applying: () => this.barrier.applying })
  }

  /** True when all assigned tasks are restored and running. */
  get ready(): boolean {
    if (this.#identity === null || this.#stale || this.#rejoining.awaits || this.#notes.length > 0) return false
    return this.#moves.incoming.length + this.#leaving.length + this.#lost.length === 0
  }

  /** Some task is being opened. */
  get restoring(): boolean {
    return this.#moves.incoming.length > 0
  }

  /** Resolves when the membership has begun; tasks are restored and run in the background. */
  async start(): Promise<void> {
    await this.#writer.init()
    this.#running = this.#loop()
    await this.#group.start()
    this.#holdings.sizes.begin()
  }

  /** Commits what was processed and ends. A static member keeps its place, and its tasks, for the session timeout, unless it leaves. */
  async close(leave = false): Promise<void> {
    this.#stopping = true
    this.#holdings.sizes.close()
    this.#rouse()
    const failures: unknown[] = []
    const end = async (what: () => Promise<void> | null): Promise<void> => {
      try {
        await what()
      } catch (error) {
        failures.push(error)
      }
    }
    await end(() => this.#running)
    await end(() => this.#moves.close())
    await end(() => this.#group.close(leave || this.#shape.refused))
    await end(() => this.standbys.close())
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
    this.#rouse()
  }

  #rouse(): void {
    this.#reader.wake()
    this.#backoff.end()
  }

  #end(error: unknown): void {
    if (this.#stopping) return
    this.#stopping = true
    this.#held = true
    this.#rouse()
    this.#o.onFatal(error)
  }

  // --- the loop ------------------------------------------------------------------------------------------------------

  async #loop(): Promise<void> {
    const { world } = this.#o.deps
    let epochs = 0
    while (!this.#stopping) {
      this.#backoff.begin()
      try {
        if (this.#notes.length > 0 && (await this.#attend())) continue
        if (this.#stale && !this.#held) await this.#rewind()
        else {
          await this.#step()
          if (this.barrier.figures.epochs > epochs) this.#backoff.failures = 0
          epochs = this.barrier.figures.epochs
        }
      } catch (error) {
        this.#o.tracing?.lost(error)
        if (await isFinal(error, this.#o.deps)) {
          this.#end(error)
          break
        }
        this.#stale = true
        countFailure(this.counts, error)
        const failures = ++this.#backoff.failures
        world.logger.warn({ reason: explain(error), failures }, 'epoch failed, rewinding to what is committed')
        if (this.#notes[0]?.kind !== 'revoke') await this.#backoff.wait() // one that was there before is answered at once, too
      }
    }
    await this.#finish()
  }

  async #step(): Promise<void> {
    const { barrier } = this
    if (barrier.failure !== null && !this.#stale) throw barrier.failure.error
    this.#idle.look()
    if (!this.#held) {
      await this.#handOver()
      await this.#startOpened()
    }
    const moved = acceptAll(await this.#reader.poll(this.#waitMs()), this.#byPartition)
    if (this.#stale || (this.#held && barrier.full(this.#openBytes()))) {
      throttle(this.tasks.values(), this.#reader)
      await this.#flow.turns.take() // what is waited for comes through the event loop
      return
    }
    if (moved) barrier.worked(0)
    if (barrier.overfull(this.#openBytes())) await barrier.settled()
    await this.#process()
    throttle(this.tasks.values(), this.#reader)
    if (this.#mayBegin() && (barrier.due(this.#openBytes()) || this.#commitAsked())) await this.#seal()
    await barrier.drained()
    await this.#flow.turns.take()
  }

  /** Epochs that are due wait for a rebalance: it seals for itself. */
  #mayBegin(): boolean {
    return !this.#held && this.#notes.length === 0 && this.#leaving.length === 0
  }

  async #process(): Promise<void> {
    const { barrier } = this
    const tasks = this.#active()
    for (let i = 0; i < tasks.length; i++) {
      const at = (this.#turn + i) % tasks.length
      const task = tasks[at] as Task
      await fireTimers(task, barrier)
      const attend = task.suspended !== null || task.hasDue
      if ((task.queued === 0 || !task.ready()) && !attend) continue
      await processBatch(task, tasks[(at + 1) % tasks.length] as Task, this.#flow)
      if (!barrier.full(this.#openBytes())) continue
      this.#turn = (at + 1) % tasks.length // the others begin the next epoch
      return
    }
  }

  /** A processor has asked for a commit, and nothing is in its way. */
  #commitAsked(): boolean {
    return this.barrier.open && !this.barrier.committing && [...this.tasks.values()].some(({ commitRequested }) => commitRequested)
  }

  #waitMs(): number {
    const { barrier } = this
    if (this.#notes.length > 0 || (barrier.failure !== null && !this.#stale)) return barrier.committing ? 1 : 0
    if (this.#stale || (this.#held && barrier.full(this.#openBytes()))) return LIMITS.pollWaitMs // a note wakes the reader
    if (!this.#held && (this.#moves.settled || (this.#rejoining.wanted && this.#moves.outgoing.length === 0))) return 0
    const running = this.#active()
    if (running.some((task) => task.suspended !== null || task.ready() || task.hasDue)) return 0
    const timerMs = Math.min(timerInMs(running), inputInMs(running, this.#o.deps.world.clock.monotonic()))
    if (!this.#mayBegin()) return Math.min(timerMs, barrier.committing ? 1 : LIMITS.pollWaitMs)
    return Math.min(timerMs, this.#barrierInMs())
  }

  #barrierInMs(): number {
    return Math.max(0, Math.min(LIMITS.pollWaitMs, this.barrier.committing ? 1 : (this.barrier.dueInMs() ?? LIMITS.pollWaitMs)))
  }

  #openBytes(): number {
    return this.#writer.bufferedBytes + openBytes(this.tasks.values())
  }

  /** The tasks that go on. */
  #active(): Task[] {
    return [...this.tasks.values()].filter((task) => !this.#leaving.includes(task.id))
  }

  // --- rebalance, rewind, end ----------------------------------------------------------------------------------------

  /** False: not yet, the loop goes on meanwhile. */
  async #attend(): Promise<boolean> {
    const note = this.#notes[0] as Note
    if (note.kind === 'assign') {
      await this.#adopt(note.assignment, note.identity)
      this.#notes.shift()
      this.counts.rebalances++
      return true
    }
    if (note.lost) await this.#dropAll()
    else if (!this.#stale && !this.#held) {
      if (this.barrier.failure !== null) return false
      if (!(await this.#handOver()) || !(await this.#flushed())) return false
    }
    this.#held = true
    this.#flushing = false
    this.#notes.shift()
    note.done()
    return true
  }

  /** What this member says when it joins. */
  #claim(): Buffer {
    const owned = [...this.tasks.keys(), ...this.#moves.incoming, ...this.#moves.outgoing, ...this.#lost]
    const generation = this.#identity?.generation ?? -1
    const { host = '', standbys = 0 } = this.#o
    const of = { ...this.#o.peering?.place, ...this.#holdings.claim(), ...this.#shape.claim }
    this.#said = encodeClaim({ owned: [...new Set(owned)], generation, host, standbys, ...of })
    return this.#said
  }

  /** Nothing of this task is open here. */
  #isFree(id: string): boolean {
    const { incoming, outgoing } = this.#moves
    return !this.tasks.has(id) && !incoming.includes(id) && !outgoing.includes(id) && !this.#lost.includes(id)
  }

  /** True when all that was processed up to the first call is committed. */
  async #flushed(): Promise<boolean> {
    if (this.barrier.committing) return false
    if (this.#flushing || !this.#uncommitted()) {
      this.#flushing = false
      return true
    }
    this.#flushing = true
    await this.#seal()
    return false
  }

  /** Gives up the tasks that the assignment left out, once they are committed (invariant 3), and asks for the assignment in which others
   *  get them. False: not committed yet. */
  async #handOver(): Promise<boolean> {
    if (this.#leaving.length > 0) {
      if (this.barrier.failure !== null || !(await this.#flushed())) return false
      for (const id of this.#leaving) {
        const task = this.tasks.get(id) as Task
        this.tasks.delete(id)
        this.#moves.giveUp(task)
      }
      this.#leaving = []
      this.#tell()
    }
    const gone = !this.#stale && this.#moves.outgoing.length === 0
    if (this.#rejoining.due(gone, this.#o.deps.world.clock.monotonic())) this.#group.rejoin()
    return true
  }

  #uncommitted(): boolean {
    if (this.barrier.open) return true
    for (const task of this.tasks.values()) if (task.dirty || task.queues.some((queue) => queue.position !== queue.committed)) return true
    return false
  }

  async #seal(): Promise<void> {
    await flushCaches(this.tasks.values(), this.barrier)
    this.barrier.begin([...this.tasks.values()])
  }

  async #commitAll(): Promise<void> {
    await this.barrier.settled()
    if (!this.#uncommitted()) return
    await this.#seal()
    await this.barrier.settled()
  }

  async #adopt(assignment: GroupAssignment, identity: GroupIdentity): Promise<void> {
    const share = decodeShare(assignment.userData)
    const { tasks, refused, released, awaited, standbys, peers } = share
    const verdict = this.#shape.judge(share, identity.generation)
    if (verdict === 'tell') {
      if (this.#identity !== null) await this.#dropAll()
      this.#group.rejoin()
      return
    }
    const before = this.#identity
    const wanted = new Set(tasks)
    const mine = [...this.tasks.keys(), ...this.#moves.incoming, ...this.#lost]
    const follows = before === null || (identity.memberId === before.memberId && identity.generation === before.generation + 1)
    if (!follows || refused.some((id) => mine.includes(id))) this.#stale = true
    if (this.#stale) await this.#drop()
    this.#identity = identity
    const also = this.#o.peering?.heard(peers) === true || mine.some((id) => !wanted.has(id)) || verdict === 'adoptAndTell'
    this.#rejoining.adopted({ refused, released, awaited }, also, this.#o.deps.world.clock.monotonic())
    this.#moves.callOff(this.#moves.incoming.filter((id) => !wanted.has(id)))
    this.#leaving = [...this.tasks.keys()].filter((id) => !wanted.has(id))
    this.#holdings.add([...tasks, ...standbys])
    const missing = tasks.filter((id) => !this.tasks.has(id))
    if (this.#stale)
      this.#lost = missing // their predecessor's epoch, maybe our own, is not settled yet
    else this.#moves.open(missing)
    this.standbys.want(standbys, [...tasks, ...awaited])
    this.#held = false
    this.#readTasks()
    const { logger } = this.#o.deps.world
    logger.info({ generation: identity.generation, given: tasks, leaving: this.#leaving, awaited, standbys }, 'assigned')
    if (!this.#stale && missing.length + this.#leaving.length + awaited.length === 0) this.#tell()
  }

  /** The membership is over: somebody else may run these tasks by now. */
  async #dropAll(): Promise<void> {
    this.#stale = true
    await this.#drop()
    this.#lost = []
    this.#identity = null
    this.#rejoining.forget()
  }

  /** Loses what is uncommitted, and calls off what is being opened. What is to go on is in `#lost` then. */
  async #drop(): Promise<void> {
    await this.barrier.settled().catch(() => {})
    this.#o.tracing?.lost(null)
    const running = this.#active().map((task) => task.id)
    this.#lost = [...new Set([...this.#lost, ...running, ...this.#moves.incoming])]
    this.#leaving = []
    this.#flushing = false
    this.#byPartition = new Map()
    this.#reader.assign([])
    this.#moves.callOff(this.#moves.incoming)
    const dropped = [...this.tasks.values()]
    this.tasks.clear()
    await this.#moves.discard(dropped)
  }

  async #rewind(): Promise<void> {
    await this.#drop()
    await this.#writer.init()
    this.barrier.recover()
    this.#stale = false
    this.#moves.open(this.#lost)
    this.#lost = []
  }

  /** Tasks that have caught up begin. */
  async #startOpened(): Promise<void> {
    if (this.#notes.length > 0) return
    const opened = this.#moves.take()
    if (opened.length === 0) return
    for (const task of opened) this.tasks.set(task.id, task)
    // Positions that nobody can find again are committed before anything is read from them.
    if (opened.some((task) => task.timers.changed || task.queues.some((queue) => queue.committed < 0))) await this.#commitAll()
    this.#readTasks()
    this.#tell()
  }

  #tell(): void {
    this.#o.deps.world.logger.info({ tasks: [...this.tasks.keys()] }, 'running')
  }

  /** Tells the reader what to read. */
  #readTasks(): void {
    const running = this.#active()
    const queues = running.flatMap((task) => task.queues)
    this.#byPartition = new Map(
      running.flatMap((task) => task.queues.map((queue) => [partitionName(queue.topic, queue.partition), task] as const)),
    )
    this.#reader.assign(queues.map((queue) => ({ topic: queue.topic, partition: queue.partition, offset: queue.fetched })))
  }

  async #finish(): Promise<void> {
    try {
      if (!this.#stale && !this.#held) await this.#commitAll()
      else await this.barrier.settled()
    } catch (error) {
      this.#o.deps.world.logger.warn({ reason: explain(error) }, 'the last epoch was lost, its records are read again at the next start')
    }
    for (const note of this.#notes) if (note.kind === 'revoke') note.done()
    this.#notes.length = 0
    this.#o.tracing?.lost(null)
    this.#ended = true
  }
}
