// A topology that has changed over the state of the one before: it goes on, begins a store empty where it must, or is refused by name
// before it has read anything. Never are old rows read as something else.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { applyReset, findReset } from '../../src/app/reset.ts'
import type { TopologyBuilder } from '../../src/dsl/builder.ts'
import { int32, int64, json, type ProcessorOptions, StreamProcessor, string, topology, tumbling } from '../../src/index.ts'
import { plan as planOf } from '../../src/topology/plan.ts'
import { withEmbeddedLog } from '../support/embedded.ts'

const TEXT = { key: string(), value: json<number>() }
type Build = (t: TopologyBuilder) => void

let stateDir = ''
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'millrace-changed-'))
})
afterEach(() => rmSync(stateDir, { recursive: true, force: true }))

let written = 0
async function write(keys: string): Promise<void> {
  await withEmbeddedLog(stateDir, async (log) => {
    await log.createTopics(['in', 'more'].map((name) => ({ name, partitions: 1, kind: 'plain' })))
    const writer = log.writer({ transactionalId: 'test', guarantee: 'exactly_once' })
    await writer.init()
    for (const key of keys) writer.append('in', 0, written++, Buffer.from(key), Buffer.from('1'), [])
    writer.seal()
    await writer.flush()
    await writer.commit(null, 'test', [])
    await writer.close()
  })
}

/** Writes records of these keys, lets it process them, and looks at what a store holds then. */
async function expectRows(build: Build, keys: string, store: string, rows: object, optimize = false): Promise<void> {
  await write(keys)
  await using app = new StreamProcessor(topology('changing', build, { optimize }), { stateDir })
  await app.start()
  const found = async (): Promise<object> => {
    const all: Record<string, unknown> = {}
    for await (const [key, value] of app.store(store).all()) all[String(key)] = value
    return all
  }
  await expect.poll(found, { timeout: 10_000 }).toEqual(rows)
}

const counted: Build = (t) => void t.stream('in', TEXT).groupByKey().count({ store: 'n' })
const BEFORE = { a: 2, b: 1 }

describe('a topology that has changed', { timeout: 30_000 }, () => {
  beforeEach(async () => {
    await expectRows(counted, 'aab', 'n', BEFORE)
  })

  const GOES_ON: readonly (readonly [what: string, build: Build, store: string, rows: object])[] = [
    ['nothing: it goes on', counted, 'n', { a: 3, b: 2 }],
    [
      'a function: the new one goes on with the old rows',
      (t) =>
        void t
          .stream('in', TEXT)
          .groupByKey()
          .aggregate(
            () => 0,
            (n: number) => n + 10,
            { store: 'n', value: json<number>() },
          ),
      'n',
      { a: 12, b: 11 },
    ],
    [
      'a filter before it',
      (t) =>
        void t
          .stream('in', TEXT)
          .filter(() => true)
          .groupByKey()
          .count({ store: 'n' }),
      'n',
      { a: 3, b: 2 },
    ],
    ['another topic beside it', (t) => void t.stream(['in', 'more'], TEXT).groupByKey().count({ store: 'n' }), 'n', { a: 3, b: 2 }],
    [
      'a store more: it begins with what comes now',
      (t) => {
        counted(t)
        t.stream('in', TEXT).groupByKey().count({ store: 'm' })
      },
      'm',
      { a: 1, b: 1 },
    ],
    [
      "a store's name: the new one begins empty",
      (t) => void t.stream('in', TEXT).groupByKey().count({ store: 'other' }),
      'other',
      { a: 1, b: 1 },
    ],
    [
      'the key it groups by: old rows stay under old keys',
      (t) =>
        void t
          .stream('in', TEXT)
          .groupBy((_, key) => `x${key}`, { key: string() })
          .count({ store: 'n' }),
      'n',
      { a: 2, b: 1, xa: 1, xb: 1 },
    ],
  ]
  it.each(GOES_ON)('%s', async (_what, build, store, rows) => {
    await expectRows(build, 'ab', store, rows)
  })

  it('a store that is taken out and comes back (the old program after the new): it goes on where it was', async () => {
    const without: Build = (t) => void t.stream('in', TEXT).groupByKey().count({ store: 'm' })
    await expectRows(without, 'ab', 'm', { a: 1, b: 1 })
    await expectRows(counted, 'a', 'n', { a: 3, b: 1 })
  })

  const REFUSED: readonly (readonly [what: string, build: Build, message: RegExp])[] = [
    [
      'the serde of its values',
      (t) =>
        void t
          .stream('in', TEXT)
          .groupByKey()
          .aggregate(
            () => 0n,
            (n) => n + 1n,
            { store: 'n', value: int64() },
          ),
      /store n holds keyValue string to json, and in this topology it is keyValue string to int64/,
    ],
    [
      'the serde of its keys',
      (t) =>
        void t
          .stream('in', TEXT)
          .groupBy((n) => n, { key: int32() })
          .count({ store: 'n' }),
      /store n holds keyValue string to json, and in this topology it is keyValue int32 to json/,
    ],
    [
      'the operator: versions where there were counts',
      (t) => void t.stream('in', { key: string(), value: json<{ v: number }>() }).lastWriteWins({ store: 'n', version: ({ v }) => v }),
      /store n holds keyValue string to json, and in this topology it is lastWriteWins/,
    ],
    [
      'windows where there were none',
      (t) => void t.stream('in', TEXT).groupByKey().windowedBy(tumbling(100)).count({ store: 'n' }),
      /store n holds keyValue string to json, and in this topology it is windows of 100 ms/,
    ],
  ]
  it.each(REFUSED)('%s: refused by name, nothing is read, and the old program goes on', async (_what, build, message) => {
    await write('ab')
    const app = new StreamProcessor(topology('changing', build), { stateDir })
    await expect(app.start()).rejects.toMatchObject({ code: 'STREAM_TOPOLOGY', message: expect.stringMatching(message) })
    await app.close()
    await expectRows(counted, 'a', 'n', { a: 4, b: 2 })
  })

  it('optimize, by which a table has its topic as changelog: refused by name both ways; under another name it has all rows', async () => {
    const table: Build = (t) => void t.table('in', { ...TEXT, store: 'rows' })
    const other: Build = (t) => void t.table('in', { ...TEXT, store: 'others' })
    const start = async (build: Build, optimize: boolean) => {
      await using app = new StreamProcessor(topology('changing', build, { optimize }), { stateDir })
      await app.start()
    }
    await expectRows(table, 'a', 'rows', { a: 1 })
    const on = /store rows is kept from a changelog of its own, and in this topology from the topic in \(optimize\)/
    await expect(start(table, true)).rejects.toMatchObject({ code: 'STREAM_TOPOLOGY', message: expect.stringMatching(on) })
    await expectRows(other, 'c', 'others', { a: 1, b: 1, c: 1 }, true)
    const off =
      /store others is kept from the topic in, and in this topology from a changelog of its own \(optimize\).* as it was, or reset/
    await expect(start(other, false)).rejects.toMatchObject({ code: 'STREAM_TOPOLOGY', message: expect.stringMatching(off) })
  })

  describe('optimize that is taken back', () => {
    const table =
      (store: string): Build =>
      (t) =>
        void t.table('in', { ...TEXT, store })
    const refuses = async (store: string, options: ProcessorOptions = {}, optimize = false): Promise<void> => {
      await using app = new StreamProcessor(topology('changing', table(store), { optimize }), { stateDir, ...options })
      await expect(app.start()).rejects.toMatchObject({
        code: 'STREAM_TOPOLOGY',
        message: expect.stringMatching(new RegExp(`^store ${store} has a changelog of its own .* those of the topic in \\(optimize\\)`)),
      })
    }

    it('is refused by name also where its disk is gone or the store has another name, and nothing is made', async () => {
      await expectRows(table('rows'), 'c', 'rows', { a: 1, b: 1, c: 1 }, true)
      await refuses('others')
      rmSync(join(stateDir, 'changing'), { recursive: true })
      await refuses('rows')
      await refuses('rows', { onError: { blockKey: true } }, true)
      await expectRows(table('rows'), 'd', 'rows', { a: 1, b: 1, c: 1, d: 1 }, true)
      await withEmbeddedLog(stateDir, async (log) => expect(await log.topicNames()).not.toContain('changing-rows-changelog'))
    })

    it('is not where another table of the topic has its rows from there, as on a machine that is new', async () => {
      const both: Build = (t) => {
        table('rows')(t)
        table('others')(t)
      }
      await expectRows(both, 'c', 'others', { c: 1 }, true)
      rmSync(join(stateDir, 'changing'), { recursive: true })
      await expectRows(both, 'd', 'others', { c: 1, d: 1 }, true)
    })

    it('is not after a reset, also where nothing had been processed', async () => {
      await withEmbeddedLog(stateDir, async (log) => {
        const writer = log.writer({ transactionalId: 'test', guarantee: 'exactly_once' })
        await writer.init()
        writer.seal()
        await writer.flush()
        await writer.commit(null, 'changing', [{ topic: 'in', partition: 0, offset: 0, metadata: '-1;;rows' }])
        await writer.close()
      })
      await refuses('rows')
      const plan = planOf(topology('changing', table('rows')), 'changing')
      await withEmbeddedLog(stateDir, async (log) => applyReset(log, plan, await findReset(log, plan, stateDir, 'earliest')))
      await expectRows(table('rows'), '', 'rows', { a: 1, b: 1 })
    })
  })

  it('a list of stores that is damaged is named', async () => {
    writeFileSync(join(stateDir, 'changing', 'stores.json'), '{"n":')
    await expect(new StreamProcessor(topology('changing', counted), { stateDir }).start()).rejects.toThrow(/stores\.json is damaged/)
  })
})
