// `millrace run` and `millrace dev`: a topology until a signal ends it.
//
// 1. The first SIGTERM or SIGINT closes in order, status 0; it has LIMITS.stopTimeoutMs, then the process ends with status 1.
// 2. The second one ends the process at once, status 1. One signal that comes twice within a moment (a terminal sends it to the
//    whole group, npx and the launcher pass it on) counts once.
// 3. What ends the processor by itself ends the process, with its line and status.
import { MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'
import { systemWorld } from '../base/system.ts'
import { type ProcessorOptions, resolveConfig } from '../config.ts'
import { FAILED } from './fail.ts'
import { boundHeap } from './heap.ts'
import { loadTopology } from './load.ts'
import { openLogger } from './logger.ts'
import { type Flags, gatherOptions } from './options.ts'
import { showProgress } from './progress.ts'
import { keepPrivate, remember } from './state-dir.ts'

export interface RunFlags extends Flags {
  readonly json?: boolean
}

const SAME_SIGNAL_MS = 200
/** Some of the time is for the process itself. */
const CLOSE_MS = LIMITS.stopTimeoutMs - 500

export async function run(file: string, flags: RunFlags): Promise<void> {
  await operate(file, flags, await gatherOptions(flags, process.env))
}

export async function dev(file: string, flags: RunFlags): Promise<void> {
  const { brokers, ...options } = await gatherOptions(flags, process.env)
  if (brokers !== undefined) throw new MillraceError('STREAM_USAGE', 'dev works on the embedded log; with brokers, use run')
  await operate(file, flags, options)
}

async function operate(file: string, flags: RunFlags, options: ProcessorOptions): Promise<void> {
  keepPrivate()
  const topology = await loadTopology(file)
  const config = resolveConfig(topology.name, options)
  const logger = openLogger(flags.json === true, process.argv.includes('--verbose'))
  const world = systemWorld(logger)
  const unbound = boundHeap(world, config.workers)
  const { StreamProcessor } = await import('../app.ts')
  const app = new StreamProcessor(topology, { ...options, module: file, world })
  const stopped = untilSignal(world)
  const onTerminal = process.stderr.isTTY === true && flags.json !== true
  const hide = onTerminal ? showProgress(process.stderr, () => app.status(), world) : () => {}
  const started = app.start().finally(hide)
  const early = await Promise.race([started.then(() => null), stopped])
  if (early === null) {
    remember(config.stateDir, file, config.applicationId)
    logger.info(
      { topology: topology.name, applicationId: config.applicationId, stateDir: config.stateDir, brokers: config.brokers },
      'running',
    )
    const signal = await Promise.race([stopped, app.failed]).catch(async (error: unknown) => {
      await Promise.race([app.close(), world.timers.sleep(CLOSE_MS)]).catch(() => {}) // the reason is what to tell
      throw error
    })
    logger.info({ signal }, 'stopping')
  } else {
    started.catch(() => {}) // it is being closed
    logger.info({ signal: early }, 'stopping')
  }
  const late = world.timers.after(CLOSE_MS, () => {
    process.stderr.write(`millrace: not closed within ${CLOSE_MS / 1000} s; what was not committed is done again at the next start\n`)
    process.exit(FAILED)
  })
  await app.close()
  late()
  unbound()
}

/** The name of the first signal. */
function untilSignal(world: World): Promise<string> {
  return new Promise((resolve) => {
    let firstMs: number | null = null
    const take = (signal: string): void => {
      const now = world.clock.monotonic()
      if (firstMs === null) {
        firstMs = now
        resolve(signal)
      } else if (now - firstMs > SAME_SIGNAL_MS) process.exit(FAILED)
    }
    process.on('SIGTERM', take)
    process.on('SIGINT', take)
  })
}
