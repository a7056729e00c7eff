// `millrace verify`: the stores of a state directory against their changelogs. Status 1 where one is not what its changelog says; with --rebuild it
// is set aside and restored, and the status is 0.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Verdict } from '../app/verify.ts'
import { MillraceError } from '../base/errors.ts'
import { systemWorld } from '../base/system.ts'
import { openLogger } from './logger.ts'
import type { Flags } from './options.ts'
import { outputTo } from './output.ts'
import { ownApplication, withOwnLog } from './own-log.ts'

export interface VerifyFlags extends Flags {
  readonly rebuild?: boolean
  readonly json?: boolean
}

export async function verify(file: string, flags: VerifyFlags): Promise<void> {
  const { config, plan } = await ownApplication(file, flags)
  const { verifyStores } = await import('../app/verify.ts')
  const { stateDir } = config
  if (!existsSync(join(stateDir, config.applicationId)))
    throw new MillraceError(
      'STREAM_STATE_MISSING',
      `state directory ${stateDir} holds no stores of ${config.applicationId}; name the one of a run with --state-dir`,
    )
  const world = process.argv.includes('--verbose') ? systemWorld(await openLogger(false, true)) : systemWorld()
  const output = outputTo(process.stdout)
  let stores = 0
  let bad = 0
  await withOwnLog(config, world, async (log) => {
    for await (const verdict of verifyStores({ log, plan, stateDir, world, rebuild: flags.rebuild === true })) {
      output.line(flags.json === true ? JSON.stringify(verdict) : shown(verdict))
      await output.flush()
      stores++
      if (verdict.state !== 'sound' && !verdict.rebuilt) bad++
    }
  })
  if (stores === 0 && flags.json !== true) output.line('no stores with a changelog lie here')
  await output.flush()
  if (bad === 0) return
  const cure =
    flags.rebuild === true ? 'they have no changelog here: is it the right broker?' : '--rebuild sets them aside and restores them'
  throw new MillraceError('STREAM_STORE_DAMAGED', `${bad} of ${stores} stores are not what their changelogs say; ${cure}`, {
    disposition: 'stop',
  })
}

function shown({ task, store, state, rows, behind, reason, rebuilt }: Verdict): string {
  const name = `${task}/${store}`.padEnd(32)
  if (state === 'sound') return `${name}  sound     ${rows} rows${behind === 0 ? '' : `, ${behind} changelog offsets behind`}`
  return `${name}  ${(rebuilt ? 'rebuilt' : state).padEnd(8)}  ${reason}`
}
