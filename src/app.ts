// The composition root: config -> HTTP server, log, stores, worker, control socket; the order in which they start and stop. The only file
// that names the Kafka and embedded logs and the LevelDB stores.
//
// Invariants
// 1. Start: state directory, HTTP server (so that a start can be watched), log, topics, worker, control socket. A start that fails
//    leaves nothing open.
// 2. Stop is the reverse; the worker commits what it has processed first.
// 3. `failed` rejects when the worker had to give up; it never resolves.
import { join } from 'node:path'
import { workerData } from 'node:worker_threads'
import { type Crew, type CrewStatus, figuresOf, statusOf } from './app/crew.ts'
import { dismissFormer } from './app/former-workers.ts'
import { refuseFormerlyFed } from './app/formerly-fed.ts'
import { Member } from './app/member.ts'
import { resourcesOf, warnOfScarce } from './app/resources.ts'
import { openStateDir, type StateDir } from './app/state-dir.ts'
import {
  type ReadFrom,
  type SessionReader,
  type StoreReader,
  sessionReader,
  storeReader,
  type VersionedReader,
  versionedReader,
  type WindowReader,
  windowReader,
} from './app/store-reader.ts'
import { isKnownStore, refuseOtherForms, rememberForms } from './app/store-forms.ts'
import { refuseOtherTopics, rememberTopics } from './app/topic-ids.ts'
import { watchPartitions } from './app/topic-watch.ts'
import { tlsOf } from './app/tls.ts'
import { type PreparedTopics, prepareTopics } from './app/topics.ts'
import { undoNotes } from './app/undo-notes.ts'
import type { EpochFigure } from './barrier/barrier.ts'
import { explain, MillraceError } from './base/errors.ts'
import { LIMITS } from './base/limits.ts'
import type { World } from './base/ports.ts'
import { systemWorld } from './base/system.ts'
import { type Config, type ProcessorOptions, resolveConfig } from './config.ts'
import { recordsControl } from './control/records.ts'
import type { ControlHandler } from './control/wire.ts'
import { type ControlServer, openControlServer } from './control/server.ts'
import type { Log } from './log/log.ts'
import { queryableNames, queryableStore } from './runtime/query.ts'
import type { RestoreProgress } from './runtime/recover.ts'
import type { Served } from './server/served.ts'
import type { HttpServer } from './server/server.ts'
import type { Topology } from './topology/node.ts'
import { plan as planOf } from './topology/plan.ts'
import type { Plan } from './topology/plan-types.ts'
import { prepareSerdes, writingsOf } from './topology/prepare.ts'

const READY_LOOK_MS = 10

/** Opens the log that the configuration names: Kafka, or the embedded one in the state directory. */
export async function openLog(config: Config, world: World): Promise<Log> {
  if (config.brokers.length === 0) {
    const { openEmbeddedLog } = await import('./log/embedded/index.ts')
    return openEmbeddedLog({ dir: join(config.stateDir, 'log'), world })
  }
  const { openKafkaLog } = await import('./log/kafka/index.ts')
  const { tls, sasl } = config
  return openKafkaLog({
    brokers: config.brokers,
    clientId: config.applicationId,
    world,
    connectTimeoutMs: LIMITS.startConnectTimeoutMs,
    ...(tls === null ? {} : { tls: tlsOf(tls, world.logger) }),
    ...(sasl === null
      ? {}
      : {
          sasl: {
            mechanism: sasl.mechanism,
            ...(sasl.username === undefined ? {} : { username: sasl.username }),
            ...(sasl.password === null ? {} : { password: sasl.password.reveal() }),
            ...(sasl.token === null ? {} : { token: sasl.token.reveal() }),
          },
        }),
  })
}

/** Throws STREAM_STATE_LOCKED while another process has it; the answer gives it back. */
export async function lockStateDir(stateDir: string): Promise<() => void> {
  const { refuseWhenOwned, removeOwner, thisProcess, writeOwner } = await import('./log/embedded/owner.ts')
  const self = thisProcess()
  refuseWhenOwned(stateDir, self)
  writeOwner(stateDir, self)
  return () => removeOwner(stateDir)
}

/** What several workers need beside a topology. */
function refuseAlone({ workers, brokers, module }: Config): void {
  if (workers === 1) return
  if (brokers.length === 0)
    throw new MillraceError(
      'STREAM_USAGE',
      `workers: ${workers} needs brokers: the embedded log belongs to one event loop; name brokers, or leave workers at 1`,
    )
  if (module === null)
    throw new MillraceError(
      'STREAM_USAGE',
      `workers: ${workers} needs module, the URL of the file whose default export is the topology (import.meta.url, where it is this one): each worker imports it`,
    )
}

/** A worker's thread imports the user's module, and with it what the module does by itself. */
function refuseThread(): void {
  if ((workerData as { readonly millraceWorker?: number } | null)?.millraceWorker === undefined) return
  throw new MillraceError(
    'STREAM_USAGE',
    'a module that a worker imports starts a processor: put the topology into a file of its own and name that in module, or start only where isMainThread of node:worker_threads is true',
  )
}

export interface ProcessorStatus {
  readonly ready: boolean
  readonly tasks: readonly string[]
  readonly records: number
  readonly deadLetters: number
  readonly epochs: number
  readonly rewinds: number
  readonly restoring: RestoreProgress | null
  /** Records restored from changelogs since the start. */
  readonly restored: number
  /** Tasks of other processes whose stores this one keeps current. */
  readonly standbys: readonly string[]
  /** Where the HTTP server listens; null: no port was asked for. */
  readonly port: number | null
}

export interface CloseOptions {
  /** For good: others get the tasks at once. */
  readonly leave?: boolean
}

/** Runs a topology: `await using app = new StreamProcessor(topology, options); await app.start()`. */
export class StreamProcessor {
  readonly config: Config
  readonly plan: Plan
  /** Rejects with the reason when the processor had to stop by itself; never resolves. */
  readonly failed: Promise<never>
  readonly #world: World
  readonly #fail: (reason: unknown) => void
  #log: Log | null = null
  #crew: Crew | null = null
  #topics: PreparedTopics | null = null
  #records: ControlHandler | null = null
  #control: ControlServer | null = null
  #server: HttpServer | null = null
  #unlock: (() => void) | null = null
  #unwatch: (() => void) | null = null
  /** Of a start that is not done yet. */
  #unnote: (() => void) | null = null
  #refused = false
  #opening: Promise<void> | null = null
  #stopping = false
  #closed: Promise<void> | null = null

  constructor(topology: Topology, options: ProcessorOptions = {}) {
    this.config = resolveConfig(topology.name, options)
    this.plan = planOf(topology, this.config.applicationId, this.config.onError)
    refuseAlone(this.config)
    for (const name of this.config.server?.stores ?? []) this.#refuseUnknown(name)
    this.#world = options.world ?? systemWorld()
    const { promise, reject } = Promise.withResolvers<never>()
    promise.catch(() => {}) // whoever awaits it sees the reason
    this.failed = promise
    this.#fail = reject
  }

  /** Resolves when the tasks that this process was given are restored and run, so that `store()` answers. `status()` tells how far
   *  a long restore is; `close()` ends it. Throws what keeps it from starting: a missing topic, a broker that does not answer, a
   *  state directory in use. */
  async start(): Promise<void> {
    refuseThread()
    if (this.#opening !== null || this.#closed !== null) throw new MillraceError('STREAM_USAGE', 'a StreamProcessor starts once')
    try {
      this.#opening = this.#open()
      await this.#opening
      while (!this.status().ready) {
        await this.#unlessClosed(null)
        await Promise.race([this.#world.timers.sleep(READY_LOOK_MS), this.failed])
      }
      this.#unnote = null
    } catch (error) {
      await this.close().catch(() => {})
      throw await Promise.race([this.failed, Promise.reject(error)]).catch((reason: unknown) => reason) // not that it was closed for it
    }
  }

  async #open(): Promise<void> {
    const { config } = this
    const world = this.#world
    const state = openStateDir(config.stateDir, config.applicationId, world)
    warnOfScarce(resourcesOf(config.stateDir), config.stateDir, world)
    await this.#lock()
    await this.#serve(state)
    if (config.workers > 1) await this.#hire(state)
    const log = await openLog(config, world)
    await this.#unlessClosed(log)
    this.#log = log
    const embedded = config.brokers.length === 0
    refuseOtherForms(this.plan, state.stores)
    await refuseFormerlyFed(log, this.plan, isKnownStore(state.stores))
    await refuseOtherTopics(log, this.plan, state.stores)
    this.#topics = await prepareTopics(log, this.plan, embedded ? LIMITS.embeddedPartitions : null)
    await this.#unlessClosed(null)
    this.#unnote = undoNotes(state.stores)
    await rememberTopics(log, this.plan, state.stores)
    rememberForms(this.plan, state.stores)
    for (const topic of this.#topics.emptied)
      world.logger.warn({ topic }, 'the group has processed records, but this changelog was not there: its store begins empty')
    for (const pattern of this.#topics.unmatched)
      world.logger.warn(
        { pattern: String(pattern) },
        'no topic has a name that the pattern matches as a whole; topics made later are read after a restart',
      )
    await prepareSerdes(writingsOf(this.plan)) // here keys are encoded for queries; each worker does it for its own
    await this.#unlessClosed(null)
    await dismissFormer(log, config, state, world)
    this.#crew ??= this.#alone(log, this.#topics, state)
    await this.#crew.start()
    await this.#unlessClosed(null)
    if (!embedded) this.#unwatch = watchPartitions(log, this.plan.inputs, this.#topics.partitionsOf, world, (error) => this.#give(error))
    this.#records = recordsControl({
      log,
      plan: this.plan,
      world,
      createPartitions: embedded ? LIMITS.embeddedPartitions : null,
      row: (store, key) => this.store(store).read(key),
      holder: this.#held(),
      figures: () => figuresOf(config.applicationId, this.#crew?.words() ?? []),
    })
    const control = await openControlServer(config.stateDir, this.#records)
    await this.#unlessClosed(control)
    this.#control = control
  }

  /** The threads load while the topics are looked after. */
  async #hire(state: StateDir): Promise<void> {
    const { config, plan } = this
    const { Threads } = await import('./app/threads/threads.ts')
    await this.#unlessClosed(null)
    const onFatal = (error: unknown): void => this.#give(error)
    const place = this.#server?.place ?? null
    const threads = new Threads({ config, plan, state, module: config.module as string, place, world: this.#world, onFatal })
    this.#crew = threads // first: those that began are ended also where the next cannot
    threads.load()
  }

  #alone(log: Log, topics: PreparedTopics, state: StateDir): Crew {
    const { config, plan } = this
    const onFatal = (error: unknown): void => this.#give(error)
    const world = this.#world
    const place = this.#server?.place ?? null
    const onEpoch = (figure: EpochFigure): void => this.#server?.epoch(figure)
    return new Member({ config, plan, state, topics, log, world, number: 0, place, stopping: () => this.#stopping, onFatal, onEpoch })
  }

  async #serve({ processId }: StateDir): Promise<void> {
    const { server, brokers } = this.config
    if (server !== null) {
      const { openHttpServer, openMergedMetrics, openMetrics } = await import('./server/server.ts')
      const others = { self: processId, peers: () => this.#crew?.peers() ?? [] }
      const served = { ...this.#held(), ...(brokers.length === 0 ? {} : { others }) }
      const metrics =
        this.config.workers > 1
          ? openMergedMetrics(async () => (await this.#crew?.readings?.()) ?? [])
          : openMetrics({ ...served, tasks: () => (this.#crew instanceof Member ? this.#crew.tasks() : new Map()) })
      const opened = await openHttpServer(server, {
        served,
        metrics,
        letters: () => this.#records?.deadLetters ?? null,
        onFatal: this.config.workers > 1 ? null : (error) => this.#give(error),
      })
      await this.#unlessClosed(opened)
      this.#server = opened
      this.#world.logger.info({ host: server.host, port: opened.port, token: server.token !== null }, 'HTTP server listens')
    }
    await this.#unlessClosed(null)
  }

  #held(): Served {
    return {
      plan: this.plan,
      world: this.#world,
      remote: this.config.workers > 1,
      ready: () => !this.#stopping && this.#status().ready,
      sized: () => this.#topics?.sized ?? null,
      tasks: () => this.#crew?.tasks() ?? new Map(),
      applying: () => this.#crew?.applying() === true,
      globalStore: (name) => this.#crew?.globalStore(name),
      figures: () => this.#status(),
    }
  }

  /** A close that came meanwhile did not see what was just opened. */
  async #unlessClosed(opened: { close(): Promise<void> } | null): Promise<void> {
    if (!this.#stopping) return
    await opened?.close()
    throw new MillraceError('STREAM_CLOSED', 'the processor was closed while it was starting')
  }

  /** The embedded log locks its own directory; with Kafka the stores need a lock of their own. */
  async #lock(): Promise<void> {
    if (this.config.brokers.length === 0) return
    this.#unlock = await lockStateDir(this.config.stateDir)
  }

  #give(error: unknown): void {
    this.#fail(error)
    this.#refused ||= error instanceof MillraceError && error.code === 'STREAM_TOPOLOGY_MISMATCH'
    // The places of one whose shape is refused are for others, of all its workers.
    void this.close(this.#refused ? { leave: true } : {}).catch(() => {})
  }

  #refuseUnknown(store: string): void {
    if (queryableStore(this.plan, store) !== null) return
    const names = queryableNames(this.plan).join(', ')
    throw new MillraceError(
      'STREAM_USAGE',
      `server.stores names ${store}: no such store in ${this.plan.topology}; it has ${names || 'none'}`,
    )
  }

  /** Committed rows of a store. Throws STREAM_USAGE for a store that the topology does not have. */
  store<K = any, V = any>(name: string): StoreReader<K, V> {
    return storeReader(this.#reads(), name)
  }

  /** Likewise of windows: those of aggregates, and of window stores. */
  windowStore<K = any, V = any>(name: string): WindowReader<K, V> {
    return windowReader(this.#reads(), name)
  }

  /** Likewise of sessions. */
  sessionStore<K = any, V = any>(name: string): SessionReader<K, V> {
    return sessionReader(this.#reads(), name)
  }

  /** Likewise of versioned tables and stores. */
  versionedStore<K = any, V = any>(name: string): VersionedReader<K, V> {
    return versionedReader(this.#reads(), name)
  }

  #reads(): ReadFrom {
    this.#running()
    return {
      ...this.#held(),
      sized: () => this.#running().topics.sized,
      tasks: () => this.#running().crew.tasks(),
    }
  }

  status(): ProcessorStatus {
    const { ready, tasks, records, deadLetters, epochs, rewinds, restoring, restored, standbys } = this.#status()
    const standingBy = [...new Set(standbys.map(({ task }) => task))]
    return {
      ready,
      tasks,
      records,
      deadLetters,
      epochs,
      rewinds,
      restoring,
      restored,
      standbys: standingBy,
      port: this.#server?.port ?? null,
    }
  }

  #status(): CrewStatus {
    return statusOf(this.#crew?.words() ?? [])
  }

  #running(): { readonly crew: Crew; readonly topics: PreparedTopics } {
    if (this.#crew === null || this.#topics === null || this.#stopping)
      throw new MillraceError('STREAM_CLOSED', 'the processor is not running')
    return { crew: this.#crew, topics: this.#topics }
  }

  /** Seals and commits what was processed, ends the membership, closes the stores. Safe to call twice. `leave`: whether the tasks go to
   *  other processes at once, or wait for this one for the session timeout; default: they go, unless there is an `instanceId`. */
  close({ leave = this.config.instanceId === null }: CloseOptions = {}): Promise<void> {
    this.#closed ??= this.#close(leave)
    return this.#closed
  }

  async #close(leave: boolean): Promise<void> {
    this.#stopping = true
    this.#unwatch?.()
    try {
      await this.#server
        ?.close()
        .catch((error: unknown) => this.#world.logger.warn({ reason: explain(error) }, 'the HTTP server did not close'))
      await this.#control
        ?.close()
        .catch((error: unknown) => this.#world.logger.warn({ reason: explain(error) }, 'the control socket did not close'))
      this.#records = null // what waits to settle dead letters does not begin any more
      await this.#crew?.close(leave)
    } finally {
      await this.#log?.close()
      // An embedded log that is just being opened closes itself; a broker that does not answer is not waited for.
      if (this.#log === null && this.config.brokers.length === 0) await this.#opening?.catch(() => {})
      if (this.#refused) this.#unnote?.()
      this.#unlock?.()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
