// A start with fewer workers than the last one: those that will not come back are taken out of the group and out of the transactions.
// Static members are expected back, and would keep their tasks for the length of a session; what was open of a killed one would hold
// up its readers for the length of a transaction.
//
// 1. How many there were is written before they start, and only by who holds the state directory's lock.
// 2. What goes wrong here costs time, no data: it is told, and the start goes on.
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { explain } from '../base/errors.ts'
import type { World } from '../base/ports.ts'
import type { Config } from '../config.ts'
import type { Log } from '../log/log.ts'
import type { StateDir } from './state-dir.ts'

const FILE = 'workers'

/** Of a worker: its transactional id, and its instance id in the group. */
export function workerName(
  { applicationId, instanceId }: Pick<Config, 'applicationId' | 'instanceId'>,
  { processId }: StateDir,
  number: number,
): string {
  return `${applicationId}-${instanceId ?? processId}-${number}`
}

/** What the global tables of a worker lie in; the first one's are beside the tasks. */
export function workerFolder(stores: string, number: number): string {
  return number === 0 ? stores : join(stores, `worker-${number}`)
}

export async function dismissFormer(log: Log, config: Config, state: StateDir, world: World): Promise<void> {
  const { applicationId, workers, guarantee } = config
  const before = readCount(state.stores)
  if (before === workers) return
  const former = Array.from({ length: Math.max(0, before - workers) }, (_, i) => workers + i)
  try {
    const names = former.map((number) => workerName(config, state, number))
    if (names.length > 0) await log.dismiss?.(applicationId, names)
    for (const transactionalId of guarantee === 'exactly_once' ? names : []) {
      const writer = log.writer({ transactionalId, guarantee })
      await writer.init()
      await writer.close()
    }
  } catch (error) {
    world.logger.warn(
      { workers: former, reason: explain(error) },
      'former workers could not be dismissed: their tasks wait for their session',
    )
  }
  for (const number of former) rmSync(workerFolder(state.stores, number), { recursive: true, force: true })
  writeFileSync(join(state.stores, FILE), `${workers}\n`, { mode: 0o600 })
}

function readCount(stores: string): number {
  try {
    const count = Number(readFileSync(join(stores, FILE), 'utf8'))
    return Number.isInteger(count) && count > 0 ? count : 1
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 1
    throw error
  }
}
