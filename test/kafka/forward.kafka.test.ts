// Two instances on a real Kafka: whichever is asked, a key is answered by the one that has it, and ranges by both; also after one has gone and come back
// at another port. The live page of each shows its own tasks and where the other is, and replays dead letters of both.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { partitionOf } from '../../src/base/murmur2.ts'
import { NO_HEADERS } from '../../src/base/record.ts'
import { int64, json, StreamProcessor, string, topology } from '../../src/index.ts'
import type { Log } from '../../src/log/log.ts'
import type { Live } from '../../src/server/live.ts'
import { CHROMIUM, openBrowser } from '../page/chromium.ts'
import { liveNow } from '../support/live-now.ts'
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
  t.stream('priced', { key: string(), value: json<{ price: number }>() })
    .filter(({ price }) => price.toFixed(2) !== '0.00')
    .to('counted', { key: string(), value: json() })
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
    await log.createTopics(['asked', 'counted', 'priced'].map((name) => ({ name, partitions: 4, kind: 'plain' as const })))
    await log.topics(['asked', 'priced'])
    const writer = log.writer({ transactionalId: 'asker', guarantee: 'at_least_once' })
    await writer.init()
    for (const [n, key] of KEYS.entries())
      for (let i = 0; i <= n; i++)
        writer.append('asked', partitionOf(Buffer.from(key), 4), 1, Buffer.from(key), Buffer.from('x'), NO_HEADERS)
    // One that throws in each partition, so that each instance gives two up.
    for (let partition = 0; partition < 4; partition++) writer.append('priced', partition, 1, null, Buffer.from('{}'), NO_HEADERS)
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
  const until = async <T>(look: () => Promise<T>, is: (seen: T) => boolean): Promise<void> => {
    const giveUp = world.clock.monotonic() + 30_000
    for (;;) {
      const seen = await look()
      if (is(seen)) return
      if (world.clock.monotonic() > giveUp) throw new Error(`in vain: ${JSON.stringify(seen)}`)
      await world.timers.sleep(100)
    }
  }
  /** All rows of a store whose tasks are spread over both, page by page. */
  const rangeOf = async (app: StreamProcessor): Promise<string> => {
    const found: string[] = []
    for (let from: string | undefined = ''; from !== undefined; ) {
      const url = `http://127.0.0.1:${app.status().port}/stores/counts?limit=10&from=${from}`
      const answer = await fetch(url, { headers: { authorization: `Bearer ${TOKEN}` } })
      if (answer.status !== 200) return `${answer.status} ${await answer.text()}`
      const page = (await answer.json()) as { entries: readonly { key: string; value: number }[]; next?: string }
      found.push(...page.entries.map(({ key, value }) => `${key}: ${value}`))
      from = page.next
    }
    return found.join()
  }
  const wholeRange = KEYS.map((key, n) => `${key}: ${n + 1}`)
    .toSorted((x, y) => (x.split(':')[0] as string).localeCompare(y.split(':')[0] as string, 'en'))
    .join()
  const answersAll = (app: StreamProcessor): Promise<void> =>
    until(
      async () => (await statuses(app)).filter((one) => one !== 'right'),
      (wrong) => wrong.length === 0,
    )

  /** Each has its half, and answers for both. Who has just joined tells of its address, which is a rebalance of its own. */
  const shared = async (...both: readonly [StreamProcessor, StreamProcessor]): Promise<void> => {
    await until(
      async () => both.map((app) => app.status().tasks.length),
      (lengths) => lengths.every((length) => length === 4),
    )
    for (const app of both) await answersAll(app)
    await until(
      () => Promise.all(both.map(rangeOf)),
      (ranges) => ranges.every((range) => range === wholeRange),
    )
    expect(both.map((app) => app.status().tasks.length)).toEqual([4, 4])
  }

  const live = (app: StreamProcessor): Promise<Live> => liveNow(app.status().port as number, TOKEN)

  test('each instance answers all keys; so does one that has come back at another port, and the other then', async () => {
    const [a, b] = [await start('a'), await start('b')]
    await shared(a, b)
    // It keeps its place in the group, so nobody would hear of its new port if it did not say so.
    const before = b.status().port
    running.delete(b)
    await b.close({ leave: false })
    const again = await start('b')
    expect(again.status().port).not.toBe(before)
    await shared(a, again)
  })

  test('the live page of each shows its tasks and names the other; dead letters of both are replayed from one', async () => {
    const [a, b] = [...running] as [StreamProcessor, StreamProcessor]
    // Figures of a task begin with the second in which it is looked at.
    for (const [app, other] of [
      [a, b],
      [b, a],
    ] as const) {
      const others = [{ address: `127.0.0.1:${other.status().port}`, tasks: 4 }]
      const looks = async () => live(app).then((seen) => ({ tasks: seen.tasks.length, others: seen.others }))
      await expect.poll(looks, { timeout: 30_000 }).toEqual({ tasks: 4, others })
    }
    const ids = [await live(a), await live(b)].flatMap(({ tasks }) => tasks.map(({ id }) => id))
    expect(ids.sort()).toEqual(['0', '1'].flatMap((sub) => [0, 1, 2, 3].map((n) => `${sub}_${n}`)))
    const askA = async (path: string, body?: object): Promise<any> => {
      const headers = { authorization: `Bearer ${TOKEN}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
      const act = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
      return await (await fetch(`http://127.0.0.1:${a.status().port}${path}`, { headers, ...act })).json()
    }
    const pending = async (): Promise<readonly string[]> =>
      (await askA('/dead-letters')).letters.map((one: { offset: string }) => one.offset)
    await until(pending, (offsets) => offsets.length === 4)
    const offsets = await pending()
    expect(await askA('/dead-letters/replay', { offsets })).toEqual({ done: 4, refused: [], absent: [] })
    // They throw again, wherever they run.
    await until(pending, (now) => now.length === 4 && now.every((offset) => !offsets.includes(offset)))
    if (CHROMIUM === null) return
    const { page, close } = await openBrowser()
    try {
      await page.size(1440, 900)
      await page.go(`http://127.0.0.1:${a.status().port}/#process`)
      await page.click('#token-field')
      await page.type(TOKEN)
      await page.press('Enter')
      await page.until(`document.querySelector('#others')?.textContent ?? ''`, (text: string) =>
        text.includes(`127.0.0.1:${b.status().port}`),
      )
      if (process.env.MILLRACE_SHOTS !== undefined) writeFileSync(join(process.env.MILLRACE_SHOTS, 'two-instances.png'), await page.shot())
    } finally {
      await close()
    }
  })
})
