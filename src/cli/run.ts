// `millrace run`: a topology until a signal ends it.
//
// 1. The first SIGTERM or SIGINT closes in order, status 0; it has LIMITS.stopTimeoutMs, then the process ends with status 1. The second one ends
//    it at once (until-signal.ts).
// 2. What ends the processor by itself ends the process, with its line and status.
import { systemWorld } from '../base/system.ts'
import { resolveConfig } from '../config.ts'
import { boundHeap } from './heap.ts'
import { loadTopology } from './load.ts'
import { openLogger } from './logger.ts'
import { type Flags, gatherOptions } from './options.ts'
import { showProgress } from './progress.ts'
import { keepPrivate, remember } from './state-dir.ts'
import { CLOSE_MS, closeInTime, untilSignal } from './until-signal.ts'

export interface RunFlags extends Flags {
  readonly json?: boolean
}

export async function run(file: string, flags: RunFlags): Promise<void> {
  const options = await gatherOptions(flags, process.env)
  keepPrivate()
  const topology = await loadTopology(file)
  const config = resolveConfig(topology.name, options)
  const logger = await openLogger(flags.json === true, process.argv.includes('--verbose'))
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
  await closeInTime(world, () => app.close())
  unbound()
}
