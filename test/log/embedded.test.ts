// The embedded log passes the contract of all logs: from memory, and with everything read back from disk.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemWorld } from '../../src/base/system.ts'
import { openEmbeddedLog } from '../../src/log/embedded/index.ts'
import { logContract, type OpenedLog } from '../contract/log.contract.ts'

async function open(cache: { readonly cacheBytesMax?: number }): Promise<OpenedLog> {
  const dir = await mkdtemp(join(tmpdir(), 'millrace-log-'))
  const log = await openEmbeddedLog({ dir: join(dir, 'log'), world: systemWorld(), ...cache })
  return {
    log,
    another: async () => log,
    async close() {
      await log.close()
      await rm(dir, { recursive: true })
    },
  }
}

logContract('embedded', () => open({}), { uncommitted: true })
logContract('embedded, nothing kept in memory', () => open({ cacheBytesMax: 0 }), { uncommitted: true, propertyRuns: 30 })
