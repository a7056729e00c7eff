// Calls of a mapAsync in real workers, on any log: two members share the tasks, one of them is closed in the middle of its calls and comes
// back. Run on the memory, embedded and Kafka logs.
import { expect, it } from 'vitest'
import type { World } from '../../src/base/ports.ts'
import { json, string, topology } from '../../src/index.ts'
import type { Log } from '../../src/log/log.ts'
import { memoryProvider } from '../../src/state/memory.ts'
import { load, readAll, runWorker } from '../support/run-worker.ts'

const KEYS = 20
const RECORDS = 400
const PARTITIONS = 3

interface Job {
  readonly n: number
}

export function callsContract(
  name: string,
  world: World,
  open: () => Promise<{ log: Log; close(): Promise<void> }>,
  timeoutMs = 30_000,
): void {
  const title = 'each record is answered once, in the order of its key, with one idempotency key, over members that come and go'
  it(`${name}: ${title}`, { timeout: 2 * timeoutMs }, async () => {
    const idOf = new Map<number, string>()
    const calls = { made: 0, aborted: 0, open: 0, mostOpen: 0 }
    const program = topology('calls', (t) => {
      t.stream('jobs', { key: string(), value: json<Job>() })
        .mapAsync(
          async ({ n }, _, { idempotencyKey, signal }) => {
            expect(idOf.get(n) ?? idempotencyKey).toBe(idempotencyKey)
            idOf.set(n, idempotencyKey)
            calls.made++
            calls.mostOpen = Math.max(calls.mostOpen, ++calls.open)
            await world.timers.sleep(world.random.below(20))
            calls.open--
            if (signal.aborted) calls.aborted++
            if (n % 7 === 0 && world.random.below(2) === 0) throw new Error('not now')
            return { n }
          },
          { store: 'answers', concurrency: 6, retry: { attempts: 50, backoff: '2ms' }, value: json<Job>() },
        )
        .to('done', { key: string(), value: json<Job>() })
    })
    const { log, close } = await open()
    try {
      await log.createTopics(['jobs', 'done'].map((topic) => ({ name: topic, partitions: PARTITIONS, kind: 'plain' })))
      const records = Array.from({ length: RECORDS }, (_, n) => ({
        topic: 'jobs',
        key: Buffer.from(`k${n % KEYS}`),
        value: Buffer.from(JSON.stringify({ n })),
        timestamp: n,
      }))
      const setup = { log, topology: program, applicationId: 'calls', world, partitions: PARTITIONS }
      const [first, second] = [memoryProvider(), memoryProvider()]
      const a = await runWorker({ ...setup, member: 'a', provider: first })
      await load(log, records.slice(0, RECORDS / 2), PARTITIONS)
      const b = await runWorker({ ...setup, member: 'b', provider: second })
      await load(log, records.slice(RECORDS / 2), PARTITIONS)
      await world.timers.sleep(100)
      await a.worker.close()
      const again = await runWorker({ ...setup, member: 'a', provider: first })

      const answered = async (): Promise<{ key: string; n: number }[]> =>
        (await readAll(log, 'done')).flat().map(({ key, value }) => ({ key: String(key), n: (JSON.parse(String(value)) as Job).n }))
      const endMs = world.clock.monotonic() + timeoutMs
      while ((await answered()).length < RECORDS && world.clock.monotonic() < endMs) await world.timers.sleep(50)
      await Promise.all([again.untilCaughtUp(timeoutMs), b.untilCaughtUp(timeoutMs)])
      await again.worker.close()
      await b.worker.close()

      const done = await answered()
      expect(done.map(({ n }) => n).sort((x, y) => x - y)).toEqual(records.map((_, n) => n))
      for (let k = 0; k < KEYS; k++) {
        const order = done.filter(({ key }) => key === `k${k}`).map(({ n }) => n)
        expect(order).toEqual([...order].sort((x, y) => x - y))
      }
      expect(new Set(idOf.values()).size).toBe(RECORDS)
      expect(calls.mostOpen, 'calls at once').toBeGreaterThan(6)
      expect(calls.made, 'calls made again').toBeGreaterThan(RECORDS)
    } finally {
      await close()
    }
  })
}
