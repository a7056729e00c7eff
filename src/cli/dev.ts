// `millrace dev`: a topology on the embedded log with the live page, started anew when its file changes.
//
// 1. The state stays over a restart: the state directory, the application id and the port are those of the first start, whatever the
//    changed file calls its topology.
// 2. A change that is refused is told, and the topology as it was goes on: one that cannot be loaded or planned does not even interrupt it.
// 3. What ends the processor by itself does not end the command: it waits for the next change.
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StreamProcessor } from '../app.ts'
import { bracketed, isWildcard } from '../base/address.ts'
import { explain, MillraceError } from '../base/errors.ts'
import type { Logger, World } from '../base/ports.ts'
import { systemWorld } from '../base/system.ts'
import { type ProcessorOptions, resolveConfig } from '../config.ts'
import type { Topology } from '../topology/node.ts'
import { boundHeap } from './heap.ts'
import { loadAnew } from './load.ts'
import { openLogger } from './logger.ts'
import { type Flags, gatherOptions } from './options.ts'
import { showProgress } from './progress.ts'
import { keepPrivate, remember } from './state-dir.ts'
import { closeInTime, untilSignal } from './until-signal.ts'
import { lookAgain, type Seen, untilChanged } from './watch.ts'

export interface DevFlags extends Flags {
  readonly json?: boolean
  readonly ephemeral?: boolean
}

/** The live page is on the first free one. */
export const DEV_PORTS = { first: 7070, last: 7089 } as const

export async function dev(file: string, flags: DevFlags): Promise<void> {
  const { brokers, ...given } = await gatherOptions(flags, process.env, freePort)
  if (brokers !== undefined) throw new MillraceError('STREAM_USAGE', 'dev works on the embedded log; with brokers, use run')
  if (flags.ephemeral === true && given.stateDir !== undefined)
    throw new MillraceError('STREAM_USAGE', '--ephemeral makes a folder of its own; leave out --state-dir')
  keepPrivate()
  const first = await loadAnew(file)
  if (first.topology === null) throw first.error
  const temporary = flags.ephemeral === true ? mkdtempSync(join(tmpdir(), 'millrace-dev-')) : null
  const asked = temporary === null ? given : { ...given, stateDir: temporary }
  const { applicationId, stateDir } = resolveConfig(first.topology.name, asked)
  const logger = await openLogger(flags.json === true, process.argv.includes('--verbose'))
  const world = systemWorld(logger)
  const unbound = boundHeap(world, 1)
  const session = new Session(file, { ...asked, applicationId, stateDir, module: file, world }, logger, world, flags.json !== true)
  try {
    const signal = await session.run(first.topology, first.files)
    logger.info({ signal }, 'stopping')
    await closeInTime(world, () => session.end())
  } finally {
    if (temporary !== null) rmSync(temporary, { recursive: true, force: true })
    unbound()
  }
}

class Session {
  readonly #file: string
  readonly #logger: Logger
  readonly #world: World
  readonly #shows: boolean
  readonly #stopped: Promise<string>
  #options: ProcessorOptions
  #app: StreamProcessor | null = null
  #ending = false

  constructor(file: string, options: ProcessorOptions, logger: Logger, world: World, shows: boolean) {
    this.#file = file
    this.#options = options
    this.#logger = logger
    this.#world = world
    this.#shows = shows && process.stderr.isTTY === true
    this.#stopped = untilSignal(world)
  }

  /** Until a signal, whose name it answers. */
  async run(first: Topology, files: Seen): Promise<string> {
    let topology = first
    let watched = files
    const early = await Promise.race([this.#begin(topology).then(() => null), this.#stopped])
    if (early !== null) return early
    this.#tell(topology)
    for (;;) {
      const stopWatching = new AbortController()
      const event = await Promise.race([
        this.#stopped,
        untilChanged(watched, this.#world, stopWatching.signal).then(() => ({ changed: true })),
        this.#failed(),
      ])
      stopWatching.abort()
      if (typeof event === 'string') return event
      if ('reason' in event) {
        this.#logger.error({ reason: explain(event.reason) }, 'stopped by itself; waits for a change of the file')
        await this.#close().catch(() => {})
        continue
      }
      const before = lookAgain(watched)
      const loaded = await loadAnew(this.#file)
      // Also those that it could not load: what is mended next may be one of them.
      watched = new Map([...before, ...loaded.files])
      const change = Promise.resolve(
        loaded.topology === null ? this.#refuse(loaded.error, topology) : this.#change(loaded.topology, topology),
      )
      const outcome = await Promise.race([change, this.#stopped])
      if (typeof outcome === 'string') return outcome
      topology = outcome
    }
  }

  /** A start that is under way ends, and no other begins. */
  async end(): Promise<void> {
    this.#ending = true
    await this.#close()
  }

  async #close(): Promise<void> {
    const app = this.#app
    this.#app = null
    await app?.close()
  }

  /** Which topology runs now. */
  async #change(next: Topology, now: Topology): Promise<Topology> {
    let app: StreamProcessor
    try {
      app = new StreamProcessor(next, this.#options)
    } catch (error) {
      return this.#refuse(error, now)
    }
    await this.#close()
    try {
      await this.#start(app)
      this.#logger.info({ file: this.#file }, 'the file has changed: its topology runs')
      return next
    } catch (error) {
      await this.#begin(now).catch((again: unknown) => this.#logger.error({ reason: explain(again) }, 'it does not start again'))
      return this.#refuse(error, now)
    }
  }

  #refuse(error: unknown, now: Topology): Topology {
    const goesOn = this.#app === null ? 'nothing runs; waits for a change of the file' : 'the topology as it was goes on'
    this.#logger.error({ reason: explain(error) }, `the change is refused: ${goesOn}`)
    return now
  }

  async #begin(topology: Topology): Promise<void> {
    await this.#start(new StreamProcessor(topology, this.#options))
  }

  async #start(app: StreamProcessor): Promise<void> {
    if (this.#ending) throw new MillraceError('STREAM_CLOSED', 'dev is ending')
    this.#app = app
    const hide = this.#shows ? showProgress(process.stderr, () => app.status(), this.#world) : () => {}
    try {
      await app.start()
    } catch (error) {
      this.#app = null
      throw error
    } finally {
      hide()
    }
    // The page stays where it is, also where any port was asked for.
    const { server } = this.#options
    const { port } = app.status()
    if (server !== undefined && port !== null) this.#options = { ...this.#options, server: { ...server, port } }
  }

  /** Of the one that runs; never, where none does. */
  #failed(): Promise<{ readonly reason: unknown }> {
    if (this.#app === null) return new Promise(() => {})
    return this.#app.failed.catch((reason: unknown) => ({ reason }))
  }

  #tell(topology: Topology): void {
    const { applicationId, stateDir, server } = this.#options
    remember(stateDir as string, this.#file, applicationId as string)
    if (server !== undefined) this.#logger.info({ page: `http://${shownHost(server.host ?? '127.0.0.1')}:${server.port}/` }, 'live page')
    this.#logger.info({ topology: topology.name, applicationId, stateDir }, 'running')
  }
}

/** Bound to all addresses: by one that is there. */
function shownHost(host: string): string {
  return isWildcard(host) ? '127.0.0.1' : bracketed(host)
}

async function freePort(host: string): Promise<number> {
  for (let port: number = DEV_PORTS.first; port <= DEV_PORTS.last; port++) if (await isFree(host, port)) return port
  throw new MillraceError('STREAM_USAGE', `ports ${DEV_PORTS.first} to ${DEV_PORTS.last} are in use; say --port 0 for any that is free`)
}

/** Whoever takes it in between is met by the server's own refusal. */
function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'EADDRINUSE'))
    server.listen(port, host.replace(/^\[(.*)\]$/, '$1'), () => server.close(() => resolve(true)))
  })
}
