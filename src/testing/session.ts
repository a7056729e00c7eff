// A topology run in process, a record at a time: what `millrace try` and the TopologyTestDriver sit on. The tasks, stores' overlays,
// barrier, restore and the log port are the real ones; the log is in memory and the clock moves only when told to.
//
// Invariants
// 1. A record is carried through all repartition topics before the next one is taken.
// 2. Outputs are shown once, when the barrier that committed them has ended, in the order written.
// 3. `crash` loses what no barrier committed, restores the stores from their changelogs (their disks are gone too), and takes the
//    records and moves of the clock since the last barrier again, in their order, with their first timestamps.
// 4. Between barriers nothing is kept of committed outputs and repartition records.
import { Barrier } from '../barrier/barrier.ts'
import type { ReadFrom } from '../app/store-reader.ts'
import { MillraceError } from '../base/errors.ts'
import { partitionOf } from '../base/murmur2.ts'
import { whenThere } from '../base/not-yet.ts'
import { type Headers, type LogRecord, NO_HEADERS, partitionName } from '../base/record.ts'
import type { Chunk, Reader, Writer } from '../log/log.ts'
import { type MemoryLog, memoryLog } from '../log/memory.ts'
import { DEFAULT_POLICIES, deadLetterTopic, type ErrorPolicies } from '../runtime/dead-letter.ts'
import { closeGlobals, type GlobalTables, openGlobals } from '../runtime/global-tables.ts'
import { flushCaches, hasCached } from '../runtime/flow.ts'
import { InputQueue } from '../runtime/input-queue.ts'
import { prepareSerdes, writingsOf } from '../topology/prepare.ts'
import { closeTask, openTask, type TaskDeps, taskId } from '../runtime/recover.ts'
import { feedingTopics } from '../runtime/source-fed.ts'
import { Suspend } from '../runtime/suspend.ts'
import type { Task } from '../runtime/task.ts'
import { inputTopicsOf, topicSpecs } from '../runtime/topics.ts'
import type { AnySerde } from '../serde/serde.ts'
import { memoryProvider } from '../state/memory.ts'
import type { StoreProvider } from '../state/store.ts'
import type { Topology } from '../topology/node.ts'
import { matchesTopic } from '../topology/pattern.ts'
import { plan as planOf, type PlanOptions } from '../topology/plan.ts'
import type { Plan, SizedPlan } from '../topology/plan-types.ts'
import { sizePlan } from '../topology/sizing.ts'
import { externalSources, type Input, inputsOf, loggedTopics, sumsOf } from './figures.ts'
import { Patience } from './patience.ts'
import { presentRows } from './present-rows.ts'
import { type VirtualWorld, virtualWorld } from './virtual-world.ts'

export interface SessionOptions {
  readonly partitions?: number
  readonly seed?: number
  readonly startTimeMs?: number
  readonly applicationId?: string
  readonly policies?: ErrorPolicies & PlanOptions
  /** Where the tasks' stores are, asked at the start and after each crash. Default: in memory, gone with each crash. */
  readonly provider?: () => StoreProvider
}

export interface SessionRecord {
  readonly topic: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly timestamp?: number
  readonly partition?: number
  readonly headers?: Headers
}

export interface OutputRecord {
  readonly topic: string
  readonly partition: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly timestamp: number
  readonly headers: Headers
}

interface Line {
  readonly topic: string
  readonly partition: number
  readonly record: LogRecord
}

/** A move of the wall clock. */
interface Advance {
  readonly advanceMs: number
}

const WHOLE_EPOCH = { intervalMs: Number.MAX_SAFE_INTEGER, recordsMax: Number.MAX_SAFE_INTEGER, bytesMax: Number.MAX_SAFE_INTEGER }

export class Session {
  readonly plan: Plan
  readonly partitions: number
  readonly #options: SessionOptions
  readonly #topology: Topology
  #world!: VirtualWorld
  #log!: MemoryLog
  #sized!: SizedPlan
  #writer!: Writer
  #reader!: Reader
  #barrier!: Barrier
  #topics = new Set<string>() // external topics known so far
  readonly #logged: ReadonlySet<string> // read from the log, as what comes through a repartition topic is
  #tasks: Task[] = []
  #lines: (Line | Advance)[] = [] // since the last barrier
  #barrierAtMs = 0
  #globals: GlobalTables = []
  readonly #patience = new Patience()
  #nextOffsets = new Map<string, number>()
  #open: OutputRecord[] = []
  #committed: OutputRecord[] = []

  constructor(topology: Topology, options: SessionOptions) {
    this.#topology = topology
    this.#options = options
    this.partitions = options.partitions ?? 1
    this.plan = planOf(topology, options.applicationId ?? topology.name, options.policies)
    this.#logged = loggedTopics(this.plan)
  }

  async start(): Promise<void> {
    this.#world = virtualWorld(this.#options.startTimeMs ?? 0, this.#options.seed ?? 1)
    this.#log = memoryLog(this.#world)
    this.#topics = new Set([...this.plan.inputs, ...this.plan.outputs])
    this.#lines = []
    this.#barrierAtMs = this.nowMs()
    this.#nextOffsets.clear()
    this.#open = []
    this.#sized = this.#size()
    await this.#log.createTopics(topicSpecs(this.#sized, this.partitions))
    await this.#log.createTopics([...this.#topics].map((name) => ({ name, partitions: this.partitions, kind: 'plain' })))
    await prepareSerdes(writingsOf(this.plan))
    this.#globals = await openGlobals(this.plan.globals, memoryProvider(), this.#world)
    await this.#boot()
  }

  #size(): SizedPlan {
    const sized = sizePlan(this.plan, new Map([...this.#topics].map((topic) => [topic, this.partitions])))
    // A sub-topology that reads patterns only has no counted input yet.
    const some = (count: number): number => (count === 0 ? this.partitions : count)
    return {
      ...sized,
      tasks: sized.tasks.map(some),
      partitions: new Map([...sized.partitions].map(([name, count]) => [name, some(count)])),
    }
  }

  async #boot(): Promise<void> {
    const writer = this.#log.writer({ transactionalId: `${this.plan.applicationId}-0`, guarantee: 'exactly_once' })
    await writer.init()
    this.#writer = writer
    this.#barrier = new Barrier({
      writer: this.#watched(writer),
      guarantee: 'exactly_once',
      groupId: this.plan.applicationId,
      identity: () => null,
      limits: WHOLE_EPOCH,
      world: this.#world,
    })
    const deps = this.#deps()
    this.#tasks = []
    for (const [sub, count] of this.#sized.tasks.entries()) {
      for (let partition = 0; partition < count; partition++) this.#tasks.push(await openTask(deps, taskId(sub, partition)))
    }
    this.#reader = this.#log.reader({ isolation: 'uncommitted' })
    const queues = this.#tasks.flatMap((task) => task.queues)
    this.#reader.assign(
      queues
        .filter((queue) => this.#logged.has(queue.topic))
        .map(({ topic, partition, position }) => ({ topic, partition, offset: position })),
    )
  }

  #deps(): TaskDeps {
    return {
      log: this.#log,
      groupId: this.plan.applicationId,
      provider: this.#options.provider?.() ?? memoryProvider(),
      sized: this.#sized,
      globals: () => this.#globals,
      resetOf: () => 'earliest', // nothing was committed before: 'none' would refuse all
      policies: this.#options.policies ?? DEFAULT_POLICIES,
      deadLetterTopic: deadLetterTopic(this.plan.applicationId),
      partitionsOf: (topic) => this.#partitionsOf(topic),
      inputTopics: (source) => inputTopicsOf(source, this.#topics),
      changelogTopic: (store) => this.#changelog(store),
      world: this.#world,
      rouse: () => this.#patience.rouse(),
      onProgress: () => {},
      stopping: () => false,
    }
  }

  /** A topic that only a callback names is made when it is first written. */
  #partitionsOf(topic: string): number {
    const internal = this.#sized.partitions.get(topic)
    if (internal !== undefined) return internal
    if (this.#topics.has(topic) || topic === deadLetterTopic(this.plan.applicationId)) return this.partitions
    throw new Suspend(async () => {
      await this.#log.createTopics([{ name: topic, partitions: this.partitions, kind: 'plain' }])
      this.#topics.add(topic)
    })
  }

  #changelog(store: string): string {
    const topic = this.plan.internalTopics.find((internal) => internal.kind === 'changelog' && internal.store === store)
    if (topic === undefined) throw new MillraceError('STREAM_INTERNAL', `store ${store} has no changelog in the plan`)
    return topic.name
  }

  /** The writer, with an eye on what goes to external topics. */
  #watched(writer: Writer): Writer {
    const internal = new Set(this.plan.internalTopics.map((topic) => topic.name))
    const append: Writer['append'] = (topic, partition, timestamp, key, value, headers) => {
      writer.append(topic, partition, timestamp, key, value, headers)
      if (!internal.has(topic)) this.#open.push({ topic, partition, timestamp, key, value, headers })
    }
    return {
      append,
      init: () => writer.init(),
      get bufferedBytes() {
        return writer.bufferedBytes
      },
      drain: () => writer.drain(),
      seal: () => writer.seal(),
      flush: () => writer.flush(),
      commit: (identity, groupId, offsets) => writer.commit(identity, groupId, offsets),
      close: () => writer.close(),
    }
  }

  /** Sources to read lines with. */
  inputs(): readonly Input[] {
    return inputsOf(this.plan)
  }

  /** Serdes of a sink's topic; null for the dead-letter topic. */
  outputSerdes(topic: string): { readonly key: AnySerde; readonly value: AnySerde } | null {
    const sinks = this.#topology.nodes.filter((node) => node.kind === 'sink')
    const sink = sinks.find((node) => node.topic === topic) ?? sinks.find((node) => typeof node.topic === 'function')
    return sink === undefined || topic === deadLetterTopic(this.plan.applicationId) ? null : { key: sink.key, value: sink.value }
  }

  nowMs(): number {
    return this.#world.clock.now()
  }

  async pipe(record: SessionRecord): Promise<void> {
    await this.#know(record.topic)
    const partition = record.partition ?? (record.key === null ? 0 : partitionOf(record.key, this.partitions))
    if (partition >= this.partitions)
      throw new MillraceError('STREAM_USAGE', `partition ${partition} of ${record.topic}: there are ${this.partitions}`)
    const name = partitionName(record.topic, partition)
    const offset = this.#nextOffsets.get(name) ?? 0
    this.#nextOffsets.set(name, offset + 1)
    const { key, value } = record
    const line: Line = {
      topic: record.topic,
      partition,
      record: { offset, timestamp: record.timestamp ?? this.nowMs(), key, value, headers: record.headers ?? NO_HEADERS },
    }
    this.#lines.push(line)
    await this.#carry(line)
  }

  /** A topic that a pattern matches joins the tasks that read it. */
  async #know(topic: string): Promise<void> {
    if (this.#logged.has(topic) || (this.#topics.has(topic) && this.plan.inputs.includes(topic))) return
    if (this.#topics.has(topic) && this.#tasks.some((task) => task.queues.some((queue) => queue.topic === topic))) return
    const sources = externalSources(this.plan).filter((source) => source.topics instanceof RegExp && matchesTopic(source.topics, topic))
    if (sources.length === 0) throw new MillraceError('STREAM_USAGE', `topic ${topic} is not read by ${this.plan.topology}`)
    this.#topics.add(topic)
    await this.#log.createTopics([{ name: topic, partitions: this.partitions, kind: 'plain' }])
    for (const task of this.#tasks) {
      const entries = task.program.sources.filter((entry) => sources.includes(entry.source))
      if (entries.length > 0) task.queues.push(new InputQueue({ topic, partition: task.partition }, entries, 0))
    }
  }

  async #carry({ topic, partition, record }: Line): Promise<void> {
    if (this.#logged.has(topic)) {
      const { timestamp, key, value, headers } = record
      this.#writer.append(topic, partition, timestamp, key, value, headers) // among what the topology writes there itself
      this.#barrier.worked(0)
      await this.#writer.drain()
      for (const hop of await this.#reader.poll(0)) for (const task of this.#tasks) task.accept(hop)
      return await this.#settle()
    }
    const next = record.offset + 1
    const chunk: Chunk = { topic, partition, records: [record], bytes: 0, position: next, endOffset: next }
    for (const table of this.#globals) if (table.spec.topic === topic) await whenThere(() => table.accept(chunk))
    for (const task of this.#tasks) task.accept(chunk)
    await this.#settle()
  }

  /** Everything that is under way, through all repartition topics; then the commit that a processor has asked for. */
  async #settle(): Promise<void> {
    await this.#work()
    if (this.#tasks.some((task) => task.commitRequested)) await this.#barrierNow()
  }

  async #work(): Promise<void> {
    for (;;) {
      const task = this.#tasks.find(({ suspended, hasDue }) => suspended !== null || hasDue) ?? this.#next()
      if (task === null) {
        if (await this.#answers(false)) continue
        break
      }
      await task.resume()
      await task.prefetch.rows(1)
      const done = task.run(1, this.#barrier.append, true)
      task.forgetRowsUnlessSuspended()
      if (done > 0) this.#barrier.worked(done)
      await this.#writer.drain()
      for (const hop of await this.#reader.poll(0)) for (const other of this.#tasks) other.accept(hop)
    }
  }

  /** What waits in record caches goes on, through all repartition topics and the caches behind them. */
  async #flush(): Promise<void> {
    for (let task = this.#cached(); task !== undefined; task = this.#cached()) {
      await flushCaches([task], this.#barrier)
      task.forgetRows()
      for (const hop of await this.#reader.poll(0)) for (const other of this.#tasks) other.accept(hop)
      await this.#work()
    }
  }

  #cached(): Task | undefined {
    return this.#tasks.find(hasCached)
  }

  /** True: calls that are under way were answered. */
  #answers(patiently: boolean): Promise<boolean> {
    const calls = this.#tasks.flatMap((task) => [...task.underWay])
    return this.#patience.news(calls, () => this.#tasks.some((task) => task.hasDue), patiently)
  }

  /** Waits for the calls that are under way, as far as they are answered in good time, and for all that follows. */
  async settle(): Promise<void> {
    do await this.#settle()
    while (await this.#answers(true))
  }

  /** Timers on the wall clock, task by task, each with all that follows from it. */
  async #fire(): Promise<void> {
    for (const task of this.#tasks) {
      while (task.runTimers(this.#barrier.append)) {
        this.#barrier.worked(0)
        if (task.suspended !== null) await task.resume()
        else task.forgetRows()
      }
      await this.#writer.drain()
      for (const hop of await this.#reader.poll(0)) for (const other of this.#tasks) other.accept(hop)
      await this.#settle()
    }
  }

  /** The task whose head record is oldest by timestamp, as one Kafka Streams task over all partitions would choose. */
  #next(): Task | null {
    let best: Task | null = null
    let bestTimestamp = 0
    for (const task of this.#tasks) {
      for (const queue of task.queues) {
        const head = task.isHeld(queue) ? null : queue.head()
        if (head === null || (best !== null && head.timestamp >= bestTimestamp)) continue
        best = task
        bestTimestamp = head.timestamp
      }
    }
    return best
  }

  async advance(ms: number): Promise<void> {
    await this.settle()
    this.#lines.push({ advanceMs: ms })
    const until = this.nowMs() + ms
    for (;;) {
      // Calls are answered on the way, and what they lead to is due before the end.
      const stop = Math.min(...this.#tasks.map((task) => task.wakes.stopAfter(this.nowMs())))
      if (!(stop < until)) break
      await this.#move(stop)
      await this.settle()
    }
    await this.#move(until)
  }

  async #move(toMs: number): Promise<void> {
    await this.#world.advance(toMs - this.nowMs())
    await this.#fire()
  }

  async commit(): Promise<void> {
    await this.settle()
    while (this.#cached() !== undefined) {
      await this.#flush()
      await this.settle()
    }
    await this.#barrierNow()
  }

  async #barrierNow(): Promise<void> {
    await this.#flush()
    this.#barrier.worked(0)
    this.#barrier.begin(this.#tasks)
    await this.#barrier.settled()
    for (const table of this.#globals) await table.apply()
    this.#lines = this.#lines.filter((line) => 'topic' in line && this.#waits(line)) // what an operator keeps waiting is read again
    this.#barrierAtMs = this.nowMs()
    for (const record of this.#open) this.#committed.push(record)
    this.#open = []
    this.#forget()
  }

  #waits({ topic, partition, record }: Line): boolean {
    if (this.#logged.has(topic)) return false // it is in the log
    const reads = (queue: InputQueue): boolean => queue.topic === topic && queue.partition === partition
    return this.#tasks.some((task) => task.queues.some((queue) => reads(queue) && queue.position <= record.offset))
  }

  /** What is committed is not read again: outputs were handed out, repartition topics go on from the committed offsets. Changelogs
   *  stay, and topics that are changelogs: a crash restores from them: a record for each key that an epoch has written. */
  #forget(): void {
    for (const topic of [...this.#topics, deadLetterTopic(this.plan.applicationId)].filter((topic) => !this.#logged.has(topic)))
      for (let partition = 0; partition < this.partitions; partition++) this.#log.forget(topic, partition, Number.MAX_SAFE_INTEGER)
    const feeding = feedingTopics(this.plan)
    for (const queue of this.#tasks.flatMap((task) => task.queues))
      if (this.#logged.has(queue.topic) && !feeding.has(queue.topic)) this.#log.forget(queue.topic, queue.partition, queue.committed)
  }

  async crash(): Promise<void> {
    for (const task of this.#tasks) {
      task.drop()
      await closeTask(task)
    }
    for (const table of this.#globals) table.drop()
    await this.#reader.close()
    this.#open = []
    const again = this.#lines
    this.#lines = []
    const nowMs = this.nowMs()
    this.#world.rewind(this.#barrierAtMs)
    await this.#boot() // a new writer of the same transactional id: settles what the dead one left open
    await this.#fire() // operators look at what they have left waiting
    for (const line of again) {
      if ('advanceMs' in line) await this.advance(line.advanceMs)
      else {
        this.#lines.push(line)
        await this.#carry(line)
      }
    }
    if (this.nowMs() !== nowMs) throw new MillraceError('STREAM_INTERNAL', `the clock is at ${this.nowMs()} after a crash, not at ${nowMs}`)
  }

  /** A barrier, then all begins anew: empty, the clock at its start. */
  async reset(): Promise<void> {
    await this.commit()
    await this.#end()
    await this.start()
  }

  async close(): Promise<void> {
    await this.commit()
    await this.#end()
  }

  async #end(): Promise<void> {
    for (const task of this.#tasks) await closeTask(task)
    await closeGlobals(this.#globals)
    await this.#reader.close()
    await this.#writer.close()
    await this.#log.close()
  }

  /** Committed outputs that were not taken yet. */
  take(): readonly OutputRecord[] {
    const taken = this.#committed
    this.#committed = []
    return taken
  }

  /** Outputs of the open epoch: a crash makes them anew. */
  uncommitted(): readonly OutputRecord[] {
    return this.#open
  }

  /** For readers of stores: rows as the topology sees them now. */
  holder(): ReadFrom {
    return presentRows({ plan: this.plan, world: this.#world, sized: this.#sized, tasks: () => this.#tasks, globals: () => this.#globals })
  }

  /** Counters and gauges by node and name, summed over the tasks. */
  counters(): ReadonlyMap<string, ReadonlyMap<string, number>> {
    return sumsOf(this.#tasks)
  }
}

export async function openSession(topology: Topology, options: SessionOptions = {}): Promise<Session> {
  const session = new Session(topology, options)
  await session.start()
  return session
}
