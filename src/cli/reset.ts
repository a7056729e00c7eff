// `millrace reset`: shows what of an application is there and takes it away, so that it begins anew. With --dry-run it only shows.
import type { OffsetReset, Reset } from '../app/reset.ts'
import { systemWorld } from '../base/system.ts'
import type { Flags } from './options.ts'
import { outputTo } from './output.ts'
import { ownApplication, withOwnLog } from './own-log.ts'

export interface ResetFlags extends Flags {
  readonly dryRun?: boolean
  readonly json?: boolean
}

export async function reset(file: string, flags: ResetFlags): Promise<void> {
  const { config, plan } = await ownApplication(file, flags)
  const { applyReset, findReset } = await import('../app/reset.ts')
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
