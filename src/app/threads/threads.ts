// Several workers of one process, each in a thread of its own, as one crew: starts and ends the threads, keeps their last words, takes
// questions about their stores to whichever has them.
//
// Invariants
// 1. The crew is as its worst worker: ready when all are, failed when one is. A thread that ends unasked has failed.
// 2. No folder of a store is open in two threads (`Claimed`).
// 3. `close` asks all threads at once; one that has not closed within LIMITS.workerCloseMs is ended as it is: what it had not committed
//    is done again by the next start.
import { getCompileCacheDir } from 'node:module'
import { dirname, resolve } from 'node:path'
import { Worker as Thread } from 'node:worker_threads'
import type { Peer, Place } from '../../assignment/peers.ts'
import { errorOf } from '../../base/crossing.ts'
import { explain, MillraceError } from '../../base/errors.ts'
import { LIMITS } from '../../base/limits.ts'
import type { World } from '../../base/ports.ts'
import type { Config, ProcessorOptions } from '../../config.ts'
import type { WorkerReading } from '../../server/metrics.ts'
import type { HeldTask } from '../../server/served.ts'
import type { StateStore } from '../../state/store.ts'
import { fingerprint } from '../../topology/fingerprint.ts'
import type { Plan } from '../../topology/plan-types.ts'
import type { Crew, Word } from '../crew.ts'
import type { StateDir } from '../state-dir.ts'
import { Claimed } from './claims.ts'
import { Link } from './link.ts'
import { remoteStore } from './remote-store.ts'
import { GLOBAL, type Said, type ThreadData } from './words.ts'

export interface ThreadsOptions {
  readonly config: Config
  readonly plan: Plan
  readonly state: StateDir
  /** URL of the module that exports the topology. */
  readonly module: string
  /** Where the process answers queries; null: nowhere. */
  readonly place: Place | null
  readonly world: World
  readonly onFatal: (error: unknown) => void
}

/** src/ runs as it is, dist/ is built. */
const ENDING = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
const UNKNOWN: Word = {
  ready: false,
  tasks: [],
  epochs: 0,
  commitMs: 0,
  rewinds: 0,
  fenced: 0,
  rebalances: 0,
  restoring: null,
  restores: [],
  standbys: [],
}

export class Threads implements Crew {
  readonly #o: ThreadsOptions
  readonly #links: Link[] = []
  readonly #words: Word[] = []
  readonly #claimed = new Claimed()
  readonly #opened = new Set<number>()
  #started: readonly Promise<void>[] = []
  #tasks: ReadonlyMap<string, HeldTask> | null = null
  #peers: readonly Peer[] = []
  #closing = false

  constructor(options: ThreadsOptions) {
    this.#o = options
  }

  /** Begins the threads: they load, and open their logs, while the processor looks after the topics. What fails is told by `start`. */
  load(): void {
    this.#started = Array.from({ length: this.#o.config.workers }, (_, number) => this.#begin(number))
    for (const started of this.#started) started.catch(() => {})
  }

  async start(): Promise<void> {
    if (this.#started.length === 0) this.load()
    for (const link of this.#links) link.tell({ begin: true })
    await Promise.all(this.#started)
  }

  async close(leave: boolean): Promise<void> {
    this.#closing = true
    const { timers } = this.#o.world
    const closed = await Promise.all(
      this.#links.map(async (link, number): Promise<unknown> => {
        if (link.ended) return null // that was told
        if (!this.#opened.has(number)) return await link.end() // it has nothing to close
        const late = Promise.withResolvers<unknown>()
        const cancel = timers.after(LIMITS.workerCloseMs, () => late.resolve(notClosed(number)))
        const done = link.ask({ kind: 'close', leave }, null).then(
          () => null,
          (error: unknown) => (link.ended ? null : error), // its end is told
        )
        const failure = await Promise.race([done, late.promise])
        cancel()
        await link.end()
        return failure
      }),
    )
    const failure = closed.find((one) => one !== null)
    if (failure !== undefined) throw failure
  }

  words(): readonly Word[] {
    return this.#words
  }

  tasks(): ReadonlyMap<string, HeldTask> {
    if (this.#tasks !== null) return this.#tasks
    const tasks = new Map<string, HeldTask>()
    for (const [number, word] of this.#words.entries()) {
      const link = this.#links[number] as Link
      for (const { id, stores } of word.tasks)
        tasks.set(id, { id, stores: stores.map((name) => ({ name, overlay: { store: remoteStore(link, id, name) } })) })
    }
    this.#tasks = tasks
    return tasks
  }

  /** Each thread looks for itself. */
  applying(): boolean {
    return false
  }

  /** As the first worker has read it. */
  globalStore(name: string): StateStore | undefined {
    const link = this.#links[0]
    return link === undefined || !this.#o.plan.globals.some(({ store }) => store.name === name)
      ? undefined
      : remoteStore(link, GLOBAL, name)
  }

  /** As whichever worker has heard last. */
  peers(): readonly Peer[] {
    return this.#peers
  }

  /** Null: it has not answered in time. */
  readings(): Promise<readonly (WorkerReading | null)[]> {
    const read = async (link: Link): Promise<WorkerReading | null> => {
      try {
        return (await link.ask({ kind: 'metrics' })) as WorkerReading | null
      } catch {
        return null
      }
    }
    return Promise.all(this.#links.map(read))
  }

  #begin(number: number): Promise<void> {
    const { config, module, plan, state, world, onFatal, place } = this.#o
    const started = Promise.withResolvers<void>()
    let running = false
    const fail = (error: unknown): void => {
      if (this.#closing) world.logger.warn({ worker: number, reason: explain(error) }, 'a worker failed while it was closing')
      else if (running) onFatal(error)
      else started.reject(error)
    }
    const { door, far } = Link.door()
    const data: ThreadData = {
      millraceWorker: number,
      count: config.workers,
      module,
      options: threadOptions(config),
      processId: state.processId,
      fingerprint: fingerprint(plan).hash,
      metrics: config.server !== null,
      compiledIn: compiledIn(),
      place,
      door: far,
    }
    const thread = new Thread(new URL(`./entry.${ENDING}`, import.meta.url), {
      name: `millrace ${number}`,
      workerData: data,
      transferList: [far.port],
    })
    const link = new Link(thread, door, number, world)
    this.#links[number] = link
    this.#words[number] = UNKNOWN
    thread.on('message', (said: Said) => {
      if (said.kind === 'answer') link.answered(said)
      else if (said.kind === 'log') world.logger[said.level]({ worker: number, ...said.fields }, said.message)
      else if (said.kind === 'take') link.tell({ taken: said.id, free: this.#claimed.take(said.name, number) })
      else if (said.kind === 'give') this.#claimed.give(said.name, number)
      else if (said.kind === 'peers') this.#peers = said.peers
      else if (said.kind === 'opened') this.#opened.add(number)
      else if (said.kind === 'failed') fail(errorOf(said.error))
      else if (said.kind === 'started') {
        running = true
        started.resolve()
      } else {
        this.#words[number] = said.word
        this.#tasks = null
      }
    })
    thread.on('error', fail)
    thread.on('exit', (status) => {
      if (!link.ending)
        fail(
          new MillraceError(
            'STREAM_INTERNAL',
            `worker ${number} has ended by itself (status ${status}): does the topology end the process?`,
          ),
        )
      link.gone()
      started.reject(new MillraceError('STREAM_CLOSED', 'the processor was closed while it was starting'))
      this.#words[number] = UNKNOWN
      this.#tasks = null
    })
    return started.promise
  }
}

/** Node names a folder of its own version in it. */
function compiledIn(): string | null {
  const dir = getCompileCacheDir()
  return dir === undefined ? null : dirname(dir)
}

/** As `resolveConfig` takes them, without what is the processor's business. Secrets are classes: they cross as text. */
export function threadOptions(config: Config): ProcessorOptions {
  const { commitIntervalMs, maxIdleMs, sasl, tls, server, workers, module, stateDir, stateQuotaBytes, instanceId, ...rest } = config
  return {
    ...rest,
    stateDir: resolve(stateDir),
    commitInterval: `${commitIntervalMs}ms`,
    maxIdle: maxIdleMs,
    ...(instanceId === null ? {} : { instanceId }),
    ...(stateQuotaBytes === null ? {} : { stateQuota: stateQuotaBytes }),
    ...(tls === null ? {} : { tls }),
    ...(sasl === null ? {} : { sasl: saslOptions(sasl) }),
  }
}

function saslOptions({ password, token, ...rest }: NonNullable<Config['sasl']>): NonNullable<ProcessorOptions['sasl']> {
  return {
    ...rest,
    ...(password === null ? {} : { password: password.reveal() }),
    ...(token === null ? {} : { token: token.reveal() }),
  }
}

function notClosed(number: number): MillraceError {
  return new MillraceError(
    'STREAM_TIMEOUT',
    `worker ${number} has not closed within ${LIMITS.workerCloseMs / 1000} s and was ended: what was not committed is done again at the next start`,
    { disposition: 'stop' },
  )
}
