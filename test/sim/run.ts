// One run: brokers, instances, input, faults; then calm, and the demand that everything is done in time; then the checks.
import { LIMITS } from '../../src/base/limits.ts'
import { partitionOf } from '../../src/base/murmur2.ts'
import { type LogRecord, partitionName } from '../../src/base/record.ts'
import type { Guarantee } from '../../src/log/log.ts'
import type { RequestKind } from '../../src/log/outcome.ts'
import { deadLetterTopic } from '../../src/runtime/dead-letter.ts'
import { APPLICATION, type Fed, KEYS, parsed, planOf, POISON, type SimCase } from './case.ts'
import type { Counter } from '../../src/operators/operator.ts'
import type { Task } from '../../src/runtime/task.ts'
import { settleLetters } from './blocked.ts'
import { CASES, NAMED } from './cases.ts'
import { type Chance, chance as chanceOf, type Draw } from './chance.ts'
import { checkAll, fedOf, rowText } from './checks.ts'
import { SimDisk, type StoreContent } from './disk.ts'
import type { History, Rows, Snapshot, StoredRows, Violation } from './history.ts'
import { Instance } from './instance.ts'
import { type OpenedCluster, openCluster } from './log/open.ts'
import { appendMarker, appendPlain, committedRecords, type Mark, news, plain, type SimPartition, stableEnd } from './log/partition.ts'
import type { Said } from './log/network.ts'
import { BRING_BACK, type FaultKind, Nemesis } from './nemesis.ts'
import { SimWorld } from './world.ts'

export interface RunOptions {
  readonly trace?: (line: string) => void
  /** Only this one; without it the run draws. */
  readonly case?: string
  /** Only these kinds of faults, all of them. */
  readonly kinds?: readonly FaultKind[]
  readonly clocksStand?: boolean
  readonly transactionVersion?: 1 | 2
  /** Input and faults by draws of their own; left out: by those of everything else. */
  readonly apart?: { readonly input: Draw; readonly faults: Draw }
  /** How long faults begin and input comes, and how much of it there is at most. */
  readonly storm?: { readonly ms: number; readonly recordsMax: number }
  /** Asked at every request that arrives at a broker. */
  readonly onArrival?: (from: string, kind: RequestKind) => Said | null
}

export interface RunResult {
  readonly violations: readonly Violation[]
  readonly case: string
  readonly guarantee: Guarantee
  readonly zombies: number
  readonly events: number
  readonly faults: ReadonlyMap<string, number>
  readonly restarts: number
  readonly transactions: { readonly committed: number; readonly aborted: number }
}

const KEY_BYTES = KEYS.map((key) => Buffer.from(key))

const STORM = { ms: 2_000, recordsMax: 80 }
/** After it everything is to be done. */
const CALM_MS = 30_000
const CALM_EVENTS = 120_000

/** Bounds of src/base/limits.ts, small enough to be reached by a run's few records; undone by `restoreLimits`. */
const usual = { ...LIMITS }
function setLimits(chance: Chance): void {
  Object.assign(LIMITS as Record<keyof typeof LIMITS, number>, {
    rewindBackoffMaxMs: 400,
    inputWaitMs: 150,
    fetchWaitMs: 50,
    taskBatchRecords: chance.pick([1_000, 1, 3, 10]),
    turnMs: Number.POSITIVE_INFINITY, // no turns within a batch: they would move what each seed has found
    restoreBatchBytes: chance.pick([4_000_000, 1, 100, 400]),
    scanChunkEntries: chance.pick([1_000, 1, 2]),
    queueRecordsHigh: chance.pick([4_000, 2, 10]),
    cacheEntriesMax: chance.pick([100_000, 2, 6]),
    sendBufferBytesHigh: chance.pick([32_000_000, 1, 500]),
    openTasksAtOnce: chance.pick([4, 1, 2]),
  })
}
export function restoreLimits(): void {
  Object.assign(LIMITS, usual)
}

export async function simulate(draw: Draw, options: RunOptions = {}): Promise<RunResult> {
  const chance = chanceOf(draw)
  setLimits(chance)
  const { stackTraceLimit } = Error
  if (options.trace === undefined) Error.stackTraceLimit = 0 // errors are ordinary here, and nobody looks at where they come from
  try {
    return await new Run(chance, options).go()
  } finally {
    Error.stackTraceLimit = stackTraceLimit
    restoreLimits()
  }
}

class Run {
  readonly #world: SimWorld
  readonly #chance: Chance
  readonly #input: Chance
  /** Faults begin and input comes until then. */
  readonly #stormMs: number
  readonly #case: SimCase
  readonly #guarantee: Guarantee
  readonly #opened: OpenedCluster
  readonly #instances: Instance[] = []
  readonly #nemesis: Nemesis
  readonly #partitions: number
  readonly #tasks: number
  readonly #fed: Fed[]
  readonly #fatal: string[] = []
  readonly #snapshots: Snapshot[] = []
  readonly #answers: Rows[] = []
  readonly #stored: StoredRows[] = []
  readonly #early: string[] = []
  readonly #storeOfTopic = new Map<string, string>()
  /** Topics that are the changelog of a table themselves. */
  readonly #storeOfInput = new Map<string, string>()
  readonly #sourceTopics: readonly string[]
  /** Stores that queries are asked of: those that one input alone decides. */
  readonly #asked: ReadonlySet<string>
  /** How far a store's content was kept. */
  readonly #kept = new Map<StoreContent, number>()
  #lettersSettled = true
  #committed = 0
  #aborted = 0

  constructor(chance: Chance, options: RunOptions) {
    const { apart, storm = STORM } = options
    this.#chance = chance
    this.#input = apart === undefined ? chance : chanceOf(apart.input)
    this.#stormMs = storm.ms
    this.#world = new SimWorld(chance, options.trace ?? null)
    this.#case = NAMED.find(({ name }) => name === options.case) ?? chance.pick(CASES)
    this.#guarantee = chance.pick(this.#case.guarantees ?? ['exactly_once'])
    this.#partitions = chance.between(1, 3)
    const sessionTimeoutMs = chance.pick([400, 250, 800])
    const requestTimeoutMs = chance.pick([100, 60, 250])
    const trace = options.trace === undefined ? null : (who: string, what: string) => this.#world.trace(who, what)
    const version = chance.pick([1, 2] as const)
    this.#opened = openCluster({
      world: this.#world.worldOf(null),
      chance,
      trace,
      transactionVersion: options.transactionVersion ?? version,
      times: {
        requestTimeoutMs,
        wayMsMax: chance.pick([1, 4]),
        slowMsMax: chance.pick([0.5, 1.5, 4]) * requestTimeoutMs,
        sessionTimeoutMs,
        rebalanceTimeoutMs: 2 * sessionTimeoutMs,
        initialDelayMs: chance.between(1, 20),
      },
      transactionTimeoutMs: chance.pick([1_000, 700, 2_500]),
      markerMsMax: [chance.pick([2, 20, 60]), chance.pick([2, 20, 100])],
      client: {
        patienceMs: 1_500,
        stableOffsetsTimeoutMs: 6_000,
        chunkRecordsMax: chance.pick([1_000, 1, 3, 8]),
        batchRecordsMax: chance.pick([1_000, 1, 3]),
        earlyRecords: chance.pick([1_000, 1, 4]),
      },
    })
    const count = chance.between(1, 3)
    const staticMember = !chance.hit(0.4)
    const leaves = chance.hit(0.5)
    const standbys = count === 1 ? 0 : chance.pick([0, 1, 2])
    const commitIntervalMs = chance.pick([20, 5, 60, 200])
    const epochRecordsMax = chance.pick([200_000, 5, 20])
    const epochBytesMax = chance.pick([64_000_000, 500])
    const writeMsMax = chance.pick([0.5, 5, 30])
    const plan = planOf(this.#case)
    for (const { kind, name, store } of plan.internalTopics) if (kind === 'changelog') this.#storeOfTopic.set(name, store as string)
    this.#tasks = plan.subTopologies.length * this.#partitions
    for (const { stores } of plan.subTopologies)
      for (const { name, source } of stores) if (source !== undefined) this.#storeOfInput.set(source, name)
    this.#sourceTopics = [...plan.inputs, ...plan.internalTopics.flatMap(({ kind, name }) => (kind === 'repartition' ? [name] : []))]
    for (let i = 0; i < count; i++) {
      const name = `i${i}`
      this.#instances.push(
        new Instance({
          name,
          world: this.#world,
          cluster: this.#opened,
          disk: new SimDisk({
            chance,
            writeMsMax,
            trace: (what) => this.#world.trace(name, what),
            onOpen: (content) => this.#keepStored(`${name} opens at ${this.#world.now.toFixed(2)}`, content),
          }),
          case: this.#case,
          guarantee: this.#guarantee,
          staticMember,
          leaves,
          standbys,
          commitIntervalMs,
          epochRecordsMax,
          epochBytesMax,
          onFatal: (what) => this.#fatal.push(what),
        }),
      )
    }
    this.#asked = new Set(this.#case.ofPartition(this.#case.inputs[0] as string, []).tables.keys())
    this.#fed = this.#case.feed(this.#input, this.#input.between(storm.recordsMax / 4, storm.recordsMax))
    this.#nemesis = new Nemesis({
      world: this.#world,
      cluster: this.#opened.cluster,
      instances: this.#instances,
      sessionTimeoutMs,
      untilMs: storm.ms,
      chance: apart === undefined ? chance : chanceOf(apart.faults),
      ...(options.kinds === undefined ? {} : { kinds: options.kinds }),
      ...(this.#guarantee === 'at_least_once' && this.#case.holdsInput === true ? { without: BRING_BACK } : {}),
      clocksStand: options.clocksStand === true,
    })
    if (options.onArrival !== undefined) this.#opened.cluster.network.onArrival = options.onArrival
  }

  async go(): Promise<RunResult> {
    const { cluster } = this.#opened
    const world = this.#world
    cluster.createTopics(
      [...this.#case.inputs, ...this.#case.outputs].map((name) => ({ name, partitions: this.#partitions, kind: 'plain' })),
    )
    cluster.onTransaction = (_id, commit) => {
      if (commit) this.#committed++
      else this.#aborted++
      if (commit && !cluster.transactions.ending) this.#snapshot()
    }
    this.#feed()
    for (const instance of this.#instances) world.at(this.#chance.delayMs(0, 100), null, () => instance.start())
    this.#ask()
    if (this.#case.blockKey !== undefined) this.#settleLetters()
    this.#nemesis.begin()
    await world.run(() => world.now >= this.#stormMs, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)
    world.trace('nemesis', '== all is healed ==')
    this.#nemesis.heal()
    const supervise = (): void => {
      for (const instance of this.#instances) if (!instance.running) instance.start()
      world.at(100, null, supervise)
    }
    supervise()
    let quietSince = -1
    const done = (): boolean => {
      if (this.#fatal.length > 0) return true
      if (!this.#caughtUp()) quietSince = -1
      else if (quietSince < 0) quietSince = world.now
      return quietSince >= 0 && world.now - quietSince > 50
    }
    const live = await world.run(done, this.#stormMs + CALM_MS, CALM_EVENTS)
    world.trace('checks', live ? 'everything is done' : 'IT DOES NOT END')
    const violations = live ? checkAll(this.#history()) : [this.#stuck(), ...checkAll(this.#history())]
    return {
      violations,
      case: this.#case.name,
      guarantee: this.#guarantee,
      zombies: this.#nemesis.zombies,
      events: world.events,
      faults: this.#nemesis.counts,
      restarts: this.#instances.reduce((sum, { restarts }) => sum + restarts - 1, 0),
      transactions: { committed: this.#committed, aborted: this.#aborted },
    }
  }

  // --- input ---------------------------------------------------------------------------------------------------------

  #feed(): void {
    const { cluster } = this.#opened
    const lastMs = this.#input.pick([1, 0.3, 0.02]) * this.#stormMs * 0.8
    const abort = this.#input.pick([0, 0.1])
    this.#fed.forEach((fed, i) => {
      this.#world.at(20 + (lastMs * i) / this.#fed.length, null, () => {
        const key = Buffer.from(fed.key)
        const to = cluster.partition({ topic: fed.topic, partition: partitionOf(key, this.#partitions) }) as SimPartition
        appendPlain(to, [plain(key, Buffer.from(fed.value), fed.timestamp)])
        if (this.#input.hit(abort)) this.#feedAborted(to)
      })
    })
  }

  /** Somebody outside looks at the dead letters from time to time. */
  #settleLetters(): void {
    const { cluster } = this.#opened
    const settled = new Set<string>()
    const look = (): void => {
      const letters = cluster.topics.get(deadLetterTopic(APPLICATION)) ?? []
      settleLetters(letters, settled, (topic, partition) => cluster.partition({ topic, partition }) as SimPartition)
      this.#lettersSettled = settled.size === letters.reduce((sum, of) => sum + committedRecords(of, of.entries.length).length, 0)
      this.#world.at(60, null, look)
    }
    this.#world.at(60, null, look)
  }

  /** Another producer's transaction that comes to nothing, some time later. */
  #feedAborted(to: SimPartition): void {
    const mark: Mark = { state: 'open' }
    const first = appendPlain(to, [plain(Buffer.from('a'), Buffer.from(POISON), 99_999_999)], mark)
    const pid = -1 - first
    to.producers.set(pid, { epoch: 0, lastSequence: 0, batches: [], open: { mark, first }, newest: -1 })
    this.#world.at(this.#input.delayMs(0, 60), null, () => {
      mark.state = 'aborted'
      to.producers.delete(pid)
      appendMarker(to)
      news(to)
    })
  }

  // --- what is seen on the way ---------------------------------------------------------------------------------------

  #inputPartitions(): SimPartition[] {
    return this.#sourceTopics.flatMap((topic) => this.#opened.cluster.topics.get(topic) ?? [])
  }

  #caughtUp(): boolean {
    const { cluster } = this.#opened
    for (const { worker, running } of this.#instances)
      if (!running || worker?.ready !== true || worker.barrier.committing || worker.barrier.open) return false
    if (this.#fed.length === 0 || cluster.transactions.unsettled > 0 || !this.#lettersSettled) return false
    const { offsets } = cluster.group(APPLICATION)
    for (const topic of this.#sourceTopics)
      for (const partition of cluster.topics.get(topic) ?? [])
        if ((offsets.get(partition.name)?.offset ?? 0) < dataEnd(partition)) return false
    return this.#case.goesOn !== true || !this.#goesOn()
  }

  #goesOn(): boolean {
    const tasks = new Map(this.#instances.flatMap(({ worker }) => [...(worker?.tasks ?? [])]))
    return tasks.size < this.#tasks || ![...tasks.values()].every(callsNone)
  }

  #snapshot(): void {
    const { cluster } = this.#opened
    const ends = new Map<string, number>()
    for (const [topic, as] of [...this.#case.outputs.map((name) => [name, name] as const), ...this.#storeOfTopic]) {
      for (const of of cluster.topics.get(topic) ?? []) {
        const end = stableEnd(of)
        // another's open transaction hides what is committed behind it: the moment can't be told from outside
        for (let i = end; i < of.entries.length; i++) if (of.entries[i]?.mark?.state === 'committed') return
        ends.set(partitionName(as, of.partition), end)
      }
    }
    const committed = this.#positions()
    for (const [topic, store] of this.#storeOfInput)
      for (const { name, partition } of cluster.topics.get(topic) ?? []) ends.set(partitionName(store, partition), committed.get(name) ?? 0)
    this.#snapshots.push({ committed, ends })
  }

  #positions(): Map<string, number> {
    const { offsets } = this.#opened.cluster.group(APPLICATION)
    return new Map([...offsets].map(([name, { offset }]) => [name, offset]))
  }

  /** What has not changed since it was kept needs no second look. */
  #keepStored(where: string, content: StoreContent): void {
    const { task, store, rows, checkpoint, changes } = content
    if (this.#kept.get(content) === changes || (checkpoint === null && rows.size === 0)) return
    this.#kept.set(content, changes)
    const partition = Number(task.split('_')[1])
    const bytes = new Map([...rows].map(([key, { value }]) => [key, value.toString('latin1')]))
    this.#stored.push({ where, task, store, partition, rows: bytes, changelogOffset: checkpoint?.changelogOffset ?? -1 })
  }

  /** Queries, as the store reader of a process answers them. */
  #ask(): void {
    const world = this.#world
    const every = this.#chance.pick([40, 150])
    const next = (): void => {
      const instance = this.#chance.pick(this.#instances)
      if (instance.running && (instance.owner?.pausedUntil ?? 0) <= world.now) {
        this.#askInstance(instance)
        this.#lookAtStandbys(instance)
      }
      world.at(every, null, next)
    }
    world.at(every, null, next)
  }

  #askInstance({ name, worker }: Instance): void {
    for (const task of worker?.tasks.values() ?? []) {
      for (const { name: store, overlay } of task.stores) {
        if (!this.#asked.has(store)) continue
        const rows = new Map<string, string>()
        try {
          for (const [i, key] of KEYS.entries()) {
            const stored = overlay.store.getSync(KEY_BYTES[i] as Buffer)
            const text = stored === undefined ? null : rowText(stored.value)
            if (text !== null) rows.set(key, text)
          }
        } catch {
          continue // closed or damaged: an error, never a wrong answer
        }
        this.#answers.push({ where: `${name} at ${this.#world.now.toFixed(2)}`, task: task.id, store, partition: task.partition, rows })
      }
    }
  }

  /** What a standby holds was committed when it was looked at, not only in the end. */
  #lookAtStandbys({ name, worker, disk }: Instance): void {
    const topics = new Map([...this.#storeOfTopic, ...this.#storeOfInput].map(([topic, store]) => [store, topic]))
    for (const { task, store, position } of worker?.standbys.figures() ?? []) {
      const where = `${name} stands by at ${this.#world.now.toFixed(2)}`
      const content = disk.contents().find((each) => each.task === task && each.store === store)
      if (content !== undefined) this.#keepStored(where, content)
      const of = this.#opened.cluster.partition({ topic: topics.get(store) as string, partition: Number(task.split('_')[1]) })
      if (of !== undefined && this.#storeOfInput.has(of.topic)) {
        const committed = this.#positions().get(of.name) ?? 0
        // an end that was answered may still be on its way to the positions
        if (position > committed && !this.#opened.cluster.transactions.ending)
          this.#early.push(`${where}: ${store} of ${task} is at ${position}, its task at ${committed}`)
        continue
      }
      const { transactions } = this.#opened.cluster
      // Whoever had the task himself and handed it over to his standby is behind what was open already when he wrote: a dead one's.
      const own = of?.producers.get(transactions.pidOf(`app-${name}`))?.newest ?? -1
      const early = [...(of?.producers ?? [])].some(
        ([pid, { open }]) => open !== null && open.first < position && open.first > own && transactions.isOngoing(pid),
      )
      if (early) this.#early.push(`${where}: ${store} of ${task} is at ${position}, behind what is still open`)
    }
  }

  // --- the end -------------------------------------------------------------------------------------------------------

  #stuck(): Violation {
    const positions = this.#positions()
    const behind = this.#inputPartitions().flatMap((partition) => {
      const [at, end] = [positions.get(partition.name) ?? 0, dataEnd(partition)]
      return at < end ? [`${partition.name} at ${at} of ${end}`] : []
    })
    const who = this.#instances.map(
      ({ name, worker, running }) => `${name} ${running ? (worker?.ready === true ? 'ready' : 'not ready') : 'gone'}`,
    )
    return {
      check: 'R',
      what: `not done ${CALM_MS} ms after the last fault: ${behind.join(', ') || 'all positions are there'}; ${who.join(', ')}`,
    }
  }

  #history(): History {
    const { cluster } = this.#opened
    const recordsOf = (topic: string) => (cluster.topics.get(topic) ?? []).map((of) => committedRecords(of))
    const ofTopics = (topics: readonly string[]) => new Map(topics.map((topic) => [topic, recordsOf(topic)]))
    for (const { name, disk } of this.#instances) for (const content of disk.contents()) this.#keepStored(`${name} in the end`, content)
    const positions = new Map<string, number[]>()
    for (const { topic, partition, offset } of cluster.group(APPLICATION).history) {
      const name = partitionName(topic, partition)
      const list = positions.get(name)
      if (list === undefined) positions.set(name, [offset])
      else list.push(offset)
    }
    return {
      case: this.#case,
      guarantee: this.#guarantee,
      orderly: !this.#nemesis.kinds.some((kind) => UNORDERLY.has(kind)),
      inputs: ofTopics(this.#case.inputs),
      outputs: ofTopics(this.#case.outputs),
      deadLetters: recordsOf(deadLetterTopic(APPLICATION)).flat(),
      changelogs: new Map([
        ...[...this.#storeOfTopic].map(([topic, store]) => [store, recordsOf(topic)] as const),
        ...[...this.#storeOfInput].map(([topic, store]) => [store, recordsOf(topic).map((all) => all.filter(isRow))] as const),
      ]),
      committed: this.#positions(),
      ends: new Map(this.#inputPartitions().map((partition) => [partition.name, dataEnd(partition)])),
      snapshots: this.#snapshots,
      positions,
      answers: this.#answers,
      stored: this.#stored,
      early: this.#early,
      fatal: this.#fatal,
    }
  }
}

function isRow(record: LogRecord): boolean {
  return parsed(fedOf('', record)) !== null
}

/** After these somebody who was given up may still write. */
const UNORDERLY: ReadonlySet<FaultKind> = new Set(['pause', 'ambush', 'late', 'weather'])

/** Behind the last record that a reader of committed ones is shown. A marker behind it is passed with the next commit. */
function dataEnd({ entries }: SimPartition): number {
  return entries.findLastIndex(({ record, mark }) => record !== null && (mark === null || mark.state === 'committed')) + 1
}

/** No call is under way, none waits to be made, and no key waits behind a dead letter. */
function callsNone({ underWay, program }: Task): boolean {
  const none = (gauge: Counter | undefined): boolean => (gauge?.n ?? 0) === 0
  return (
    underWay.size === 0 && [...program.gauges.values()].every((gauges) => none(gauges.get('waiting')) && none(gauges.get('blocked_keys')))
  )
}
