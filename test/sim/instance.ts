// One instance of the application: a process that comes and goes, on a disk that stays. The worker is wired as app.ts wires it; what
// starts it again when it has given up is the supervisor of whoever runs it.
import { prepareTopics } from '../../src/app/topics.ts'
import { explain, MillraceError } from '../../src/base/errors.ts'
import { DEFAULT_POLICIES, deadLetterTopic } from '../../src/runtime/dead-letter.ts'
import type { Guarantee } from '../../src/log/log.ts'
import { Worker } from '../../src/runtime/worker.ts'
import { APPLICATION, planOf, type SimCase } from './case.ts'
import type { SimDisk } from './disk.ts'
import type { SimClient } from './log/client.ts'
import type { OpenedCluster } from './log/open.ts'
import type { Owner, SimWorld } from './world.ts'

export interface InstanceOptions {
  readonly name: string
  readonly world: SimWorld
  readonly cluster: OpenedCluster
  readonly disk: SimDisk
  readonly case: SimCase
  readonly guarantee: Guarantee
  readonly staticMember: boolean
  /** A static member leaves when it is stopped. */
  readonly leaves: boolean
  readonly standbys: number
  readonly commitIntervalMs: number
  readonly epochRecordsMax: number
  readonly epochBytesMax: number
  /** A reason that an instance should never give up with. */
  readonly onFatal: (what: string) => void
}

/** What a fault of the brokers or of the disk may end a worker with; anything else is a fault of ours. */
const EXCUSED: ReadonlySet<string> = new Set(['STREAM_FENCED', 'STREAM_BROKER_UNREACHABLE', 'STREAM_CLOSED'])

export class Instance {
  readonly name: string
  readonly disk: SimDisk
  owner: Owner | null = null
  worker: Worker | null = null
  /** Kept running by its supervisor. */
  wanted = false
  restarts = 0
  readonly #o: InstanceOptions
  #client: SimClient | null = null

  constructor(options: InstanceOptions) {
    this.#o = options
    this.name = options.name
    this.disk = options.disk
  }

  get running(): boolean {
    return this.owner?.alive === true
  }

  start(): void {
    this.wanted = true
    if (this.running) return
    const owner: Owner = { name: this.name, alive: true, pausedUntil: 0 }
    this.owner = owner
    this.restarts++
    this.#o.world.trace(this.name, '-- starts')
    this.#run(owner).catch((error: unknown) => this.#gaveUp(owner, error))
  }

  async #run(owner: Owner): Promise<void> {
    const { case: of, cluster, disk, name, guarantee, staticMember, standbys, commitIntervalMs, epochRecordsMax, epochBytesMax } = this.#o
    const world = this.#o.world.worldOf(owner)
    const log = cluster.client(name, world)
    this.#client = log
    const plan = planOf(of)
    const topics = await prepareTopics(log, plan, null)
    const id = `${APPLICATION}-${name}`
    const worker = new Worker({
      deps: {
        log,
        groupId: APPLICATION,
        provider: disk.provider(owner, world),
        sized: topics.sized,
        policies: DEFAULT_POLICIES,
        deadLetterTopic: deadLetterTopic(APPLICATION),
        partitionsOf: topics.partitionsOf,
        inputTopics: topics.inputTopics,
        changelogTopic: (store) => plan.internalTopics.find((topic) => topic.kind === 'changelog' && topic.store === store)?.name as string,
        world,
        onProgress: () => {},
        stopping: () => !this.wanted,
      },
      transactionalId: id,
      instanceId: staticMember ? id : null,
      guarantee,
      limits: { intervalMs: commitIntervalMs, recordsMax: epochRecordsMax, bytesMax: epochBytesMax },
      stored: disk.tasks,
      standbys,
      onFatal: (error) => this.#gaveUp(owner, error),
    })
    this.worker = worker
    await worker.start()
  }

  /** As app.ts: it closes what it has, and the process ends. */
  #gaveUp(owner: Owner, error: unknown): void {
    if (!owner.alive) return
    const code = error instanceof MillraceError ? error.code : String(error)
    this.#o.world.trace(this.name, `-- gives up: ${explain(error)}`)
    if (!EXCUSED.has(code) && this.wanted) this.#o.onFatal(`${this.name} gave up with ${code}: ${explain(error)}`)
    void this.#close().finally(() => this.#end(owner))
  }

  async #close(leave = false): Promise<void> {
    try {
      await this.worker?.close(leave)
    } catch (error) {
      this.#o.world.trace(this.name, `-- close says: ${explain(error)}`)
    } finally {
      await this.#client?.close()
    }
  }

  #end(owner: Owner): void {
    owner.alive = false
    if (this.owner !== owner) return
    this.worker = null
    this.#o.world.trace(this.name, '-- is gone')
  }

  /** SIGTERM: commits what was processed and leaves. */
  stop(): void {
    this.wanted = false
    const { owner } = this
    if (owner?.alive !== true) return
    this.#o.world.trace(this.name, '-- is stopped')
    void this.#close(this.#o.leaves).finally(() => this.#end(owner))
  }

  /** SIGKILL. */
  kill(): void {
    if (this.owner?.alive !== true) return
    this.#o.world.trace(this.name, '-- IS KILLED')
    this.owner.alive = false
    this.worker = null
  }

  pause(forMs: number): void {
    if (this.owner?.alive !== true) return
    this.#o.world.trace(this.name, `-- IS PAUSED for ${forMs.toFixed(0)} ms`)
    this.owner.pausedUntil = this.#o.world.now + forMs
  }
}
