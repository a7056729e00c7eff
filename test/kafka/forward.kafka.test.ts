// Two instances on a real Kafka: whichever is asked, a key is answered by the one that has it; also after one has gone and come back
// at another port.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { partitionOf } from '../../src/base/murmur2.ts'
import { NO_HEADERS } from '../../src/base/record.ts'
import { int64, StreamProcessor, string, topology } from '../../src/index.ts'
import type { Log } from '../../src/log/log.ts'
import { type RunningKafka, startKafka } from './broker.ts'
import { KAFKA, open, world } from './running.ts'

const TOKEN = 'shared-0123456789-0123456789-0123456789'
const KEYS = Array.from({ length: 24 }, (_, n) => `k${n}`)
const counting = topology('forwarded', (t) => {
  t.stream('asked', { key: string(), value: string() })
    .groupByKey()
    .count({ store: 'counts' })
    .toStream()
    .to('counted', { key: string(), value: int64() })
})

describe.runIf(KAFKA)('queries of keys that another instance has', { timeout: 120_000 }, () => {
  let kafka: RunningKafka
  let log: Log
  let base: string
  const running = new Set<StreamProcessor>()
  beforeAll(async () => {
    base = mkdtempSync(join(tmpdir(), 'millrace-forward-'))
    kafka = await startKafka()
    log = await open(kafka.brokers)
    await log.createTopics(['asked', 'counted'].map((name) => ({ name, partitions: 4, kind: 'plain' as const })))
    await log.topics(['asked'])
    const writer = log.writer({ transactionalId: 'asker', guarantee: 'at_least_once' })
    await writer.init()
    for (const [n, key] of KEYS.entries())
      for (let i = 0; i <= n; i++)
        writer.append('asked', partitionOf(Buffer.from(key), 4), 1, Buffer.from(key), Buffer.from('x'), NO_HEADERS)
    writer.seal()
    await writer.flush()
    await writer.close()
  }, 180_000)
  afterAll(async () => {
    for (const app of running) await app.close()
    await log?.close()
    await kafka?.stop()
    rmSync(base, { recursive: true, force: true })
  }, 60_000)

  const start = async (name: string): Promise<StreamProcessor> => {
    const app = new StreamProcessor(counting, {
      brokers: [kafka.brokers],
      stateDir: join(base, name),
      server: { port: 0, token: TOKEN },
    })
    running.add(app)
    await app.start()
    return app
  }
  const statuses = async (app: StreamProcessor): Promise<readonly string[]> =>
    await Promise.all(
      KEYS.map(async (key, n) => {
        const answer = await fetch(`http://127.0.0.1:${app.status().port}/stores/counts/${key}`, {
          headers: { authorization: `Bearer ${TOKEN}` },
        })
        const right = answer.status === 200 && (await answer.text()) === `{"key":"${key}","value":${n + 1}}`
        return right ? 'right' : `${key}: ${answer.status}`
      }),
    )
  const answersAll = async (app: StreamProcessor): Promise<void> => {
    const giveUp = world.clock.monotonic() + 30_000
    for (;;) {
      const wrong = (await statuses(app)).filter((one) => one !== 'right')
      if (wrong.length === 0) return
      if (world.clock.monotonic() > giveUp) expect(wrong).toEqual([])
      await world.timers.sleep(100)
    }
  }

  test('each instance answers all keys; so does one that has come back at another port, and the other then', async () => {
    const [a, b] = [await start('a'), await start('b')]
    await answersAll(a)
    await answersAll(b)
    expect([a.status().tasks.length, b.status().tasks.length]).toEqual([2, 2])
    // It keeps its place in the group, so nobody would hear of its new port if it did not say so.
    const before = b.status().port
    running.delete(b)
    await b.close({ leave: false })
    const again = await start('b')
    expect(again.status().port).not.toBe(before)
    await answersAll(again)
    await answersAll(a)
    expect([a.status().tasks.length, again.status().tasks.length]).toEqual([2, 2])
  })
})
