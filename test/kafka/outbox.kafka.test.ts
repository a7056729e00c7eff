// The outbox as a user has it: an application on a real PostgreSQL, `millrace outbox` as a process, a real Kafka, and the Java client that reads.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { outboxDdl } from '../../src/outbox/ddl.ts'
import { recordsOf } from '../outbox/relayed.ts'
import { millrace, startCommand } from '../support/processor.ts'
import { seeded } from '../support/seeded.ts'
import { type RunningKafka, startKafka } from './broker.ts'
import { readCommitted } from './java-reader.ts'
import { POSTGRES, type RunningPostgres, startPostgres } from './postgres.ts'
import { KAFKA, open } from './running.ts'

const ROWS = 10_000
const KEYS = 200
const KILLS = 10
const WRITERS = 6

describe.runIf(KAFKA && POSTGRES)('an outbox from PostgreSQL to Kafka', () => {
  // Three nodes: one alone that is killed in the wrong moment may leave a transaction open for ever (docs/reliability.md).
  let kafka: RunningKafka
  let postgres: RunningPostgres
  beforeAll(async () => {
    ;[kafka, postgres] = await Promise.all([startKafka({ nodes: 3 }), startPostgres()])
  }, 180_000)
  afterAll(async () => {
    await Promise.all([kafka?.stop(), postgres?.stop()])
  }, 60_000)

  test(`${ROWS} rows, the relay killed ${KILLS} times, the broker once: each row once, in order per key`, {
    timeout: 300_000,
  }, async () => {
    const log = await open(kafka.brokers)
    await log.createTopics([{ name: 'orders', partitions: 4, kind: 'plain' }])
    await log.close()
    const admin = await postgres.connect()
    await admin.query(outboxDdl('postgres', 'outbox'))
    await admin.query('CREATE TABLE accounts (key text PRIMARY KEY, seq int NOT NULL)')
    await admin.query(`INSERT INTO accounts SELECT 'k' || n, 0 FROM generate_series(0, ${KEYS - 1}) AS n`)
    // It reads the one table, and may do no more.
    await admin.query('CREATE ROLE relay LOGIN; GRANT SELECT ON outbox TO relay')
    const words = ['outbox', '--database', postgres.url.replace('app@', 'relay@'), '--brokers', kafka.brokers, '--json', '--rate']
    const relayed = async (): Promise<number> => {
      const { rows } = await admin.query(`SELECT count(*)::int AS n FROM outbox`)
      return (rows[0] as { n: number }).n
    }

    const writing = write(postgres)
    const random = seeded(5)
    for (let kill = 0; kill < KILLS; kill++) {
      const relay = startCommand([...words, '2500'])
      await relay.said('"msg":"relaying"')
      await sleep(random.below(600))
      if (kill === 4) await Promise.all([kafka.kill(2), sleep(random.below(300))])
      expect(await relay.kill()).toMatchObject({ signal: 'SIGKILL' })
      if (kill === 4) await kafka.restart(2)
    }
    await writing
    expect(await relayed()).toBe(ROWS)
    const begun = performance.now()
    const last = await millrace([...words, '1000000', '--once'])
    expect(last).toMatchObject({ code: 0, out: '' })
    const told = last.errors
      .split('\n')
      .filter((line) => line.includes('"msg":"relayed"'))
      .map((line) => JSON.parse(line) as { rows: number; rowsEver: number })
    // One that finds nothing left says nothing.
    if (told.length > 0) expect(told.at(-1)?.rowsEver).toBe(ROWS)
    const left = told.reduce((sum, { rows }) => sum + rows, 0)
    console.info(`${left} of ${ROWS} rows were left for the last relay: ${Math.round(performance.now() - begun)} ms`)

    const records = await readCommitted(kafka.brokers, 'orders')
    expect(records).toHaveLength(ROWS)
    const seen = new Map<string, number>()
    for (const { key, value } of records) {
      const seq = (JSON.parse(String(value)) as { seq: number }).seq
      expect(seq, `${key}`).toBe((seen.get(String(key)) ?? 0) + 1)
      seen.set(String(key), seq)
    }
    expect([...seen.values()].reduce((sum, one) => sum + one, 0)).toBe(ROWS)
    await admin.end()
  })

  test('a second relay takes over; a topic that is not there is named', { timeout: 90_000 }, async () => {
    const log = await open(kafka.brokers)
    await log.createTopics([{ name: 'events', partitions: 2, kind: 'plain' }])
    const admin = await postgres.connect()
    await admin.query(outboxDdl('postgres', 'second'))
    const place = (topic: string, value: number): Promise<unknown> =>
      admin.query('INSERT INTO second (topic, key, value) VALUES ($1, $2, $3)', [topic, 'k', value])
    const words = ['outbox', '--database', postgres.url, '--table', 'second', '--name', 'second', '--brokers', kafka.brokers, '--json']
    const older = startCommand(words)
    await older.said('"msg":"relaying"')
    const newer = startCommand(words)
    await newer.said('"msg":"relaying"')
    for (let i = 0; i < 20; i++) await place('events', i)
    expect(await older.ended).toMatchObject({ code: 1 })
    await older.said('millrace: another relay has taken over the name second')
    await place('absent', 20)
    expect(await newer.ended).toMatchObject({ code: 1 })
    await newer.said('table second is for the topic absent, which does not exist; create it')
    const records = (await recordsOf(log, 'events')).flat()
    await log.close()
    expect(records.map(({ value }) => Number(value))).toEqual(Array.from({ length: 20 }, (_, i) => i))
    await admin.end()
  })

  test('a relay outlives a broker that it writes to', { timeout: 90_000 }, async () => {
    const log = await open(kafka.brokers)
    await log.createTopics([{ name: 'outlived', partitions: 3, kind: 'plain' }]) // each broker leads one of them
    const admin = await postgres.connect()
    await admin.query(outboxDdl('postgres', 'third'))
    const keys = Array.from({ length: 30 }, (_, i) => `k${i}`)
    const place = async (value: number): Promise<void> => {
      for (const key of keys)
        await admin.query('INSERT INTO third (topic, key, value) VALUES ($1, $2, $3)', ['outlived', key, String(value)])
    }
    const relay = startCommand([
      'outbox',
      '--database',
      postgres.url,
      '--table',
      'third',
      '--name',
      'third',
      '--brokers',
      kafka.brokers,
      '--json',
    ])
    await relay.said('"msg":"relaying"')
    const relayed = async (): Promise<readonly (readonly string[])[]> => {
      const found = (await recordsOf(log, 'outlived')).flat()
      return keys.map((of) => found.filter(({ key }) => String(key) === of).map(({ value }) => String(value)))
    }
    await place(1)
    await expect.poll(relayed, { timeout: 20_000 }).toEqual(keys.map(() => ['1']))
    await kafka.kill(2)
    await place(2)
    await expect.poll(relayed, { timeout: 40_000, interval: 500 }).toEqual(keys.map(() => ['1', '2']))
    expect(await relay.stop()).toMatchObject({ code: 0 })
    await kafka.restart(2)
    await log.close()
    await admin.end()
  })
})

/** The application: clients that write at the same time, some slowly, some that change their mind. */
async function write(postgres: RunningPostgres): Promise<void> {
  let left = ROWS
  const writer = async (seed: number): Promise<void> => {
    const random = seeded(seed)
    const client: Client = await postgres.connect()
    while (left > 0) {
      const count = Math.min(left, 1 + random.below(5))
      left -= count
      await client.query('BEGIN')
      if (random.chance(0.3)) await client.query('SELECT pg_current_xact_id()')
      const keys = [...new Set(Array.from({ length: count }, () => `k${random.below(KEYS)}`))].sort() // sorted: nobody waits in a circle
      for (const key of keys)
        await client.query(
          `WITH account AS (UPDATE accounts SET seq = seq + 1 WHERE key = $1 RETURNING seq)
           INSERT INTO outbox (topic, key, value) SELECT 'orders', $1, jsonb_build_object('seq', seq) FROM account`,
          [key],
        )
      if (random.chance(0.02)) await sleep(random.below(200))
      const kept = random.chance(0.9)
      await client.query(kept ? 'COMMIT' : 'ROLLBACK')
      left += kept ? count - keys.length : count
    }
    await client.end()
  }
  await Promise.all(Array.from({ length: WRITERS }, (_, i) => writer(i + 1)))
}
