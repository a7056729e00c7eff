// An outbox in SQLite: what a record gets of its row, what is refused and by which words, how relays of one name follow each other.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { explain, MillraceError } from '../../src/base/errors.ts'
import type { Log } from '../../src/log/log.ts'
import { type MemoryLog, memoryLog } from '../../src/log/memory.ts'
import type { RelayOptions } from '../../src/outbox/relay.ts'
import { quietly } from '../../src/outbox/quietly.ts'
import { sqliteSource } from '../../src/outbox/sqlite.ts'
import { tableName } from '../../src/outbox/table.ts'
import { systemWorld } from '../../src/base/system.ts'
import { faultyLog, hastyWorld, recordsOf, refusing, relayOf, written } from './relayed.ts'
import { openShop, type Shop } from './shop.ts'

const world = hastyWorld()
let folder: string
let shop: Shop
let log: MemoryLog
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-outbox-'))
  shop = openShop(join(folder, 'shop.db'))
  log = memoryLog(world)
})
afterEach(async () => {
  shop.close()
  await log.close()
  rmSync(folder, { recursive: true, force: true })
})

const source = (words: { file?: string; table?: string; topic?: string } = {}) =>
  sqliteSource({ file: words.file ?? shop.file, table: tableName(words.table ?? 'outbox'), topic: words.topic ?? null, world })
const relay = (options: Partial<RelayOptions> = {}, from = source(), to: Log = log.another()) => relayOf(to, from, { world, ...options })
const values = async (topic = 'orders'): Promise<string[]> => (await recordsOf(log, topic)).flat().map(({ value }) => String(value))
const place = (...ids: string[]): void => shop.place(ids.map((value) => ({ topic: 'orders', key: 'k', value })))

describe('a record is its row', () => {
  test('key, value, headers, timestamp and topic', async () => {
    shop.place([
      { topic: 'orders', key: 'k', value: '{"n":1}', headers: '{"source":"shop","none":null}', timestamp: 1_700_000_000_123 },
      { topic: 'stock', key: null, value: null },
    ])
    shop.database.prepare('INSERT INTO outbox (topic, key, value) VALUES (?, ?, ?)').run('bytes', Buffer.from([0, 255]), Buffer.from([128]))
    const running = relay()
    await running.ended
    expect(running.status()).toMatchObject({ rows: 3, rowsEver: 3, commits: 1, failures: 0 })
    const [order] = (await recordsOf(log, 'orders')).flat()
    expect(order).toMatchObject({ timestamp: 1_700_000_000_123, key: Buffer.from('k'), value: Buffer.from('{"n":1}') })
    expect(order?.headers.map(([name, value]) => [name, value?.toString() ?? null])).toEqual([
      ['source', 'shop'],
      ['none', null],
    ])
    const [stock] = (await recordsOf(log, 'stock')).flat()
    expect(stock).toMatchObject({ key: null, value: null, headers: [] })
    expect(Math.abs((stock?.timestamp ?? 0) - Date.now())).toBeLessThan(60_000)
    expect((await recordsOf(log, 'bytes')).flat()).toMatchObject([{ key: Buffer.from([0, 255]), value: Buffer.from([128]) }])
  })

  test('a table without topic, headers and timestamp, under a name of its own', async () => {
    shop.database.exec('CREATE TABLE "my_events" (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT, value TEXT)')
    shop.database.exec(`INSERT INTO my_events (key, value) VALUES ('k', 'v')`)
    await relay({}, source({ table: 'my_events', topic: 'events' })).ended
    expect(await values('events')).toEqual(['v'])
  })
})

test('once: what was there at the start, whoever writes faster than it relays', { timeout: 20_000 }, async () => {
  place('1', '2', '3')
  const running = relay(
    { rowsPerSecond: 10 },
    written(source(), () => place('more', 'and more')),
  )
  await running.ended
  expect(running.status()).toMatchObject({ rows: 5, caughtUp: false })
  await relay().ended
  expect(await values()).toHaveLength(13) // three and two for each of the five reads
})

describe('what is refused', () => {
  const refusal = async (from = source(), options: Partial<RelayOptions> = {}): Promise<string> => {
    const error = await relay(options, from).ended.then(
      () => null,
      (found: Error) => found,
    )
    return error?.message ?? 'nothing'
  }

  test('a file, a table, columns and ids that are not as they must be', async () => {
    expect(await refusal(source({ file: join(folder, 'none.db') }))).toMatch(/^there is no database .*none.db; give the file/)
    expect(await refusal(source({ table: 'none' }))).toMatch(
      /shop.db has no table none; make it with what millrace outbox --ddl sqlite prints/,
    )
    shop.database.exec(
      'CREATE TABLE bare (id INTEGER PRIMARY KEY AUTOINCREMENT, value TEXT); CREATE TABLE again (id INTEGER PRIMARY KEY, topic, key, value)',
    )
    expect(await refusal(source({ table: 'bare' }))).toMatch(
      /^table bare has no column key, topic \(or name one topic for all rows with --topic\); it has id, value/,
    )
    expect(await refusal(source({ table: 'again' }))).toMatch(/^column id of again is not INTEGER PRIMARY KEY AUTOINCREMENT/)
    expect(() => tableName('outbox; DROP TABLE outbox')).toThrow(/is no name of a table/)
  })

  test.each([
    [
      { topic: 'no topic!', key: 'k', value: 'v' },
      /^row 2 of outbox: its topic "no topic!" is no name of a topic; mend the row or delete it/,
    ],
    [{ topic: 'orders', key: 'k', value: 'v', headers: '[1]' }, /^row 2 of outbox: its headers are no JSON object/],
    [{ topic: 'orders', key: 'k', value: 'v', headers: '{"n":1}' }, /^row 2 of outbox: its header n is neither text nor null/],
    [{ topic: 'orders', key: 'k', value: 'v', timestamp: -1 }, /^row 2 of outbox: its timestamp -1 is no time/],
    [{ topic: 'orders', key: 'k', value: 'x'.repeat(1_000_001) }, /^row 2 of outbox: it has 1000002 bytes, a record takes 1000000/],
  ])('a row, by its name, behind those before it: %#', async (bad, words) => {
    shop.place([{ topic: 'orders', key: 'k', value: 'before' }, bad, { topic: 'orders', key: 'k', value: 'behind' }])
    expect(await refusal()).toMatch(words)
    expect(await values()).toEqual(['before'])
    expect(await refusal()).toMatch(words)
    shop.database.exec('DELETE FROM outbox WHERE id = 2')
    await relay().ended
    expect(await values()).toEqual(['before', 'behind'])
  })

  test('a number is neither text nor bytes', async () => {
    shop.database.exec(`INSERT INTO outbox (topic, key, value) VALUES ('orders', 17, 'v')`)
    expect(await refusal()).toMatch(/^row 1 of outbox: its key is a bigint, neither text nor bytes/)
  })

  test.each(['STREAM_BROKER', 'STREAM_RECORD_TOO_LARGE'] as const)('a row that the log refuses with its transaction: %s', async (code) => {
    shop.place(Array.from({ length: 40 }, (_, i) => ({ topic: 'orders', key: 'k', value: i === 17 ? 'bad' : `${i}` })))
    const client = log.another()
    const error = await relay({}, source(), refusing(client, 'bad', code)).ended.then(
      () => null,
      (found: Error) => found,
    )
    expect(error).toMatchObject({ code: 'STREAM_OUTBOX', message: expect.stringMatching(/^row 18 of .* cannot be written to orders/) })
    expect(explain(error)).toMatch(/no such record/)
    expect(await values()).toEqual(Array.from({ length: 17 }, (_, i) => `${i}`))
    shop.database.exec('DELETE FROM outbox WHERE id = 18')
    await relay().ended
    expect(await values()).toEqual(Array.from({ length: 40 }, (_, i) => `${i}`).filter((_, i) => i !== 17))
  })

  test('a topic that does not exist, where none is made; when it is there, all goes on', async () => {
    await log.createTopics([{ name: 'orders', partitions: 2, kind: 'plain' }])
    const row = (topic: string, value: string) => ({ topic, key: 'k', value })
    shop.place([row('orders', 'before'), row('absent', 'v'), row('orders', 'behind')])
    const words = /^row 2 of .* is for the topic absent, which does not exist; create it/
    expect(await refusal(source(), { createPartitions: null })).toMatch(words)
    expect(await refusal(source(), { createPartitions: null })).toMatch(words)
    expect(await values()).toEqual(['before'])
    await log.createTopics([{ name: 'absent', partitions: 1, kind: 'plain' }])
    expect(await refusal(source(), { createPartitions: null })).toBe('nothing')
    expect([await values('absent'), await values()]).toEqual([['v'], ['before', 'behind']])
  })

  test('another table, or an older copy, behind the same name', async () => {
    place('1', '2', '3')
    await relay().ended
    const other = openShop(join(folder, 'other.db'))
    other.place([{ topic: 'orders', key: 'k', value: 'other' }])
    expect(await refusal(source({ file: other.file }))).toMatch(
      /has handed out ids up to 1, and rows up to 3 were relayed: .* another --name/,
    )
    other.close()
    shop.database.exec(`CREATE TABLE second (id INTEGER PRIMARY KEY AUTOINCREMENT, topic, key, value)`)
    expect(await refusal(source({ table: 'second' }))).toMatch(
      /^the relay outbox is of sqlite outbox, and this is sqlite second: give this one a --name/,
    )
    await relay({ name: 'second' }, source({ table: 'second' })).ended
  })
})

test('the warning that SQLite is experimental is held back, no other', async () => {
  const heard: string[] = []
  const { emitWarning } = process
  process.emitWarning = ((warning: string) => void heard.push(warning)) as typeof process.emitWarning
  try {
    const loaded = await quietly(async () => {
      process.emitWarning('SQLite is an experimental feature and might change at any time', 'ExperimentalWarning')
      process.emitWarning('Something else is experimental', 'ExperimentalWarning')
      process.emitWarning('SQLite is old', { type: 'DeprecationWarning' })
      return 'loaded'
    })
    expect({ loaded, heard }).toEqual({ loaded: 'loaded', heard: ['Something else is experimental', 'SQLite is old'] })
    process.emitWarning('SQLite is an experimental feature', 'ExperimentalWarning')
    expect(heard).toHaveLength(3)
  } finally {
    process.emitWarning = emitWarning
  }
})

describe('relays of one name', () => {
  test('the newer one takes over, the older one ends and says so', async () => {
    const real = systemWorld()
    place('1')
    const older = relay({ once: false, world: real })
    await expect.poll(() => older.status().rows).toBe(1)
    const newer = relay({ once: false, world: real })
    place('2')
    await expect.poll(() => values()).toEqual(['1', '2'])
    place('3')
    await expect.poll(() => values(), { timeout: 5_000 }).toEqual(['1', '2', '3'])
    await expect(older.ended).rejects.toMatchObject({
      code: 'STREAM_FENCED',
      message: expect.stringMatching(/another relay has taken over the name outbox/),
    })
    await newer.stop()
    await newer.ended
    expect(await values()).toEqual(['1', '2', '3'])
  })

  test('fenced by nobody that is there, as by a broker that gave up on a transaction, it goes on', async () => {
    place('1')
    let struck = false
    const fenced = faultyLog(log.another(), [], (step) => {
      if (step < 7 || struck) return // the claim is committed by then
      struck = true
      throw new MillraceError('STREAM_FENCED', 'the transaction took too long')
    })
    const running = relayOf(fenced, source(), { world })
    await running.ended
    expect(running.status()).toMatchObject({ failures: 1, rows: 1 })
    expect(await values()).toEqual(['1'])
  })

  test('no faster than it may', async () => {
    place(...Array.from({ length: 60 }, (_, i) => `${i}`))
    const begun = performance.now()
    await relay({ rowsPerSecond: 100, world: systemWorld() }).ended
    expect(performance.now() - begun).toBeGreaterThan(450)
    expect(await values()).toHaveLength(60)
  })

  test('a database that is locked is waited for', async () => {
    place('1')
    shop.database.exec('PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE')
    const running = relay({ world: systemWorld() })
    await expect.poll(() => running.status().waitsFor, { timeout: 5_000 }).toMatch(/shop.db, table outbox: database is locked/)
    shop.database.exec('COMMIT')
    await running.ended
    expect(running.status()).toMatchObject({ rows: 1, waitsFor: null })
    expect(await values()).toEqual(['1'])
  })

  test('rows that come later come too; a stop ends it well', async () => {
    const running = relay({ once: false, world: systemWorld() })
    for (const one of ['1', '2', '3']) {
      place(one)
      await expect.poll(async () => (await values()).at(-1)).toBe(one)
    }
    await expect.poll(() => running.status().caughtUp).toBe(true)
    await running.stop()
    await expect(running.ended).resolves.toBeUndefined()
  })
})
