// What a record cache lets go at a commit meets an operator that is full: it is taken all the same. The commit must not wait for what
// may need the commit itself, and with the loop standing still nothing that is awaited would ever come.
import { expect, test } from 'vitest'
import { systemWorld } from '../../src/base/system.ts'
import { json, string, topology } from '../../src/index.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { memoryProvider } from '../../src/state/memory.ts'
import { load, readAll, runWorker } from '../support/run-worker.ts'

const world = systemWorld()
const KEYS = 20

test('a full mapAsync below a record cache takes what the commit lets go', async () => {
  const counts = topology('counts', (t) => {
    t.stream('in', { key: string(), value: string() })
      .groupByKey()
      .count({ store: 'counted', cache: '1MiB' })
      .toStream()
      .mapAsync((n) => world.timers.sleep(1).then(() => n), { store: 'calls', maxRecords: 3, concurrency: 2, value: json<number>() })
      .to('out', { key: string(), value: json<number>() })
  })
  const log = memoryLog(world)
  const records = Array.from({ length: 5 * KEYS }, (_, i) => ({
    topic: 'in',
    key: Buffer.from(`k${i % KEYS}`),
    value: Buffer.from('x'),
    timestamp: i,
  }))
  await load(log, records, 1)
  const running = await runWorker({ log, topology: counts, applicationId: 'counts', provider: memoryProvider(), world, partitions: 1 })
  await running.untilCaughtUp()
  const last = async (): Promise<Map<string, number>> => {
    const [out = []] = await readAll(log, 'out')
    return new Map(out.map(({ key, value }) => [String(key), JSON.parse(String(value)) as number]))
  }
  await expect.poll(async () => [...(await last()).values()], { timeout: 20_000 }).toEqual(Array(KEYS).fill(5))
  await running.worker.close()
})
