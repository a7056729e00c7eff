import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemWorld } from '../../src/base/system.ts'
import { levelProvider } from '../../src/state/leveldb.ts'
import { memoryProvider } from '../../src/state/memory.ts'
import { storeContract } from '../contract/store.contract.ts'

storeContract('memory', async () => ({ provider: memoryProvider(), dispose: async () => {} }))

storeContract('LevelDB', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'millrace-store-'))
  return {
    provider: levelProvider({ dir: join(dir, 'app'), world: systemWorld() }),
    dispose: () => rm(dir, { recursive: true, force: true }),
  }
})
