// The same topology, the same history, on any log: the real worker with its barrier, two members that share the tasks, one of them
// stopped and started on the way. Run on the memory, embedded and Kafka logs.
import { expect, it } from 'vitest'
import type { World } from '../../src/base/ports.ts'
import { NO_HEADERS } from '../../src/base/record.ts'
import type { Log } from '../../src/log/log.ts'
import { memoryProvider } from '../../src/state/memory.ts'
import type { StoreProvider } from '../../src/state/store.ts'
import catalog, { type CatalogRow } from '../../topologies/catalog.ts'
import { CATALOG_TOPICS, deliver, historyOf } from '../support/catalog-history.ts'
import { catalogOf, differences } from '../support/catalog-oracle.ts'
import { type CatalogOutput, goneBack, tableOf } from '../support/catalog-outputs.ts'
import { counts, expectCounts, records } from '../support/counted-keys.ts'
import { load, readAll, runWorker } from '../support/run-worker.ts'

export interface TopologyContractOptions {
  readonly partitions?: number
  readonly timeoutMs?: number
  readonly provider?: () => StoreProvider
}

export function topologyContract(
  name: string,
  world: World,
  open: () => Promise<{ log: Log; close(): Promise<void> }>,
  options: TopologyContractOptions = {},
): void {
  const { partitions = 3, timeoutMs = 60_000 } = options
  const provider = options.provider ?? memoryProvider

  it(`${name}: a position behind records that were aborted is committed, though no record comes`, { timeout: timeoutMs }, async () => {
    const { log, close } = await open()
    try {
      const counted = await runWorker({ log, topology: counts, applicationId: 'counts', world, partitions: 1, provider: provider() })
      await load(log, records(['a']), 1)
      await counted.untilCaughtUp()
      const writer = log.writer({ transactionalId: 'undecided', guarantee: 'exactly_once' })
      await writer.init()
      for (const { topic, key, value, timestamp } of records(['b'])) writer.append(topic, 0, timestamp, key, value, NO_HEADERS)
      writer.seal()
      await writer.flush()
      await writer.init()
      await writer.close()
      const [end] = await log.offsets([{ topic: 'in', partition: 0 }], 'settled')
      expect(end).toBe(log.kind === 'kafka' ? 3 : 1) // what was aborted, and the mark that says so
      await counted.untilCaughtUp()
      const [committed] = await log.committed('counts', [{ topic: 'in', partition: 0 }])
      expect(committed?.offset).toBe(end)
      await counted.worker.close()
      await expectCounts(log, 1)
    } finally {
      await close()
    }
  })

  it(
    `${name}: the catalog of a shuffled, duplicated history is the oracle's, with members that come and go`,
    async () => {
      const { log, close } = await open()
      try {
        const { events } = deliver(
          historyOf({ categories: 8, brands: 4, channels: 3, products: 30, edits: 200 }, 7),
          { shuffle: true, duplicates: 0.2, staleAfterDelete: 0.5 },
          7,
        )
        await log.createTopics([...CATALOG_TOPICS, 'catalog'].map((topic) => ({ name: topic, partitions, kind: 'plain' })))
        const records = events.map(({ topic, key, value, timestamp }) => ({
          topic,
          key: Buffer.from(key),
          value: Buffer.from(JSON.stringify(value)),
          timestamp,
        }))
        const third = Math.floor(records.length / 3)
        const setup = { log, topology: catalog, applicationId: 'catalog', world, partitions }
        const first = provider()
        const second = provider()
        const a = await runWorker({ ...setup, member: 'a', provider: first })
        await load(log, records.slice(0, third), partitions)
        const b = await runWorker({ ...setup, member: 'b', provider: second })
        await load(log, records.slice(third, 2 * third), partitions)
        await a.worker.close()
        await load(log, records.slice(2 * third), partitions)
        const again = await runWorker({ ...setup, member: 'a', provider: first })
        await Promise.all([again.untilCaughtUp(timeoutMs), b.untilCaughtUp(timeoutMs)])
        await again.worker.close()
        await b.worker.close()

        const outputs = (await readAll(log, 'catalog')).flat().map(
          ({ key, value }): CatalogOutput => ({
            key: (key as Buffer).toString(),
            value: value === null ? null : (JSON.parse(value.toString()) as CatalogRow),
          }),
        )
        expect(differences(tableOf(outputs), catalogOf(events))).toEqual([])
        expect(goneBack(outputs)).toEqual([])
      } finally {
        await close()
      }
    },
    2 * timeoutMs,
  )
}
