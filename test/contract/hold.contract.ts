// Records that wait for rows of another partition, in real workers, on any log: two members share the tasks, one of them is closed while
// records wait and comes back; stream and table have different partition counts. Run on the memory, embedded and Kafka logs.
import { expect, it } from 'vitest'
import type { World } from '../../src/base/ports.ts'
import type { Log } from '../../src/log/log.ts'
import { memoryProvider } from '../../src/state/memory.ts'
import { bundlesOf, type Entry, wrongOf } from '../hold/bundles.ts'
import holding, { type Bundle } from '../hold/holding.ts'
import { load, readAll, runWorker } from '../support/run-worker.ts'

const [BUNDLE_PARTITIONS, PRODUCT_PARTITIONS] = [2, 3]

export function holdContract(
  name: string,
  world: World,
  open: () => Promise<{ log: Log; close(): Promise<void> }>,
  timeoutMs = 30_000,
): void {
  it(`${name}: each bundle goes once, in order, when all its products are there, over members that come and go`, {
    timeout: 3 * timeoutMs,
  }, async () => {
    const history = bundlesOf(5, { bundles: 300, products: 40, keys: 60 })
    const records = (topic: string, entries: readonly Entry<unknown>[]) =>
      entries.map(({ key, value }, i) => ({
        topic,
        key: Buffer.from(key),
        value: Buffer.from(JSON.stringify(value)),
        timestamp: 1_000 + i,
      }))
    const { log, close } = await open()
    try {
      await log.createTopics([
        { name: 'bundles', partitions: BUNDLE_PARTITIONS, kind: 'plain' },
        { name: 'products', partitions: PRODUCT_PARTITIONS, kind: 'plain' },
        { name: 'ready', partitions: 1, kind: 'plain' },
      ])
      const setup = { log, topology: holding, applicationId: 'holding', world, partitions: BUNDLE_PARTITIONS }
      const [first, second] = [memoryProvider(), memoryProvider()]
      const ready = async (): Promise<Entry<Bundle>[]> =>
        (await readAll(log, 'ready')).flat().map(({ key, value }) => ({ key: String(key), value: JSON.parse(String(value)) as Bundle }))
      const half = Math.floor(history.products.length / 2)
      const a = await runWorker({ ...setup, member: 'a', provider: first })
      await load(log, records('bundles', history.bundles.slice(0, 200)), BUNDLE_PARTITIONS)
      const b = await runWorker({ ...setup, member: 'b', provider: second })
      await load(log, records('products', history.products.slice(0, half)), PRODUCT_PARTITIONS)
      await load(log, records('bundles', history.bundles.slice(200)), BUNDLE_PARTITIONS)
      await Promise.all([a.untilCaughtUp(timeoutMs), b.untilCaughtUp(timeoutMs)])
      const early = await ready()
      expect(wrongOf(history, early, half, false)).toEqual([])
      expect([early.length > 0, early.length < history.bundles.length]).toEqual([true, true])
      await a.worker.close()
      await load(log, records('products', history.products.slice(half)), PRODUCT_PARTITIONS)
      const again = await runWorker({ ...setup, member: 'a', provider: first })
      const endMs = world.clock.monotonic() + timeoutMs
      while ((await ready()).length < history.bundles.length && world.clock.monotonic() < endMs) await world.timers.sleep(50)
      await Promise.all([again.untilCaughtUp(timeoutMs), b.untilCaughtUp(timeoutMs)])
      await again.worker.close()
      await b.worker.close()
      expect(wrongOf(history, await ready(), history.products.length, true)).toEqual([])
    } finally {
      await close()
    }
  })
}
