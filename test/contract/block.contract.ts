// Keys that wait behind their dead letters in running workers: the tasks move to another member with all that waits, the letters are replayed
// as `millrace dead-letter` does, and each key's records come out in their order, once. On any log.
import { expect, it } from 'vitest'
import type { World } from '../../src/base/ports.ts'
import type { DeadLetterAsk } from '../../src/control/dead-letter-ask.ts'
import { recordsControl } from '../../src/control/records.ts'
import { json, string, topology } from '../../src/index.ts'
import type { Log } from '../../src/log/log.ts'
import { DEFAULT_POLICIES } from '../../src/runtime/dead-letter.ts'
import { memoryProvider } from '../../src/state/memory.ts'
import { plan as planOf } from '../../src/topology/plan.ts'
import { load, readAll, runWorker } from '../support/run-worker.ts'

const KEYS = 6
const COUNT = 120
/** The first of k5 that fails. */
const DROPPED = 23
const policies = { ...DEFAULT_POLICIES, blockKey: { maxRecords: 1_000 } }

export function blockContract(name: string, world: World, open: () => Promise<{ log: Log; close(): Promise<void> }>): void {
  it(`${name}: what waits behind dead letters moves with its task, and goes in order after a replay`, { timeout: 120_000 }, async () => {
    const { log, close } = await open()
    let mended = false
    const program = topology('block', (t) => {
      t.stream('block-in', { key: string(), value: json<number>() })
        .peek((n) => {
          if (n % 10 === 3 && !mended) throw new Error('not yet')
        })
        .to('block-out', { key: string(), value: json<number>() })
    })
    try {
      await log.createTopics(['block-in', 'block-out'].map((topic) => ({ name: topic, partitions: 3, kind: 'plain' })))
      const records = Array.from({ length: COUNT }, (_, n) => ({
        topic: 'block-in',
        key: Buffer.from(`k${n % KEYS}`),
        value: Buffer.from(String(n)),
        timestamp: 1_000 + n,
      }))
      const setup = { log, topology: program, applicationId: 'block', world, partitions: 3, policies }
      const a = await runWorker({ ...setup, member: 'a', provider: memoryProvider() })
      await load(log, records.slice(0, COUNT / 2), 3)
      await a.untilCaughtUp(60_000)
      const before = (await readAll(log, 'block-out')).flat().length
      expect(before).toBeLessThan(COUNT / 3)
      const b = await runWorker({ ...setup, member: 'b', provider: memoryProvider() })
      await Promise.all([a.untilCaughtUp(60_000), b.untilCaughtUp(60_000)])
      mended = true
      const control = recordsControl({ log, plan: planOf(program, 'block', policies), world, createPartitions: null })
      const settle = async (ask: DeadLetterAsk): Promise<void> => {
        for await (const lines of control.deadLetters(ask, new AbortController().signal)) expect(lines.join()).toMatch(/done/)
      }
      await settle({ act: 'drop', key: 'k5' }) // what waits behind it goes on
      await settle({ act: 'replay' })
      await load(log, records.slice(COUNT / 2), 3)
      await a.worker.close()
      await b.untilCaughtUp(60_000)
      const out = async () => (await readAll(log, 'block-out')).flat()
      await expect.poll(async () => (await out()).length, { timeout: 30_000 }).toBe(COUNT - 1)
      for (let k = 0; k < KEYS; k++) {
        const numbers = (await out()).filter(({ key }) => String(key) === `k${k}`).map(({ value }) => Number(value))
        expect(numbers).toEqual(Array.from({ length: COUNT / KEYS }, (_, i) => k + i * KEYS).filter((n) => n !== DROPPED))
      }
      await b.worker.close()
    } finally {
      await close()
    }
  })
}
