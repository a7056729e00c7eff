// `millrace reset`: shows what of an application is there and takes it away, so that it begins anew. With --dry-run it only shows.
import type { OffsetReset, Reset } from '../app/reset.ts'
import { systemWorld } from '../base/system.ts'
import { resolveConfig } from '../config.ts'
import { plan as planOf } from '../topology/plan.ts'
import { loadTopology } from './load.ts'
import { type Flags, gatherOptions } from './options.ts'
import { outputTo } from './output.ts'
import { withOwnLog } from './own-log.ts'
import { keepPrivate } from './state-dir.ts'

export interface ResetFlags extends Flags {
  readonly dryRun?: boolean
  readonly json?: boolean
}

export async function reset(file: string, flags: ResetFlags): Promise<void> {
  keepPrivate()
  const topology = await loadTopology(file)
  const config = resolveConfig(topology.name, await gatherOptions(flags, process.env))
  const { applyReset, findReset } = await import('../app/reset.ts')
  const plan = planOf(topology, config.applicationId, config.onError)
  await withOwnLog(config, systemWorld(), async (log) => {
    const found = await findReset(log, plan, config.stateDir, config.offsetReset)
    if (flags.dryRun !== true) await applyReset(log, plan, found)
    const output = outputTo(process.stdout)
    for (const line of flags.json === true ? [asJson(found, flags)] : asText(found, flags)) output.line(line)
    await output.flush()
  })
}

const asJson = (found: Reset, flags: ResetFlags): string => JSON.stringify({ dryRun: flags.dryRun === true, ...found })

function asText({ offsets, topics, stores }: Reset, flags: ResetFlags): string[] {
  const moved = offsets.filter(({ from, to }) => from !== null && from !== to)
  const lines = [
    ...moved.map(({ topic, partition, from, to }: OffsetReset) => `offset   ${topic}-${partition}: ${from} -> ${to}`),
    ...topics.map((topic) => `topic    ${topic}: deleted`),
    ...(stores === null ? [] : [`stores   ${stores}: deleted`]),
  ]
  if (lines.length === 0) return ['nothing to reset']
  return flags.dryRun === true ? [...lines, 'dry run: nothing was changed'] : lines
}
