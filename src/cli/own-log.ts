// For commands that work on a state directory and its log while nothing else does: `reset` and `verify`. Refused where there is no state to
// work on, and while a process has it.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { MillraceError } from '../base/errors.ts'
import type { World } from '../base/ports.ts'
import { type Config, resolveConfig } from '../config.ts'
import type { Log } from '../log/log.ts'
import { plan as planOf } from '../topology/plan.ts'
import type { Plan } from '../topology/plan-types.ts'
import { loadTopology } from './load.ts'
import { type Flags, gatherOptions } from './options.ts'
import { keepPrivate } from './state-dir.ts'

/** The application of a topology file, as its options have it. */
export async function ownApplication(file: string, flags: Flags): Promise<{ readonly config: Config; readonly plan: Plan }> {
  keepPrivate()
  const topology = await loadTopology(file)
  const config = resolveConfig(topology.name, await gatherOptions(flags, process.env))
  return { config, plan: planOf(topology, config.applicationId, config.onError) }
}

export async function withOwnLog<T>(config: Config, world: World, use: (log: Log) => Promise<T>): Promise<T> {
  const { brokers, stateDir } = config
  const embedded = brokers.length === 0
  if (embedded && !existsSync(join(stateDir, 'log')))
    throw new MillraceError(
      'STREAM_STATE_MISSING',
      `state directory ${stateDir} holds no embedded log; name the one of a run with --state-dir, or for Kafka --brokers <host:port>`,
    )
  const { lockStateDir, openLog } = await import('../app.ts')
  const unlock = !embedded && existsSync(stateDir) ? await lockStateDir(stateDir) : () => {}
  try {
    const log = await openLog(config, world)
    try {
      return await use(log)
    } finally {
      await log.close()
    }
  } finally {
    unlock()
  }
}
