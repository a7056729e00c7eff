// `maxIdle` in a running worker, on the logs that need no broker.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe } from 'vitest'
import { systemWorld } from '../../src/base/system.ts'
import { openEmbeddedLog } from '../../src/log/embedded/index.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { idleContract } from '../contract/idle.contract.ts'

const world = systemWorld()

describe('inputs by time', () => {
  idleContract('memory', world, async () => {
    const log = memoryLog(world)
    return { log, close: () => log.close() }
  })
  idleContract('embedded', world, async () => {
    const dir = mkdtempSync(join(tmpdir(), 'millrace-idle-'))
    const log = await openEmbeddedLog({ dir, world })
    return {
      log,
      async close() {
        await log.close()
        rmSync(dir, { recursive: true, force: true })
      },
    }
  })
})
