import { systemWorld } from '../../src/base/system.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { logContract } from '../contract/log.contract.ts'

logContract(
  'memory',
  async () => {
    const log = memoryLog(systemWorld())
    return { log, another: async () => log.another(), close: () => log.close() }
  },
  { uncommitted: true },
)
