import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe } from 'vitest'
import { systemWorld } from '../../src/base/system.ts'
import { openEmbeddedLog } from '../../src/log/embedded/index.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { levelProvider } from '../../src/state/leveldb.ts'
import { topologyContract } from '../contract/topology.contract.ts'

const world = systemWorld()

describe('a topology on every log that needs no broker', () => {
  topologyContract('memory', world, async () => {
    const log = memoryLog(world)
    return { log, close: () => log.close() }
  })

  const dir = mkdtempSync(join(tmpdir(), 'millrace-topology-'))
  let stores = 0
  topologyContract(
    'embedded',
    world,
    async () => {
      const log = await openEmbeddedLog({ dir: join(dir, 'log'), world })
      return {
        log,
        async close() {
          await log.close()
          rmSync(dir, { recursive: true, force: true })
        },
      }
    },
    { provider: () => levelProvider({ dir: join(dir, `stores-${stores++}`), world }) },
  )
})
