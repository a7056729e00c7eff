// An outbox in a real PostgreSQL, relayed to a log in memory: transactions that begin, write and end in any order, a server that dies, what is refused.
import type { Client } from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { systemWorld } from '../../src/base/system.ts'
import { type MemoryLog, memoryLog } from '../../src/log/memory.ts'
import { outboxDdl } from '../../src/outbox/ddl.ts'
import { postgresSource } from '../../src/outbox/postgres.ts'
import { NO_ID, queriesOf } from '../../src/outbox/postgres-sql.ts'
import type { RelayOptions } from '../../src/outbox/relay.ts'
import { tableName } from '../../src/outbox/table.ts'
import { hastyWorld, recordsOf, relayOf, written } from '../outbox/relayed.ts'
import { type Seeded, seeded } from '../support/seeded.ts'
import { POSTGRES, type RunningPostgres, startPostgres } from './postgres.ts'
import { KAFKA } from './running.ts'

const HISTORIES = 8
const STEPS = 120
const KEYS = ['a', 'b', 'c']

describe.runIf(KAFKA && POSTGRES)('an outbox in PostgreSQL', { timeout: 60_000 }, () => {
  const world = systemWorld()
  let postgres: RunningPostgres
  let admin: Client
  let log: MemoryLog
  beforeAll(async () => {
    postgres = await startPostgres()
    admin = await postgres.connect()
  }, 60_000)
  afterAll(async () => {
    await admin?.end().catch(() => {})
    await postgres?.stop()
  }, 60_000)
  beforeEach(async () => {
    log = memoryLog(world)
    await admin.query('DROP TABLE IF EXISTS outbox, accounts, other; DROP FUNCTION IF EXISTS outbox_notify')
    await admin.query(outboxDdl('postgres', 'outbox'))
  })

  const source = (words: { url?: string; table?: string; topic?: string } = {}) =>
    postgresSource({ url: words.url ?? postgres.url, table: tableName(words.table ?? 'outbox'), topic: words.topic ?? null, world })
  const relay = (options: Partial<RelayOptions> = {}, from = source()) => relayOf(log.another(), from, { world, ...options })
  const values = async (topic = 'orders'): Promise<string[]> => (await recordsOf(log, topic)).flat().map(({ value }) => String(value))
  const insert = 'INSERT INTO outbox (topic, key, value) VALUES ($1, $2, $3)'
  const place = (value: string): Promise<unknown> => admin.query(insert, ['orders', 'k', JSON.stringify(value)])
  const refusal = async (from = source()): Promise<string> => {
    const error = await relay({}, from).ended.then(
      () => null,
      (found: Error) => found,
    )
    return error?.message ?? 'nothing'
  }

  test('any history: what is committed late is not left out, nothing comes twice, keys keep their order', async () => {
    let overtaken = 0
    for (let history = 0; history < HISTORIES; history++) {
      await admin.query('DROP TABLE IF EXISTS accounts; DELETE FROM outbox; CREATE TABLE accounts (key text PRIMARY KEY, seq int NOT NULL)')
      for (const key of KEYS) await admin.query('INSERT INTO accounts VALUES ($1, 0)', [key])
      log = memoryLog(world)
      const clients = await Promise.all(Array.from({ length: 4 }, () => postgres.connect()))
      const committed = await live(
        clients,
        seeded(history),
        async (rowsPerSecond) => await relay({ rowsPerSecond, world: hastyWorld() }).ended,
      )
      await relay().ended
      const found = (await recordsOf(log, 'orders')).flat().map(({ key, value }) => `${key} ${value}`)
      expect([...found].sort(), `history ${history}`).toEqual([...committed].sort())
      for (const key of KEYS) {
        const numbers = found.filter((one) => one.startsWith(`${key} `)).map((one) => Number(one.split(' ')[1]))
        expect(numbers, `history ${history}, key ${key}`).toEqual(Array.from(numbers, (_, i) => i + 1))
      }
      const { rows } = await admin.query('SELECT key || $1 || value AS name FROM outbox ORDER BY id', [' '])
      overtaken += rows.filter(({ name }, i) => name !== committed[i]).length
      await Promise.all(clients.map((client) => client.end()))
    }
    expect(overtaken, 'ids in another order than the commits').toBeGreaterThan(30)
  })

  test('a notification wakes it, long before it would look by itself', async () => {
    const running = relay({ once: false, pollMs: 600_000 })
    await expect.poll(() => running.status().caughtUp, { timeout: 15_000 }).toBe(true)
    await place('now')
    await expect.poll(() => values(), { timeout: 20_000, interval: 5 }).toEqual(['"now"'])
    await running.stop()
    await running.ended
  })

  test('a server that dies and comes back', async () => {
    await place('1')
    const running = relay({ once: false, pollMs: 50 })
    await expect.poll(() => values(), { timeout: 15_000 }).toEqual(['"1"'])
    await postgres.kill()
    await expect
      .poll(() => running.status().waitsFor, { timeout: 10_000 })
      .toMatch(/^postgres:\/\/app@127.0.0.1:\d+\/postgres, table outbox: /)
    await postgres.restart()
    admin = await postgres.connect()
    await place('2')
    await expect.poll(() => values(), { timeout: 20_000 }).toEqual(['"1"', '"2"'])
    expect(running.status()).toMatchObject({ rows: 2, waitsFor: null })
    await running.stop()
  })

  test('what is refused, and by which words', async () => {
    await admin.query(`
      CREATE TABLE other (id bigint, key text, value text, xid bigint);
    `)
    expect(await refusal(source({ url: postgres.url.replace(/postgres$/, 'none') }))).toMatch(/database "none" does not exist/)
    expect(await refusal(source({ table: 'absent' }))).toMatch(
      /there is no such table; make it with what millrace outbox --ddl postgres prints/,
    )
    expect(await refusal(source({ table: 'other' }))).toMatch(
      /^table other has no column topic \(or name one topic for all rows with --topic\); it has id, key, value, xid/,
    )
    expect(await refusal(source({ table: 'other', topic: 'orders' }))).toMatch(/^table other: its column xid must be xid8 NOT NULL/)
    await admin.query('ALTER TABLE other DROP xid; ALTER TABLE other ADD xid xid8 NOT NULL DEFAULT pg_current_xact_id()')
    expect(await refusal(source({ table: 'other', topic: 'orders' }))).toMatch(/^table other: its column id must be NOT NULL and unique/)
    await admin.query('ALTER TABLE other ADD PRIMARY KEY (id)')
    expect(await refusal(source({ table: 'other', topic: 'orders' }))).toBe('nothing')
    await place('1')
    await admin.query(`INSERT INTO outbox (xid, topic, key, value) VALUES ('9000000000', 'orders', 'k', '2')`)
    expect(await refusal(source())).toMatch(
      /the relay outbox is of postgres \d+ postgres public.other, and this is postgres \d+ postgres public.outbox/,
    )
    log = memoryLog(world)
    expect(await refusal()).toMatch(/^row 2 of outbox: its xid is of a transaction that this server has not come to/)
    await admin.query('UPDATE outbox SET xid = pg_current_xact_id() WHERE id = 2')
    expect(await refusal()).toBe('nothing')
    expect(await values()).toEqual(['"1"', '2'])
  })

  test('row security that holds for the user of the relay is refused; of no effect for who sees all rows', async () => {
    await place('1')
    await admin.query(`
      DROP ROLE IF EXISTS relay; CREATE ROLE relay LOGIN; GRANT SELECT ON outbox TO relay;
      ALTER TABLE outbox ENABLE ROW LEVEL SECURITY; CREATE POLICY those ON outbox FOR SELECT USING (key <> 'k');
    `)
    expect(await refusal(source({ url: postgres.url.replace('app@', 'relay@') }))).toMatch(
      /^table outbox: its row security is on for this user and may hide rows, .* BYPASSRLS/,
    )
    expect(await refusal()).toBe('nothing')
    expect(await values()).toEqual(['"1"'])
  })

  test('a time that is no number is refused by its row', async () => {
    await admin.query(
      `INSERT INTO outbox (topic, key, value, timestamp) VALUES ('orders', 'k', '1', now()), ('orders', 'k', '2', 'infinity')`,
    )
    expect(await refusal()).toMatch(/^row 2 of outbox: its timestamp infinity is no time in ms since 1970; mend the row/)
    expect(await values()).toEqual(['1'])
  })

  test('once: what was there at the start, whoever writes faster than it relays', async () => {
    for (const value of ['1', '2', '3']) await place(value)
    const eager = written(source(), async () => await Promise.all([place('more'), place('and more')]))
    const running = relay({ rowsPerSecond: 10, world: hastyWorld() }, eager)
    await running.ended
    expect(running.status()).toMatchObject({ rows: 5, caughtUp: false })
    await relay().ended
    const { rows } = await admin.query('SELECT count(*)::int AS placed FROM outbox')
    expect(rows).toEqual([{ placed: (await values()).length }])
  })

  test('ids from below 0; ids that are handed out many at a time are refused', async () => {
    await admin.query('CREATE TABLE other (id bigserial PRIMARY KEY, key text, value text, xid xid8 NOT NULL DEFAULT pg_current_xact_id())')
    await admin.query(`INSERT INTO other (id, key, value) VALUES (-2, 'k', 'a'), (0, 'k', 'b'), (1, 'k', 'c')`)
    await relay({ rowsPerSecond: 10, world: hastyWorld() }, source({ table: 'other', topic: 'orders' })).ended
    expect(await values()).toEqual(['a', 'b', 'c'])
    await admin.query('ALTER SEQUENCE other_id_seq CACHE 20')
    expect(await refusal(source({ table: 'other', topic: 'orders' }))).toMatch(
      /^table other: its ids are handed out 20 to a connection, .* CACHE 1/,
    )
  })

  test('a transaction that stays open makes no look longer', async () => {
    const slow = await postgres.connect()
    await slow.query('BEGIN')
    await slow.query('SELECT pg_current_xact_id()')
    await admin.query(`DO $$ BEGIN FOR i IN 1..400 LOOP
      INSERT INTO outbox (topic, key, value) SELECT 'orders', 'k', '1' FROM generate_series(1, 50); COMMIT; END LOOP; END $$`)
    const snapshot = async () => ((await admin.query('SELECT pg_current_snapshot()::text AS now')).rows[0] as { now: string }).now
    const before = await snapshot()
    await place('new')
    await admin.query('ANALYZE outbox')
    const types = new Map([
      ['id', 'bigint'],
      ['key', 'text'],
      ['value', 'jsonb'],
    ])
    const words = [before, await snapshot(), NO_ID, 1_000, 8_000_000]
    const { rows: found } = await admin.query(queriesOf(tableName('outbox'), types, true).begun, words)
    expect(found).toMatchObject([{ value: '"new"' }])
    const { rows: plan } = await admin.query(`EXPLAIN ANALYZE ${queriesOf(tableName('outbox'), types, true).begun}`, words)
    const filtered = plan.map((line) => Number(/Rows Removed by Filter: (\d+)/.exec(Object.values(line)[0] as string)?.[1] ?? 0))
    expect(Math.max(...filtered)).toBeLessThan(100)
    await slow.query('INSERT INTO outbox (topic, key, value) VALUES ($1, $2, $3)', ['orders', 'k', '"late"'])
    await slow.query('COMMIT')
    await slow.end()
    const { rows: late } = await admin.query(queriesOf(tableName('outbox'), types, true).begun, [
      words[1],
      await snapshot(),
      NO_ID,
      1_000,
      8_000_000,
    ])
    expect(late).toMatchObject([{ value: '"late"' }])
  })

  test('bytes, uuids, times and headers; portions by bytes', async () => {
    await admin.query('ALTER TABLE outbox ALTER key TYPE uuid USING NULL, ALTER value TYPE bytea USING NULL')
    const key = '0b0e4b4e-9d5c-4c8e-8a34-0d6f3c1f6d11'
    const big = Buffer.alloc(900_000, 7)
    for (let i = 0; i < 20; i++)
      await admin.query('INSERT INTO outbox (topic, key, value, headers, timestamp) VALUES ($1, $2, $3, $4, $5)', [
        'orders',
        key,
        big,
        { n: String(i) },
        new Date(1_700_000_000_123 + i),
      ])
    const running = relay()
    await running.ended
    expect(running.status()).toMatchObject({ rows: 20 })
    expect(running.status().commits).toBeGreaterThan(1)
    const found = (await recordsOf(log, 'orders')).flat()
    expect(found.map(({ headers }) => Number(headers[0]?.[1]))).toEqual(Array.from({ length: 20 }, (_, i) => i))
    expect(found.every(({ key: of, value }) => String(of) === key && value?.equals(big))).toBe(true)
    expect(found.map(({ timestamp }) => timestamp)).toEqual(Array.from({ length: 20 }, (_, i) => 1_700_000_000_123 + i))
  })
})

/** Transactions of several clients, one step at a time in any order; answers what they committed, in that order. */
async function live(clients: readonly Client[], random: Seeded, relay: (rowsPerSecond: number) => Promise<void>): Promise<string[]> {
  const committed: string[] = []
  const locked = new Map<string, number>()
  const open = clients.map((): string[] | null => null)
  const end = async (i: number, word: 'COMMIT' | 'ROLLBACK'): Promise<void> => {
    await (clients[i] as Client).query(word)
    if (word === 'COMMIT') committed.push(...(open[i] as string[]))
    open[i] = null
    for (const [key, owner] of locked) if (owner === i) locked.delete(key)
  }
  for (let step = 0; step < STEPS; step++) {
    const i = random.below(clients.length)
    const client = clients[i] as Client
    const rows = open[i]
    const what = random.below(10)
    if (random.chance(0.12)) await relay(random.pick([10, 20, 1_000_000]))
    else if (rows === null || rows === undefined) {
      await client.query('BEGIN')
      open[i] = []
      // It has its transaction id long before it takes a lock.
      if (random.chance(0.5)) await client.query('SELECT pg_current_xact_id()')
    } else if (what < 6) {
      const key = random.pick(KEYS)
      if ((locked.get(key) ?? i) !== i) continue
      locked.set(key, i)
      const { rows: found } = await client.query('UPDATE accounts SET seq = seq + 1 WHERE key = $1 RETURNING seq', [key])
      const { seq } = found[0] as { seq: number }
      await client.query(`INSERT INTO outbox (topic, key, value) VALUES ('orders', $1, $2)`, [key, String(seq)])
      rows.push(`${key} ${seq}`)
    } else if (what < 9) await end(i, 'COMMIT')
    else await end(i, 'ROLLBACK')
  }
  for (const [i, rows] of open.entries()) if (rows !== null) await end(i, 'COMMIT')
  return committed
}
