// `millrace outbox` as a user types it: on the embedded log, once and until a signal; what it says; what it does not.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { relayOutbox } from 'millrace'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { outboxDdl } from '../../src/outbox/ddl.ts'
import { millrace, root, type Scratch, scratch, start } from '../cli/binary.ts'
import { withEmbeddedLog } from '../support/embedded.ts'
import { recordsOf } from './relayed.ts'
import { openShop, type Shop } from './shop.ts'

let place: Scratch
let shop: Shop
let stateDir: string
beforeEach(() => {
  place = scratch()
  shop = openShop(join(place.folder, 'shop.db'))
  stateDir = join(place.folder, 'state')
})
afterEach(() => {
  shop.close()
  place.remove()
})

const outbox = (...words: string[]) => millrace(['outbox', ...words], { env: { MILLRACE_DATABASE: '' } })
const orders = (from: number, count: number): void =>
  shop.place(Array.from({ length: count }, (_, i) => ({ topic: 'orders', key: `k${(from + i) % 3}`, value: `${from + i}` })))
const relayed = (): Promise<number[]> =>
  withEmbeddedLog(stateDir, async (log) => (await recordsOf(log, 'orders')).flat().map(({ value }) => Number(value)))
const sorted = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b)
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

test('--once, again, and until SIGTERM; each row once', { timeout: 60_000 }, async () => {
  orders(0, 5)
  const first = await outbox('--database', shop.file, '--state-dir', stateDir, '--once', '--partitions', '2')
  expect(first, first.err).toMatchObject({ status: 0, out: '' })
  expect(first.err).toMatch(/"outbox":".*shop.db, table outbox","name":"outbox","rowsEver":0,"msg":"relaying"/)
  expect(first.err).toMatch(/"rows":5,"rowsPerSecond":\d+,"rowsEver":5,"caughtUp":\w+,"msg":"relayed"/)
  expect(first.err).not.toContain('Warning')
  orders(5, 5)
  const running = start(['outbox', '--database', shop.file, '--state-dir', stateDir, '--poll-interval', '20ms', '--port', '0'])
  let said = ''
  running.child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  await expect.poll(() => said, { timeout: 20_000 }).toContain('"msg":"relaying"')
  orders(10, 5)
  const port = /"port":(\d+),"msg":"metrics and health"/.exec(said)?.[1]
  const figures = async (): Promise<string> => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  await expect.poll(figures, { timeout: 20_000 }).toMatch(/^millrace_outbox_rows_total 10$/m)
  running.child.kill('SIGTERM')
  const ended = await running.ended
  expect(ended, ended.err).toMatchObject({ status: 0, out: '' })
  expect(ended.err).toMatch(/"signal":"SIGTERM","msg":"stopping"/)
  const told = [...ended.err.matchAll(/"rows":(\d+),.*"rowsEver":(\d+)/g)]
  expect(told.reduce((sum, [, rows]) => sum + Number(rows), 0)).toBe(10)
  expect(told.at(-1)?.[2]).toBe('15')
  const found = await withEmbeddedLog(stateDir, async (log) => await recordsOf(log, 'orders'))
  expect(found).toHaveLength(2)
  expect(sorted(await relayed())).toEqual(upTo(15))
  for (const numbers of found.map((of) => of.map(({ value }) => Number(value)))) expect(numbers).toEqual(sorted(numbers))
})

test('a process in whose function it runs: the same, without the binary', async () => {
  orders(0, 3)
  await using relay = await relayOutbox({ database: shop.file, stateDir, once: true })
  await relay.ended
  expect(relay.status()).toMatchObject({ rows: 3, rowsEver: 3, failures: 0, waitsFor: null })
  await relay.close()
  expect(sorted(await relayed())).toEqual([0, 1, 2])
  await expect(relayOutbox({ database: shop.file, tabel: 'x' } as never)).rejects.toThrow('unknown option tabel (did you mean "table"?)')
  await expect(relayOutbox({ database: 'mysql://shop', stateDir })).rejects.toThrow(
    /mysql is not known; it is postgres:\/\/..., or the path/,
  )
  await expect(relayOutbox({ database: shop.file, stateDir, rate: 0 })).rejects.toThrow(
    'rate must be a whole number from 1 to 1000000, not 0',
  )
})

test('metrics and health, on this machine only; another Host is refused', async () => {
  shop.place([{ topic: 'orders', key: 'k', value: '1', timestamp: Date.now() - 90_000 }])
  await using relay = await relayOutbox({ database: shop.file, stateDir, port: 0, pollInterval: '20ms' })
  const ask = (path: string, headers: Record<string, string> = {}) => fetch(`http://127.0.0.1:${relay.port}${path}`, { headers })
  await expect.poll(() => relay.status(), { timeout: 10_000 }).toMatchObject({ rows: 1, caughtUp: true })
  expect(relay.status().lagMs).toBeGreaterThan(89_000)
  expect(await (await ask('/health')).json()).toEqual({ live: true, ready: true })
  const shown = await (await ask('/metrics')).text()
  const values = new Map(
    shown.split('\n').flatMap((line) => (line.startsWith('millrace_outbox_') ? [line.split(' ') as [string, string]] : [])),
  )
  expect(Object.fromEntries(values)).toMatchObject({
    millrace_outbox_rows_total: '1',
    millrace_outbox_commits_total: '1',
    millrace_outbox_failures_total: '0',
    millrace_outbox_caught_up: '1',
    millrace_outbox_waiting: '0',
    millrace_outbox_lag_seconds: '0',
  })
  expect(Math.abs(Number(values.get('millrace_outbox_last_look_timestamp_seconds')) - Date.now() / 1_000)).toBeLessThan(60)
  expect((await ask('/stores')).status).toBe(404)
  expect((await ask('/metrics', { origin: 'http://elsewhere.example' })).status).toBe(403)
  await relay.close()
  await expect(ask('/health')).rejects.toThrow()
  await expect(relayOutbox({ database: shop.file, stateDir, port: 65_536 })).rejects.toThrow('port must be a whole number from 0 to 65535')
})

test('a port that is taken ends it before it relays; a database that is waited for is not ready', { timeout: 30_000 }, async () => {
  orders(0, 1)
  await using first = await relayOutbox({ database: shop.file, stateDir, port: 0 })
  const other = join(place.folder, 'other')
  const taken = relayOutbox({ database: shop.file, stateDir: other, port: first.port as number })
  await expect(taken).rejects.toThrow(/^port \d+ of 127.0.0.1 is in use; take another --port/)
  // Its log is free again.
  await using second = await relayOutbox({ database: 'postgres://nobody@127.0.0.1:1/none', stateDir: other, port: 0 })
  await expect.poll(() => second.status().waitsFor, { timeout: 20_000 }).toMatch(/ECONNREFUSED/)
  const answer = await fetch(`http://127.0.0.1:${second.port}/health/ready`)
  expect([answer.status, await answer.json()]).toEqual([503, { live: true, ready: false }])
})

test('what it refuses, in one line', { timeout: 60_000 }, async () => {
  const refused = async (words: string[], status: number, line: RegExp): Promise<void> => {
    const said = await outbox(...words)
    expect({ status: said.status, last: said.err.trimEnd().split('\n').at(-1) }).toEqual({ status, last: expect.stringMatching(line) })
  }
  await refused(['--state-dir', stateDir], 2, /^millrace: which database\? give --database/)
  await refused(['--database', join(place.folder, 'none.db'), '--state-dir', stateDir], 1, /^millrace: there is no database .*none.db/)
  shop.place([{ topic: 'orders', key: 'k', value: 'v', headers: 'x' }])
  await refused(['--database', shop.file, '--state-dir', stateDir], 1, /^millrace: row 1 of outbox: its headers are no JSON object/)
})

test('--ddl prints SQL that makes the table, and no more', { timeout: 60_000 }, async () => {
  const sqlite = await outbox('--ddl', 'sqlite', '--table', 'events')
  expect(sqlite).toMatchObject({ status: 0, err: '', out: outboxDdl('sqlite', 'events') })
  shop.database.exec(sqlite.out)
  shop.database.exec(`INSERT INTO events (topic, key, value) VALUES ('orders', 'k', 'v')`)
  const postgres = outboxDdl('postgres', 'app.events')
  expect(postgres).toMatch(/CREATE TABLE "app"."events" \(/)
  expect(postgres).toMatch(/xid xid8 NOT NULL DEFAULT pg_current_xact_id\(\)/)
})

test('the package pg is asked for where it is not there', () => {
  const absent = place.write(
    'absent.mjs',
    `import { registerHooks } from 'node:module'
registerHooks({ resolve(name, context, next) {
  if (name === 'pg') throw Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' })
  return next(name, context)
} })`,
  )
  const run = (database: string) =>
    spawnSync(
      process.execPath,
      ['--import', absent, join(root, 'src/cli.ts'), 'outbox', '--database', database, '--state-dir', stateDir, '--once'],
      {
        encoding: 'utf8',
      },
    )
  expect(run('postgres://app@localhost/shop')).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/^millrace: an outbox in PostgreSQL needs the package pg: npm install pg\n$/),
  })
})
