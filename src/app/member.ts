// One worker and what it stands on: the global tables that its tasks read, the worker itself. The processor runs one beside itself; of
// several, each has a thread.
//
// Invariants
// 1. The global tables are read to their end before the worker joins the group; they are closed after it.
// 2. Processed records of repartition topics are deleted beside it; nobody waits for that.
// 3. Nothing of it is shared with another worker of this process but the folders of the stores, and those by `claims` only.
import { isMisplaced, type Peer, type Place } from '../assignment/peers.ts'
import type { EpochFigure } from '../barrier/barrier.ts'
import { MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'
import type { Config } from '../config.ts'
import type { Log } from '../log/log.ts'
import { deadLetterTopic } from '../runtime/dead-letter.ts'
import { GlobalReader } from '../runtime/global-reader.ts'
import { globalNamed } from '../runtime/global-tables.ts'
import { purgeProcessed } from '../runtime/purge.ts'
import type { RestoreProgress, TaskDeps } from '../runtime/recover.ts'
import type { Task } from '../runtime/task.ts'
import { Worker } from '../runtime/worker.ts'
import { type Claims, levelProvider } from '../state/leveldb.ts'
import type { StateStore } from '../state/store.ts'
import type { Plan } from '../topology/plan-types.ts'
import { prepareSerdes, writingsOf } from '../topology/prepare.ts'
import type { Crew, Word } from './crew.ts'
import { workerFolder, workerName } from './former-workers.ts'
import { type StateDir, storedBytes, storedTasks } from './state-dir.ts'
import type { PreparedTopics } from './topics.ts'
import { openTracing } from './tracing.ts'

export interface MemberOptions {
  readonly config: Config
  readonly plan: Plan
  readonly state: StateDir
  readonly topics: PreparedTopics
  readonly log: Log
  readonly world: World
  /** From 0, of this process. */
  readonly number: number
  /** Of this process; 1 when left out. All have the same disk: each says that a part of it is its own, so that the tasks of a
   *  sub-topology are spread over them. */
  readonly count?: number
  /** Where the process answers queries; null: nowhere. */
  readonly place: Place | null
  readonly stopping: () => boolean
  readonly onFatal: (error: unknown) => void
  readonly onEpoch?: (figure: EpochFigure) => void
  readonly onPeers?: (peers: readonly Peer[]) => void
  /** With several workers: who of them has which store open. */
  readonly claims?: Claims
}

export class Member implements Crew {
  readonly globals: GlobalReader
  readonly #o: MemberOptions
  readonly #restores = new Map<string, RestoreProgress>()
  #restoring: RestoreProgress | null = null
  #peers: readonly Peer[] = []
  #unlisted = false
  #worker: Worker | null = null
  #endPurge: () => void = () => {}

  constructor(options: MemberOptions) {
    this.#o = options
    const { log, plan, state, stopping, topics, world, number } = options
    this.globals = new GlobalReader({
      specs: plan.globals,
      log,
      // Each worker reads all rows for itself.
      provider: levelProvider({ dir: workerFolder(state.stores, number), world }),
      world,
      partitionsOf: topics.partitionsOf,
      stopping,
      onFatal: options.onFatal,
    })
  }

  async start(): Promise<void> {
    const { config, log, number, plan, state, stopping, onEpoch, place } = this.#o
    await prepareSerdes(writingsOf(plan))
    await this.globals.start()
    // Always a static member on Kafka: one that was killed and comes back has its place at once, instead of waiting for its own session to end.
    const id = workerName(config, state, number)
    const embedded = log.kind === 'embedded'
    const { applicationId } = config
    const tracing = config.tracing ? await openTracing({ applicationId, clientId: id, log: log.kind, logger: this.#o.world.logger }) : null
    if (stopping()) throw new MillraceError('STREAM_CLOSED', 'the processor was closed while it was starting')
    this.#worker = new Worker({
      deps: this.#deps(),
      transactionalId: id,
      instanceId: embedded ? null : id,
      together: Array.from({ length: this.#o.count ?? 1 }, (_, each) => workerName(config, state, each)),
      host: state.processId,
      ...(place === null ? {} : { peering: { place, heard: (peers) => this.#hear(peers, place) } }),
      standbys: embedded ? 0 : config.standbys,
      guarantee: config.guarantee,
      limits: { intervalMs: config.commitIntervalMs, recordsMax: LIMITS.epochRecordsMax, bytesMax: LIMITS.epochBytesMax },
      stored: storedTasks(state.stores).filter((_, i) => i % (this.#o.count ?? 1) === number),
      storedBytes: storedBytes(state.stores),
      stateQuotaBytes: config.stateQuotaBytes,
      onFatal: this.#o.onFatal,
      tracing,
      ...(onEpoch === undefined ? {} : { onEpoch }),
    })
    await this.#worker.start()
    if (this.#o.stopping()) return // `close` has been here: nothing that it ends may begin behind it
    this.#endPurge = this.#purge(this.#worker)
  }

  #purge({ tasks }: Worker): () => void {
    const { config, log, plan, world } = this.#o
    const ours = new Set(plan.internalTopics.flatMap(({ name, kind }) => (kind === 'repartition' ? name : [])))
    const partitions = () => [...tasks.values()].flatMap(({ queues }) => queues.filter(({ topic }) => ours.has(topic)))
    return purgeProcessed({ log, groupId: config.applicationId, world, partitions })
  }

  async close(leave: boolean): Promise<void> {
    this.#endPurge()
    await this.#worker?.close(leave)
    await this.globals.close()
  }

  /** Where metrics and rows are read. */
  tasks(): ReadonlyMap<string, Task> {
    return this.#worker?.tasks ?? new Map()
  }

  applying(): boolean {
    return this.#worker?.barrier.applying === true
  }

  globalStore(name: string): StateStore | undefined {
    return this.#worker === null ? undefined : globalNamed(this.globals.tables, name)?.store
  }

  peers(): readonly Peer[] {
    return this.#peers
  }

  #hear(peers: readonly Peer[], place: Place): boolean {
    this.#peers = peers
    this.#o.onPeers?.(peers)
    const { processId } = this.#o.state
    const misplaced = isMisplaced(peers, processId, place)
    if (peers.some(({ host }) => host === processId)) return misplaced
    const again = this.#unlisted
    this.#unlisted = true // a leader that leaves it out whatever it says is not asked for ever
    return misplaced && !again
  }

  words(): readonly [Word] {
    const worker = this.#worker
    const tasks = [...(worker?.tasks.values() ?? [])]
    return [
      {
        ready: worker?.ready ?? false,
        tasks: tasks.map(({ id, stores, queues, counts: { records, out, deadLetters } }) => ({
          id,
          stores: stores.map(({ name }) => name),
          records,
          out,
          lag: queues.reduce((sum, { endOffset, position }) => sum + Math.max(0, endOffset - position), 0),
          deadLetters,
        })),
        epochs: worker?.barrier.figures.epochs ?? 0,
        commitMs: worker?.barrier.figures.lastCommitMs ?? 0,
        rewinds: worker?.counts.rewinds ?? 0,
        fenced: worker?.counts.fenced ?? 0,
        rebalances: worker?.counts.rebalances ?? 0,
        restoring: worker?.restoring === true ? this.#restoring : null,
        restores: [...this.#restores.values()],
        standbys: worker?.standbys.figures() ?? [],
      },
    ]
  }

  #deps(): TaskDeps {
    const { config, log, plan, state, stopping, topics, world, claims } = this.#o
    const changelogs = new Map(plan.internalTopics.filter((topic) => topic.kind === 'changelog').map((topic) => [topic.store, topic.name]))
    return {
      log,
      groupId: config.applicationId,
      provider: levelProvider({ dir: state.stores, world, ...(claims === undefined ? {} : { claims }) }),
      sized: topics.sized,
      globals: () => this.globals.tables,
      policies: config.onError,
      maxIdleMs: config.maxIdleMs,
      deadLetterTopic: deadLetterTopic(config.applicationId),
      partitionsOf: topics.partitionsOf,
      inputTopics: topics.inputTopics,
      changelogTopic: (store) => changelogs.get(store) as string,
      resetOf: (source) => source.offsetReset ?? config.offsetReset,
      world,
      onProgress: (progress) => {
        this.#restores.set(`${progress.task}/${progress.store}`, progress)
        this.#restoring = progress.remaining > 0 ? progress : null
      },
      stopping,
    }
  }
}
