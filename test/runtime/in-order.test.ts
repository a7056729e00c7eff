// `maxIdle` and `blockKey` in running workers, on the embedded log.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe } from 'vitest'
import { systemWorld } from '../../src/base/system.ts'
import { openEmbeddedLog } from '../../src/log/embedded/index.ts'
import { blockContract } from '../contract/block.contract.ts'
import { idleContract } from '../contract/idle.contract.ts'

const world = systemWorld()

describe('on the embedded log', () => {
  const open = async () => {
    const dir = mkdtempSync(join(tmpdir(), 'millrace-idle-'))
    const log = await openEmbeddedLog({ dir, world })
    return {
      log,
      async close() {
        await log.close()
        rmSync(dir, { recursive: true, force: true })
      },
    }
  }
  idleContract('embedded', world, open)
  blockContract('embedded', world, open)
})
