// The order system on a real Kafka: all services at once on the same topics, two of them killed in the middle, one that comes later.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  judgeAudit,
  judgeInventory,
  judgeLoyalty,
  judgePayment,
  judgeWarehouse,
  scenario,
  shopping,
} from '../../scripts/scenario/orders.ts'
import { disordered, type Sent } from '../../scripts/scenario/scenario.ts'
import { type Processor, startProcessorWith, succeed } from '../support/processor.ts'
import { seeded } from '../support/seeded.ts'
import { type RunningKafka, startKafka } from './broker.ts'
import { KAFKA, open, world } from './running.ts'

const TOPICS = ['orders', 'stock', 'reservations', 'payments', 'fulfilments', 'audit', 'points']
const PARTITIONS = 3
const SETTLE_MS = 60_000
const file = (name: string): string => `topologies/orders/${name}.ts`

describe.runIf(KAFKA)('orders', () => {
  let kafka: RunningKafka
  let base: string
  const running: Processor[] = []
  beforeAll(async () => {
    base = mkdtempSync(join(tmpdir(), 'millrace-orders-'))
    kafka = await startKafka()
  }, 180_000)
  afterAll(async () => {
    await Promise.all(running.map((processor) => processor.kill()))
    await kafka?.stop()
    rmSync(base, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
  }, 60_000)

  test('payment and warehouse killed in the middle: the others go on, and all is as it should be; loyalty replays', {
    timeout: 240_000,
  }, async () => {
    const random = seeded(7)
    const outside = await scenario.outside?.(random)
    if (outside === undefined) throw new Error('the scenario has no bank')
    const log = await open(kafka.brokers)
    await log.createTopics(TOPICS.map((name) => ({ name, partitions: PARTITIONS, kind: 'plain' })))
    const start = async (name: string): Promise<Processor> => {
      const words = [file(name), '--brokers', kafka.brokers, '--state-dir', join(base, name)]
      const processor = startProcessorWith({ env: outside.env }, ...words)
      running.push(processor)
      await processor.ready
      return processor
    }
    const read = async (topic: string, name: string): Promise<Sent[]> =>
      (await succeed(['consume', topic, '--brokers', kafka.brokers, '--topology', file(name)]))
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Sent)
    const produce = (sent: readonly Sent[]): Promise<string> =>
      succeed(
        ['produce', '--brokers', kafka.brokers, '--topology', file('inventory')],
        sent.map((one) => JSON.stringify(one)),
      )
    const settled = async (wrong: () => Promise<readonly string[]>): Promise<void> => {
      const deadline = world.clock.monotonic() + SETTLE_MS
      for (;;) {
        const found = await wrong()
        if (found.length === 0) return
        if (world.clock.monotonic() > deadline) expect(found.slice(0, 10)).toEqual([])
        await world.timers.sleep(300)
      }
    }
    try {
      const [, payment, warehouse] = await Promise.all(['inventory', 'payment', 'warehouse', 'audit'].map(start))
      const sent = disordered(shopping(random, 60), random)
      const half = Math.ceil(sent.length / 2)
      await produce(sent.slice(0, half))
      const ends = await Promise.all([payment?.kill(), warehouse?.kill()])
      expect(ends.map((ended) => ended?.signal)).toEqual(['SIGKILL', 'SIGKILL'])
      await produce(sent.slice(half))
      // Nobody is charged and nothing is fulfilled meanwhile; what does not need them goes on.
      await settled(async () => judgeInventory(sent, await read('reservations', 'inventory')))
      const before = await read('payments', 'payment')
      expect(judgePayment(sent, before), 'orders without an outcome').not.toEqual([])
      await Promise.all(['payment', 'warehouse'].map(start))
      await settled(async () => judgePayment(sent, await read('payments', 'payment')))
      const [payments, reservations] = [await read('payments', 'payment'), await read('reservations', 'inventory')]
      const heard = [...sent, ...payments, ...reservations]
      await settled(async () => judgeWarehouse(heard, await read('fulfilments', 'warehouse')))
      const fulfilments = await read('fulfilments', 'warehouse')
      expect(new Set(fulfilments.map(({ value }) => (value as { outcome: string }).outcome))).toEqual(new Set(['fulfilled', 'cancelled']))
      const events = [...heard.filter(({ topic }) => topic !== 'stock'), ...fulfilments]
      await settled(async () => judgeAudit(events, await read('audit', 'audit')))
      expect(outside.judge()).toEqual([])

      const places = TOPICS.filter((topic) => topic !== 'points').flatMap((topic) =>
        Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition })),
      )
      const ended = await log.offsets(places, 'latest')
      await start('loyalty')
      await settled(async () => judgeLoyalty(fulfilments, await read('points', 'loyalty')))
      expect(await log.offsets(places, 'latest'), 'the others have written nothing').toEqual(ended)
    } finally {
      await log.close()
      await outside.close()
    }
  })
})
