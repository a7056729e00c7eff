// `dead-letter` on a real Kafka: by its own code on a client of it, and as a user types it, killed half-way.
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LogRecord } from '../../src/base/record.ts'
import type { Log } from '../../src/log/log.ts'
import { deadLetter } from '../../src/runtime/dead-letter.ts'
import { millrace, start } from '../cli/binary.ts'
import { recordsIn } from '../control/letters.ts'
import { type RunningKafka, startKafka } from './broker.ts'
import { KAFKA, open } from './running.ts'

const LETTERS = 200

describe.runIf(KAFKA)('dead letters on Kafka', { timeout: 180_000 }, () => {
  let kafka: RunningKafka
  let log: Log
  beforeAll(async () => {
    kafka = await startKafka()
    log = await open(kafka.brokers)
    await log.createTopics([
      { name: 'orders', partitions: 2, kind: 'plain' },
      { name: 'shop-dead-letter', partitions: 2, kind: 'deadLetter' },
    ])
  }, 180_000)
  afterAll(async () => {
    await log?.close()
    await kafka?.stop()
  }, 60_000)

  async function lay(from: number, count: number): Promise<void> {
    const writer = log.writer({ transactionalId: 'task', guarantee: 'exactly_once' })
    await log.topics(['shop-dead-letter'])
    await writer.init()
    for (let n = from; n < from + count; n++) {
      const record = {
        offset: n,
        timestamp: 1_700_000_000_000 + n,
        key: Buffer.from(`k${n % 7}`),
        value: Buffer.from(String(n)),
        headers: [],
      }
      const letter = deadLetter('orders', n % 2, record, new Error('not now'))
      writer.append('shop-dead-letter', n % 2, record.timestamp, letter.key, letter.value, letter.headers)
    }
    writer.seal()
    await writer.flush()
    await writer.commit(null, '', [])
    await writer.close()
  }
  const ordersOf = (partition: number): Promise<LogRecord[]> => recordsIn(log, 'orders', partition)
  const words = (...args: string[]): string[] => ['dead-letter', ...args, '--brokers', kafka.brokers, '--application-id', 'shop']
  const listed = async (...args: string[]): Promise<any[]> => {
    const { status, out, err } = await millrace(words('list', '--json', ...args))
    expect(status, err).toBe(0)
    return out
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
  }

  test('each once and in order, over kills, beside a topology or not', async () => {
    await lay(0, LETTERS)
    expect(await listed('--limit', '1')).toMatchObject([
      {
        offset: '0:0',
        from: { topic: 'orders', partition: 0, offset: 0 },
        key: 'k0',
        value: '0',
        message: 'not now',
        timestamp: 1_700_000_000_000,
      },
    ])
    expect(await millrace(words('drop', '--key', 'k6'))).toMatchObject({ status: 0, err: '' })
    // Killed when it has done some of its seven seconds of work.
    const pending = (await listed()).length
    const killed = start(words('replay', '--rate', '25'))
    const orders = [0, 1].map((partition) => ({ topic: 'orders', partition }))
    const replayed = async (): Promise<number> => Math.max(...(await log.offsets(orders, 'settled')))
    await expect.poll(replayed, { timeout: 30_000 }).toBeGreaterThan(0)
    killed.child.kill('SIGKILL')
    await killed.ended
    const rest = (await listed()).length
    expect(rest).toBeGreaterThan(0)
    expect(rest).toBeLessThan(pending)
    await lay(LETTERS, 10)
    const left = (await listed()).length
    expect(await millrace(words('replay', '--rate', '100000'))).toMatchObject({
      status: 0,
      out: `${left} dead letters replayed\n`,
      err: '',
    })
    expect(await millrace(words('replay'))).toMatchObject({ status: 0, out: '0 dead letters replayed\n', err: '' })
    for (const partition of [0, 1]) {
      const orders = await ordersOf(partition)
      const want = Array.from({ length: LETTERS + 10 }, (_, n) => n).filter((n) => n % 2 === partition && (n >= LETTERS || n % 7 !== 6))
      expect(orders.map(({ value }) => Number(value))).toEqual(want)
      expect(orders.every(({ timestamp, value }) => timestamp === 1_700_000_000_000 + Number(value))).toBe(true)
      expect(orders.every(({ headers }) => headers.length === 1 && headers[0]?.[0] === '__millrace.replay.of')).toBe(true)
    }
  })

  test('letters of a topic that was made anew are pending, whatever was done of the old one', async () => {
    await log.deleteTopics(['shop-dead-letter'])
    await expect.poll(async () => (await log.topics(['shop-dead-letter'])).size, { timeout: 30_000 }).toBe(0)
    await log.createTopics([{ name: 'shop-dead-letter', partitions: 2, kind: 'deadLetter' }])
    await lay(0, 4)
    expect(await listed()).toHaveLength(4)
    expect(await millrace(words('replay'))).toMatchObject({ status: 0, out: '4 dead letters replayed\n', err: '' })
    expect(await listed()).toHaveLength(0)
  })

  test('which application is asked for', async () => {
    const { status, err } = await millrace(['dead-letter', 'list', '--brokers', kafka.brokers])
    expect({ status, err }).toMatchObject({ status: 2, err: expect.stringMatching(/^millrace: whose dead letters\? .*--application-id/) })
    const file = join('topologies', 'catalog.ts')
    expect(await millrace(['dead-letter', 'list', '--brokers', kafka.brokers, '--topology', file])).toMatchObject({
      status: 2,
      err: expect.stringMatching(/there is no topic catalog-dead-letter/),
    })
  })
})
