// Two topics written little by little, the one behind the other: a worker with `maxIdle` takes their records by time, and goes on without an
// input that stays silent. On any log.
import { expect, it } from 'vitest'
import type { World } from '../../src/base/ports.ts'
import { string, topology } from '../../src/index.ts'
import type { Log } from '../../src/log/log.ts'
import { memoryProvider } from '../../src/state/memory.ts'
import { load, readAll, runWorker } from '../support/run-worker.ts'

const TEXT = { key: string(), value: string() }
const merged = topology('idle', (t) => t.stream('categories-by-time', TEXT).merge(t.stream('products-by-time', TEXT)).to('by-time', TEXT))
const MAX_IDLE_MS = 2_000

export function idleContract(name: string, world: World, open: () => Promise<{ log: Log; close(): Promise<void> }>): void {
  it(`${name}: records of two topics go by time as they come; a silent one is waited for once`, { timeout: 60_000 }, async () => {
    const { log, close } = await open()
    try {
      await log.createTopics(
        ['categories-by-time', 'products-by-time', 'by-time'].map((topic) => ({ name: topic, partitions: 1, kind: 'plain' })),
      )
      const write = (topic: string, ...timestamps: readonly number[]): Promise<void> =>
        load(
          log,
          timestamps.map((timestamp) => ({ topic, key: Buffer.from('k'), value: Buffer.from(`${topic[0]}${timestamp}`), timestamp })),
          1,
        )
      const out = async (): Promise<string> =>
        (await readAll(log, 'by-time'))
          .flat()
          .map(({ value }) => String(value))
          .join(' ')
      const setup = { log, topology: merged, applicationId: 'idle', world, partitions: 1, provider: memoryProvider() }
      const { worker, untilCaughtUp } = await runWorker({ ...setup, maxIdleMs: MAX_IDLE_MS })
      await write('categories-by-time', 10, 20)
      await write('products-by-time', 5)
      await write('categories-by-time', 30)
      await write('products-by-time', 15, 25)
      await write('products-by-time', 35, 45)
      await write('categories-by-time', 40)
      await untilCaughtUp()
      expect(await out()).toBe('p5 c10 p15 c20 p25 c30 p35 c40 p45')
      const waits = [...worker.tasks.values()].map(({ choice }) => choice.waitedOut)
      expect(waits).toEqual([1]) // for what comes after c40
      await write('products-by-time', 50, 60)
      await untilCaughtUp()
      expect(await out()).toMatch(/p45 p50 p60$/)
      expect([...worker.tasks.values()].map(({ choice }) => choice.waitedOut)).toEqual(waits)
      await worker.close()
    } finally {
      await close()
    }
  })
}
