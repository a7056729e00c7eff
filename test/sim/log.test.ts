// The simulated brokers keep the contract of every log: what keeps the simulator's model honest.
import { NETWORK_TIMES, openCluster } from './log/open.ts'
import { logContract } from '../contract/log.contract.ts'
import { systemWorld } from '../../src/base/system.ts'
import { chance, tapedDraw } from './chance.ts'

for (const transactionVersion of [1, 2] as const) {
  logContract(
    `simulated, transactions of version ${transactionVersion}`,
    async () => {
      const { timers, ...world } = systemWorld()
      // a way that takes no time is a turn of the event loop, not a timer's millisecond
      const after = (ms: number, run: () => void): (() => void) => {
        if (ms > 0.5) return timers.after(ms, run)
        const immediate = setImmediate(run)
        return () => clearImmediate(immediate)
      }
      const quick = { ...world, timers: { ...timers, after } }
      const cluster = openCluster({ world: quick, chance: chance(tapedDraw([])), transactionVersion, times: NETWORK_TIMES, trace: null })
      const clients: { close(): Promise<void> }[] = []
      const client = (name: string) => {
        const opened = cluster.client(name, quick)
        clients.push(opened)
        return opened
      }
      return {
        log: client('first'),
        another: async () => client('another'),
        close: async () => {
          for (const each of clients) await each.close()
        },
      }
    },
    { propertyRuns: 25 },
  )
}
