// Reads of every kind of store of a running processor, in process and over HTTP, against plain Maps of what was written. On three partitions.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { partitionOf } from '../../src/base/murmur2.ts'
import { systemWorld } from '../../src/base/system.ts'
import { type ControlClient, connectControl } from '../../src/control/client.ts'
import { recordsControl } from '../../src/control/records.ts'
import type { RowsAsk } from '../../src/control/rows.ts'
import type { ControlHandler } from '../../src/control/wire.ts'
import { keyValue, type MillraceError, session, StreamProcessor, string, topology, tumbling, versioned, window } from '../../src/index.ts'
import { withEmbeddedLog } from '../support/embedded.ts'
import { seeded } from '../support/seeded.ts'
import { runsOf } from '../support/tier.ts'
import { ask, askJson } from '../server/serving.ts'

const text = { key: string(), value: string() }
const SIZE = 10_000
const RETENTION = 40_000
const GAP = 3_000
const PARTITIONS = 3

const made = topology('reads', (t) => {
  t.table('rows', { ...text, store: 'rows' })
  t.globalTable('everywhere', { ...text, store: 'everywhere' })
  t.table('history', { ...text, store: 'history', versioned: RETENTION })
  const grouped = t.stream('in', text).groupByKey()
  grouped.windowedBy(tumbling(SIZE, { grace: '1h' })).count({ store: 'windows' })
  grouped.windowedBy(session(GAP, { grace: '1h' })).count({ store: 'sessions' })
  const kv = t.store(keyValue({ name: 'kv', ...text }))
  const windows = t.store(window({ name: 'ownWindows', ...text, size: SIZE, retention: RETENTION }))
  const sessions = t.store(session({ name: 'ownSessions', ...text, retention: RETENTION }))
  const versions = t.store(versioned({ name: 'ownVersions', ...text, retention: RETENTION }))
  t.stream('in', text).process(
    (context) => ({
      process({ key, value, timestamp }) {
        context.store(kv).put(key, value)
        context.store(windows).put(key, value, timestamp - (timestamp % SIZE))
        context.store(sessions).put({ key, start: timestamp, end: timestamp + 1_000 }, value)
        context.store(versions).put(key, value, timestamp)
      },
    }),
    { stores: [kv, windows, sessions, versions] },
  )
})

interface Written {
  readonly topic: 'rows' | 'everywhere' | 'history' | 'in'
  readonly key: string
  readonly value: string | null
  readonly timestamp: number
}
const KEYS = ['a', 'a/b', 'ab', 'b', 'c d', 'ä', '😀', 'x@y']
const random = seeded(7)
const written = Array.from({ length: 300 }, (_, n): Written => {
  const topic = (['rows', 'everywhere', 'history', 'in', 'in', 'in'] as const)[random.below(6)] as Written['topic']
  const value = topic !== 'in' && random.below(5) === 0 ? null : `v${n}`
  return { topic, key: KEYS[random.below(KEYS.length)] as string, value, timestamp: Math.max(0, n * 300 - random.below(30_000)) }
})
const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))
const of = (topic: Written['topic']): Written[] => written.filter((each) => each.topic === topic)
const partitionOfKey = (key: string): number => partitionOf(Buffer.from(key), PARTITIONS)
/** The greatest time that the store of a key's task was given. */
const observed = (key: string, time: (each: Written) => number, topic: Written['topic'] = 'in'): number =>
  Math.max(-1, ...of(topic).flatMap((each) => (partitionOfKey(each.key) === partitionOfKey(key) ? [time(each)] : [])))
const startOf = ({ timestamp }: { readonly timestamp: number }): number => timestamp - (timestamp % SIZE)

const rowsOf = (topic: Written['topic']): [string, string][] => {
  const rows = new Map<string, string>()
  for (const { key, value } of of(topic)) value === null ? rows.delete(key) : rows.set(key, value)
  return [...rows].sort(([a], [b]) => byBytes(a, b))
}
type Window<V> = { readonly key: string; readonly start: number; readonly end: number; readonly value: V }
const countedWindows = (): Window<number>[] => {
  const counts = new Map<string, Window<number>>()
  for (const each of of('in')) {
    const at = `${each.key}@${startOf(each)}`
    counts.set(at, { key: each.key, start: startOf(each), end: startOf(each) + SIZE, value: (counts.get(at)?.value ?? 0) + 1 })
  }
  return [...counts.values()]
}
const ownWindows = (): Window<string>[] => {
  const rows = new Map<string, Window<string>>()
  const seen = Array.from({ length: PARTITIONS }, () => -1)
  for (const each of of('in')) {
    const partition = partitionOfKey(each.key)
    seen[partition] = Math.max(seen[partition] as number, startOf(each))
    if (startOf(each) <= (seen[partition] as number) - RETENTION) continue
    rows.set(`${each.key}@${startOf(each)}`, {
      key: each.key,
      start: startOf(each),
      end: startOf(each) + SIZE,
      value: each.value as string,
    })
  }
  return [...rows.values()].filter(({ key, start }) => start > observed(key, startOf) - RETENTION)
}
const countedSessions = (): Window<number>[] =>
  KEYS.flatMap((key) => {
    const sessions: Window<number>[] = []
    for (const { timestamp } of of('in')
      .filter((each) => each.key === key)
      .sort((a, b) => a.timestamp - b.timestamp)) {
      const last = sessions.at(-1)
      if (last !== undefined && timestamp - last.end <= GAP)
        sessions[sessions.length - 1] = { ...last, end: timestamp, value: last.value + 1 }
      else sessions.push({ key, start: timestamp, end: timestamp, value: 1 })
    }
    return sessions
  })
const ownSessions = (): Window<string>[] => {
  const rows = new Map<string, Window<string>>()
  const seen = Array.from({ length: PARTITIONS }, () => -1)
  for (const { key, value, timestamp } of of('in')) {
    const partition = partitionOfKey(key)
    seen[partition] = Math.max(seen[partition] as number, timestamp + 1_000)
    if (timestamp + 1_000 <= (seen[partition] as number) - RETENTION) continue
    rows.set(`${key}@${timestamp}`, { key, start: timestamp, end: timestamp + 1_000, value: value as string })
  }
  return [...rows.values()].filter(({ key, end }) => end > observed(key, ({ timestamp }) => timestamp + 1_000) - RETENTION)
}
interface Version {
  readonly value: string | null
  readonly timestamp: number
}
/** Latest first; what came too late is not among them. */
const versionsOf = (topic: 'history' | 'in', key: string): Version[] => {
  const versions = new Map<number, string | null>()
  let seen = -1
  for (const each of of(topic)) {
    if (partitionOfKey(each.key) !== partitionOfKey(key)) continue
    if (each.timestamp < seen - RETENTION) continue
    seen = Math.max(seen, each.timestamp)
    if (each.key === key) versions.set(each.timestamp, each.value)
  }
  return [...versions].map(([timestamp, value]) => ({ value, timestamp })).sort((a, b) => b.timestamp - a.timestamp)
}
const versionAsOf = (topic: 'history' | 'in', key: string, asOf: number): Version | null => {
  const [latest, ...older] = versionsOf(topic, key)
  if (latest === undefined) return null
  if (latest.timestamp <= asOf) return latest.value === null ? null : latest
  if (asOf < observed(key, ({ timestamp }) => timestamp, topic) - RETENTION) return null
  const found = older.find(({ timestamp }) => timestamp <= asOf)
  return found === undefined || found.value === null ? null : found
}

let stateDir: string
let app: StreamProcessor
let port: number
beforeAll(async () => {
  stateDir = mkdtempSync(join(tmpdir(), 'millrace-queries-'))
  await withEmbeddedLog(stateDir, async (log) => {
    await log.createTopics(['rows', 'everywhere', 'history', 'in'].map((name) => ({ name, partitions: PARTITIONS, kind: 'plain' })))
    const writer = log.writer({ transactionalId: 'test', guarantee: 'exactly_once' })
    await writer.init()
    for (const { topic, key, value, timestamp } of written)
      writer.append(topic, partitionOfKey(key), timestamp, Buffer.from(key), value === null ? null : Buffer.from(value), [])
    writer.seal()
    await writer.flush()
    await writer.commit(null, '', [])
    await writer.close()
  })
  app = new StreamProcessor(made, { stateDir, commitInterval: '20ms', server: { port: 0 } })
  await app.start()
  port = app.status().port as number
  const committed = async (): Promise<number> => Number(/^millrace_epoch_records_sum (\d+)$/m.exec((await ask(port, '/metrics')).body)?.[1])
  while ((await committed()) !== written.length - of('everywhere').length) await new Promise((done) => setTimeout(done, 10))
}, 60_000)
afterAll(async () => {
  await app.close()
  rmSync(stateDir, { recursive: true, force: true })
})

const path = (...parts: string[]): string => parts.map((part) => `/${encodeURIComponent(part)}`).join('')
const pages = async (of: string, fields: Record<string, string | number | null>, cursor: 'from' | 'cursor' | 'to'): Promise<any[]> => {
  const given = Object.entries(fields).flatMap(([name, value]) => (value === null ? [] : [[name, String(value)]]))
  const query = new URLSearchParams(given as [string, string][])
  const found: any[] = []
  for (;;) {
    const page = await askJson(port, `${of}?${query}`)
    found.push(...page.entries)
    if (page.next === undefined) return found
    expect(page.entries.length).toBeLessThanOrEqual(Number(fields.limit ?? 1_000))
    query.set(cursor, page.next)
  }
}
const collected = async <T>(rows: AsyncIterable<T>): Promise<T[]> => {
  const found: T[] = []
  for await (const row of rows) found.push(row)
  return found
}
const runs = { numRuns: runsOf(25, 100) }
const someKey = fc.option(fc.constantFrom(...KEYS, 'b', 'q'), { freq: 3 })
const time = fc.integer({ min: 0, max: 100_000 })
const limit = fc.integer({ min: 4, max: 30 })
const within = (key: string, from: string | null, to: string | null): boolean =>
  (from === null || byBytes(key, from) >= 0) && (to === null || byBytes(key, to) <= 0)
const order = (a: Window<unknown>, b: Window<unknown>): number => byBytes(a.key, b.key) || a.start - b.start
const shape = <V>(rows: readonly (readonly [{ readonly key: string; readonly start: number; readonly end: number }, V])[]): Window<V>[] =>
  rows.map(([at, value]) => ({ ...at, value })).sort(order)
const shapeOfText = (rows: readonly { readonly key: string; readonly value: unknown }[]): Window<unknown>[] =>
  rows
    .map(({ key, value }) => {
      const [, name = '', start, end] = /^(.*)@(\d+)-(\d+)$/.exec(key) ?? []
      return { key: name, start: Number(start), end: Number(end), value }
    })
    .sort(order)

describe.each(['rows', 'everywhere', 'kv'] as const)('keys of %s', (name) => {
  const rows = (): [string, string][] => rowsOf(name === 'kv' ? 'in' : name)
  test('one by one', async () => {
    const store = app.store<string, string>(name)
    for (const key of [...KEYS, 'q']) {
      const value = new Map(rows()).get(key) ?? null
      expect(store.get(key)).toBe(value)
      const answer = await ask(port, path('stores', name, key))
      expect(answer.status === 404 ? null : JSON.parse(answer.body)).toEqual(value === null ? null : { key, value })
    }
  })
  test('in any range, by any prefix, either way', async () => {
    const store = app.store<string, string>(name)
    await fc.assert(
      fc.asyncProperty(
        someKey,
        someKey,
        fc.boolean(),
        fc.constantFrom(null, 'a', 'ä', 'q'),
        limit,
        async (from, to, reverse, prefix, rowsMax) => {
          const wanted = rows().filter(([key]) => within(key, from, to))
          expect(await collected(store.range(from, to, { reverse }))).toEqual(reverse ? wanted.toReversed() : wanted)
          const begun = rows().filter(([key]) => key.startsWith(prefix ?? ''))
          expect(await collected(prefix === null ? store.all({ reverse }) : store.prefix(prefix, { reverse }))).toEqual(
            reverse ? begun.toReversed() : begun,
          )
          expect(await pages(path('stores', name), { from, to, prefix, limit: rowsMax }, 'from')).toEqual(
            wanted.filter(([key]) => key.startsWith(prefix ?? '')).map(([key, value]) => ({ key, value })),
          )
        },
      ),
      runs,
    )
  })
})

describe.each(['windows', 'ownWindows'] as const)('windows of %s', (name) => {
  const all = (): Window<unknown>[] => (name === 'windows' ? countedWindows() : ownWindows())
  test('of a key and of a range of keys, between two times', async () => {
    const store = app.windowStore<string, unknown>(name)
    expect(all().length).toBeGreaterThanOrEqual(20)
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...KEYS), someKey, someKey, time, time, limit, async (key, keyFrom, keyTo, from, to, rowsMax) => {
        const asked = all().filter(({ start }) => start >= from && start <= to)
        const own = asked.filter((each) => each.key === key).sort(order)
        expect(await collected(store.fetch(key, from, to))).toEqual(own.map(({ start, value }) => [start, value]))
        expect(await pages(path('windows', name, key), { from, to, limit: rowsMax }, 'cursor').then(shapeOfText)).toEqual(own)
        const some = asked.filter((each) => within(each.key, keyFrom, keyTo)).sort(order)
        expect(shape(await collected(store.fetchAll(from, to, { from: keyFrom, to: keyTo })))).toEqual(some)
        expect(await pages(path('windows', name), { from, to, keyFrom, keyTo, limit: rowsMax }, 'cursor').then(shapeOfText)).toEqual(some)
        const start = from - (from % SIZE)
        const one = all().find((each) => each.key === key && each.start === start)?.value ?? null
        expect(store.fetch(key, start)).toBe(one)
        expect(app.store(name).get({ key, start, end: start + SIZE })).toBe(one)
        expect((await ask(port, path('stores', name, `${key}@${start}-${start + SIZE}`))).status).toBe(one === null ? 404 : 200)
      }),
      runs,
    )
    expect(shape(await collected(app.store(name).all()))).toEqual(all().sort(order))
    expect(await pages(path('stores', name), { limit: 7 }, 'from').then(shapeOfText)).toEqual(all().sort(order))
    expect(await pages(path('windows', name), {}, 'cursor').then(shapeOfText)).toEqual(all().sort(order))
  })
})

describe.each(['sessions', 'ownSessions'] as const)('sessions of %s', (name) => {
  const all = (): Window<unknown>[] => (name === 'sessions' ? countedSessions() : ownSessions())
  test('of a key and of a range of keys, that meet a time', async () => {
    const store = app.sessionStore<string, unknown>(name)
    expect(all().length).toBeGreaterThanOrEqual(20)
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...KEYS), someKey, someKey, time, time, limit, async (key, keyFrom, keyTo, a, b, rowsMax) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)]
        const asked = all().filter(({ start, end }) => end >= from && start <= to)
        const own = asked.filter((each) => each.key === key).sort(order)
        expect(shape(await collected(store.findSessions(key, from, to)))).toEqual(own)
        expect(await pages(path('windows', name, key), { from, to, limit: rowsMax }, 'cursor').then(shapeOfText)).toEqual(own)
        const some = asked.filter((each) => within(each.key, keyFrom, keyTo)).sort(order)
        expect(shape(await collected(store.findAll(from, to, { from: keyFrom, to: keyTo })))).toEqual(some)
        expect(await pages(path('windows', name), { from, to, keyFrom, keyTo, limit: rowsMax }, 'cursor').then(shapeOfText)).toEqual(some)
        for (const { value, ...session } of own.slice(0, 3)) expect(store.get(session)).toBe(value)
        expect(shape(await collected(store.fetch(key)))).toEqual(
          all()
            .filter((each) => each.key === key)
            .sort(order),
        )
      }),
      runs,
    )
  })
})

describe.each(['history', 'ownVersions'] as const)('versions of %s', (name) => {
  const topic = name === 'history' ? 'history' : 'in'
  test('as of any time, and those between two', async () => {
    const store = app.versionedStore<string, string>(name)
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...KEYS), time, time, fc.integer({ min: 1, max: 9 }), async (key, from, to, rowsMax) => {
        const held = versionAsOf(topic, key, to)
        expect(await store.get(key, to)).toEqual(held)
        const answer = await ask(port, `${path('stores', name, key)}?asOf=${to}`)
        expect(answer.status === 404 ? null : JSON.parse(answer.body)).toEqual(held === null ? null : { key, ...held })
        const latest = versionAsOf(topic, key, Number.MAX_SAFE_INTEGER)
        expect(await store.get(key)).toEqual(latest)
        expect(app.store(name).get(key)).toBe(latest?.value ?? null)
        const low = Math.max(from, observed(key, ({ timestamp }) => timestamp, topic) - RETENTION)
        const all = versionsOf(topic, key)
        const wanted = all.filter(({ timestamp }, i) => {
          const until = all[i - 1]?.timestamp ?? Number.POSITIVE_INFINITY
          return timestamp <= to && (i === 0 || to >= low) && until > low
        })
        expect(await store.versions(key, from, to)).toEqual(wanted)
        expect(await pages(path('versions', name, key), { from, to, limit: rowsMax }, 'to')).toEqual(wanted)
      }),
      runs,
    )
  })
})

test('what is asked of a store of another kind is refused, by the name of what to ask', async () => {
  const refused = (act: () => unknown): string => {
    try {
      act()
    } catch (error) {
      expect((error as MillraceError).code).toBe('STREAM_USAGE')
      return (error as MillraceError).message
    }
    throw new Error('it was not refused')
  }
  expect(refused(() => app.windowStore('rows'))).toBe("store rows holds no windows; read it by store('rows')")
  expect(refused(() => app.windowStore('sessions'))).toBe("store sessions holds no windows; read it by sessionStore('sessions')")
  expect(refused(() => app.sessionStore('windows'))).toBe("store windows holds no sessions; read it by windowStore('windows')")
  expect(refused(() => app.versionedStore('kv'))).toBe("store kv holds no versions; read it by store('kv')")
  expect(refused(() => app.versionedStore('nope'))).toMatch(/^no store nope in reads; it has rows, history/)
  await expect(collected(app.store('windows').prefix('a'))).rejects.toThrow(/^store windows holds windows: they have no prefix/)
  for (const [asked, status] of [
    ['/windows/rows', 404],
    ['/windows/sessions/a?from=x', 400],
    ['/windows/windows?cursor=%00', 400],
    ['/windows/windows?prefix=a', 400],
    ['/stores/windows?prefix=a', 400],
    ['/versions/rows/a', 404],
    ['/stores/rows/a?asOf=5', 404],
    ['/stores/history/a?asOf=-1', 400],
    ['/windows/nope', 404],
  ] as const)
    expect((await ask(port, asked)).status, asked).toBe(status)
})

test('the lines of query: from the running process, and from the changelogs when none runs', async () => {
  const asks: readonly (readonly [store: string, ask: RowsAsk, http: string])[] = [
    ['rows', { form: 'range' }, '/stores/rows'],
    ['rows', { form: 'range', from: 'ab', to: 'c' }, '/stores/rows?from=ab&to=c'],
    ['everywhere', { form: 'range', prefix: 'a' }, '/stores/everywhere?prefix=a'],
    ['kv', { form: 'range', to: 'b' }, '/stores/kv?to=b'],
    ['windows', { form: 'windows', key: 'ab', from: 20_000, to: 70_000 }, '/windows/windows/ab?from=20000&to=70000'],
    ['windows', { form: 'windows', keyFrom: 'a', keyTo: 'b' }, '/windows/windows?keyFrom=a&keyTo=b'],
    ['ownWindows', { form: 'windows' }, '/windows/ownWindows'],
    ['ownWindows', { form: 'range' }, '/stores/ownWindows'],
    ['sessions', { form: 'windows', key: 'x@y' }, `/windows/sessions/${encodeURIComponent('x@y')}`],
    ['ownSessions', { form: 'windows', from: 60_000 }, '/windows/ownSessions?from=60000'],
    ['history', { form: 'versions', key: 'a' }, '/versions/history/a'],
    ['ownVersions', { form: 'versions', key: 'b', from: 50_000, to: 80_000 }, '/versions/ownVersions/b?from=50000&to=80000'],
  ]
  const linesOf = async (control: ControlHandler): Promise<string[][]> => {
    const all: string[][] = []
    for (const [store, ask] of asks) all.push((await collected(control.rows(store, ask, 1_000))).flat())
    for (const at of [10_000, 40_000, 70_000, 95_000])
      all.push((await collected(control.rows('history', { form: 'asOf', key: 'a', at }, 1_000))).flat())
    for (const name of ['rows', 'everywhere', 'ownWindows', 'ownVersions', 'windows'])
      for (const key of ['a', 'a@90000-100000']) all.push([JSON.stringify(await control.query(name, key).catch(() => 'refused'))])
    return all
  }
  const http = await Promise.all(asks.map(async ([, , of]) => (await askJson(port, of)).entries.map((row: unknown) => JSON.stringify(row))))
  const client = (await connectControl(stateDir)) as ControlClient
  const live = await linesOf(client)
  expect((await collected(client.rows('kv', { form: 'range' }, 3))).flat()).toHaveLength(3)
  await expect(collected(client.rows('rows', { form: 'windows' }, 9))).rejects.toThrow('store rows holds no windows')
  await expect(collected(client.rows('rows', { form: 'sideways' } as never, 9))).rejects.toThrow(
    /a request that this version does not know/,
  )
  client.close()
  expect(live.slice(0, asks.length)).toEqual(http)
  expect(live.slice(0, asks.length).every((lines) => lines.length > 0)).toBe(true)
  await app.close()
  await withEmbeddedLog(stateDir, async (log) => {
    const offline = recordsControl({ log, plan: app.plan, world: systemWorld(), createPartitions: null })
    expect(await linesOf(offline)).toEqual(live)
  })
})
