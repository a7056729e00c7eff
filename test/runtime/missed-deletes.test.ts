// A store that nobody had open for longer than its changelog keeps tombstones: rows that were deleted meanwhile must not come back.
import { beforeEach, describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/base/limits.ts'
import { partitionOf } from '../../src/base/murmur2.ts'
import type { World } from '../../src/base/ports.ts'
import { systemWorld } from '../../src/base/system.ts'
import { string, topology } from '../../src/index.ts'
import { GlobalReader } from '../../src/runtime/global-reader.ts'
import { type Mark, reached } from '../../src/runtime/missed-deletes.ts'
import { type MemoryProvider, memoryProvider } from '../../src/state/memory.ts'
import type { StateStore } from '../../src/state/store.ts'
import { type Compacted, compacted } from '../support/compacted.ts'
import { logOf, run } from '../support/counted-keys.ts'
import { proxied } from '../support/proxied.ts'
import { load, type RunningWorker } from '../support/run-worker.ts'

const HOUR_MS = 3_600_000
const CHANGELOG = 'app-rows-changelog'
const texts = { key: string(), value: string() }
const tables = topology('tables', (t) => {
  t.table('in', { ...texts, store: 'rows' })
    .toStream()
    .to('out', texts)
})

let shiftMs = 0
let told: string[] = []
const system = systemWorld()
const note = (fields: object, message: string): void => void told.push(`${message}: ${(fields as { reason?: string }).reason ?? ''}`)
const world: World = {
  ...system,
  clock: { now: () => system.clock.now() + shiftMs, monotonic: () => system.clock.monotonic() },
  logger: { ...system.logger, debug() {}, info: note, warn: note },
}
const removals = (): string[] => told.filter((line) => line.startsWith('store removed'))

beforeEach(() => {
  shiftMs = 0
  told = []
})

let timestamp = 0
const write = (log: Compacted, rows: Readonly<Record<string, string | null>>, topic = 'in', partitions = 1): Promise<void> =>
  load(
    log,
    Object.entries(rows).map(([key, value]) => ({
      topic,
      key: Buffer.from(key),
      value: value === null ? null : Buffer.from(value),
      timestamp: timestamp++,
    })),
    partitions,
  )

async function runOn(log: Compacted, provider: MemoryProvider): Promise<RunningWorker> {
  const running = await run({ log, topology: tables, provider, world })
  await running.untilCaughtUp()
  return running
}

async function onceOn(log: Compacted, provider: MemoryProvider): Promise<number> {
  const running = await runOn(log, provider)
  await running.worker.close()
  return running.restored()
}

async function rowsOf(store: StateStore): Promise<Record<string, string>> {
  const rows: Record<string, string> = {}
  for await (const chunk of store.scan({ from: null, to: null })) for (const [key, { value }] of chunk) rows[String(key)] = String(value)
  return rows
}

async function rowsOn(disk: MemoryProvider): Promise<Record<string, string>> {
  const { store } = await disk.open('0_0', 'rows', true)
  const rows = await rowsOf(store)
  await store.close()
  return rows
}

/** Two rows on a disk that is left alone; one of them is deleted by somebody else, and the changelog compacted. */
async function leftAlone(keptMs?: number | null) {
  const log = compacted(logOf(), keptMs)
  const disk = memoryProvider()
  await write(log, { deleted: '1', stays: '1' })
  await onceOn(log, disk)
  const other = memoryProvider()
  await write(log, { deleted: null, new: '1', newer: '1' })
  await onceOn(log, other)
  return { log, disk }
}

describe('a store that was left alone', () => {
  it('for longer than tombstones are kept is built anew, and says so', async () => {
    const { log, disk } = await leftAlone(HOUR_MS)
    await log.compact(CHANGELOG)
    shiftMs = HOUR_MS
    await onceOn(log, disk)
    expect(await rowsOn(disk)).toEqual({ stays: '1', new: '1', newer: '1' })
    expect(removals()).toEqual([expect.stringMatching(/rows-changelog keeps deletes for 3600000 ms/)])
  })

  it('for a day, where the log can not tell how long they are kept', async () => {
    for (const keptMs of [undefined, null]) {
      const { log, disk } = await leftAlone(keptMs)
      await log.compact(CHANGELOG)
      shiftMs += LIMITS.tombstonesKeptMs
      await onceOn(log, disk)
      expect(await rowsOn(disk)).toEqual({ stays: '1', new: '1', newer: '1' })
    }
  })

  it('for less goes on from its checkpoint', async () => {
    const { log, disk } = await leftAlone(HOUR_MS)
    shiftMs = HOUR_MS / 2
    expect(await onceOn(log, disk)).toBe(3)
    expect(await rowsOn(disk)).toEqual({ stays: '1', new: '1', newer: '1' })
    expect(removals()).toEqual([])
  })

  it('for however long, where nothing is compacted', async () => {
    const { log, disk } = await leftAlone(Number.POSITIVE_INFINITY)
    shiftMs = 1_000 * HOUR_MS
    expect(await onceOn(log, disk)).toBe(3)
    expect(removals()).toEqual([])
  })

  it('while nothing was written restores nothing', async () => {
    const log = compacted(logOf(), HOUR_MS)
    const disk = memoryProvider()
    await write(log, { deleted: '1', stays: '1' })
    await onceOn(log, disk)
    shiftMs = 100 * HOUR_MS
    expect(await onceOn(log, disk)).toBe(0)
    expect(removals()).toEqual([])
  })

  it('by a version that did not write the time down is built anew', async () => {
    const { log, disk } = await leftAlone(HOUR_MS)
    const { store } = await disk.open('0_0', 'rows', true)
    await store.apply([], { changelogOffset: store.checkpoint()?.changelogOffset as number })
    await store.close()
    await log.compact(CHANGELOG)
    await onceOn(log, disk)
    expect(await rowsOn(disk)).toEqual({ stays: '1', new: '1', newer: '1' })
  })
})

it('a store that is used commits the time with its rows', async () => {
  const log = compacted(logOf(), HOUR_MS)
  const disk = memoryProvider()
  await write(log, { a: '1' })
  const running = await runOn(log, disk)
  shiftMs = 10 * HOUR_MS
  await write(log, { b: '1' })
  await running.untilCaughtUp()
  await running.worker.close()
  const { store } = await disk.open('0_0', 'rows', true)
  expect(Math.abs((store.checkpoint()?.caughtUpAtMs ?? 0) - world.clock.now())).toBeLessThan(60_000)
})

it('a store that is open and idle is found to be up to date from time to time', async () => {
  const { caughtUpLookMs } = LIMITS
  Object.assign(LIMITS, { caughtUpLookMs: 5 })
  try {
    const log = compacted(logOf(), HOUR_MS)
    const disk = memoryProvider()
    await write(log, { a: '1' })
    const running = await runOn(log, disk)
    shiftMs = 10 * HOUR_MS
    const task = running.worker.tasks.get('0_0')
    const ageMs = (): number => world.clock.now() - (task?.stores[0]?.overlay.store.checkpoint()?.caughtUpAtMs ?? 0)
    await expect.poll(ageMs, { timeout: 5_000, interval: 5 }).toBeLessThan(60_000)
    expect(task?.stores[0]?.overlay.store.checkpoint()?.changelogOffset).toBe(1)
    await running.worker.close()
  } finally {
    Object.assign(LIMITS, { caughtUpLookMs })
  }
})

describe('a standby', () => {
  const KEYS = Array.from({ length: 20 }, (_, i) => `k${i}`)
  const each = (value: (i: number) => string | null): Record<string, string | null> =>
    Object.fromEntries(KEYS.map((key, i) => [key, value(i)]))

  /** Two members, a task each, and a standby of the other's. `stuck` keeps what `b` stands by for from hearing anything. */
  async function pair() {
    const log = compacted(logOf(), HOUR_MS)
    const at = { stuck: false }
    const deaf: Compacted = {
      ...log,
      reader(options) {
        const reader = log.reader(options)
        return {
          ...proxied(reader),
          async poll(waitMs) {
            if (!at.stuck || waitMs !== LIMITS.fetchWaitMs) return await reader.poll(waitMs === LIMITS.fetchWaitMs ? 10 : waitMs)
            await world.timers.sleep(5)
            return []
          },
        }
      },
    }
    const disk = memoryProvider()
    await write(log, each(String), 'in', 2)
    const member = { topology: tables, world, partitions: 2, standbys: 1 }
    const a = await run({ ...member, log, member: 'a' })
    const b = await run({ ...member, log: deaf, member: 'b', provider: disk })
    const isShared = (): boolean =>
      [a, b].every(({ worker }) => worker.ready && worker.tasks.size === 1 && worker.standbys.ids.length === 1)
    await expect.poll(isShared, { timeout: 10_000, interval: 5 }).toBe(true)
    const rows = async (): Promise<number> => {
      for (const [, store] of b.worker.standbys.stores()) return Object.keys(await rowsOf(store)).length
      return -1
    }
    const [task] = b.worker.standbys.ids
    const mine = KEYS.filter((key) => taskOf(key) === task)
    await expect.poll(rows, { timeout: 10_000, interval: 5 }).toBe(mine.length)
    return { log, a, b, at, rows, mine }
  }
  const taskOf = (key: string): string => `0_${partitionOf(Buffer.from(key), 2)}`

  it('that heard nothing for longer than tombstones are kept is built anew', async () => {
    const { log, a, b, at, rows, mine } = await pair()
    at.stuck = true
    await world.timers.sleep(50) // a poll may be under way
    await write(
      log,
      each((i) => (i < 18 ? null : 'new')),
      'in',
      2,
    )
    await a.untilCaughtUp()
    await log.compact(CHANGELOG)
    shiftMs = HOUR_MS
    at.stuck = false
    await expect.poll(rows, { timeout: 10_000, interval: 5 }).toBe(mine.filter((key) => Number(key.slice(1)) >= 18).length)
    expect(removals()).toHaveLength(1)
    expect(b.worker.counts.rewinds).toBe(0)
  })

  it('that had nothing to hear is not', async () => {
    const { caughtUpLookMs } = LIMITS
    Object.assign(LIMITS, { caughtUpLookMs: 5 })
    try {
      const { log, rows, mine } = await pair()
      shiftMs = 10 * HOUR_MS
      await world.timers.sleep(50)
      await write(
        log,
        each((i) => (i < 18 ? null : 'new')),
        'in',
        2,
      )
      await expect.poll(rows, { timeout: 10_000, interval: 5 }).toBe(mine.filter((key) => Number(key.slice(1)) >= 18).length)
      expect(removals()).toEqual([])
    } finally {
      Object.assign(LIMITS, { caughtUpLookMs })
    }
  })
})

describe('a global table', () => {
  const spec = {
    topic: 'rows',
    key: string(),
    value: string(),
    store: { name: 'table', key: string(), value: string(), generated: false, persistent: true, changelog: false },
  }
  const reading = async (log: Compacted, provider: MemoryProvider, onFatal: (error: unknown) => void = () => {}): Promise<GlobalReader> => {
    const reader = new GlobalReader({ specs: [spec], log, provider, world, partitionsOf: () => 1, stopping: () => false, onFatal })
    await reader.start()
    return reader
  }
  const row = (reader: GlobalReader, key: string): unknown => reader.tables[0]?.row(key)?.value ?? null

  it('that was left alone for longer than tombstones are kept is read anew', async () => {
    const log = compacted(logOf(), HOUR_MS)
    const disk = memoryProvider()
    await write(log, { deleted: '1', stays: '1' }, 'rows')
    await (await reading(log, disk)).close()
    await write(log, { deleted: null, new: '1', newer: '1' }, 'rows')
    await log.compact('rows')
    shiftMs = HOUR_MS
    const reader = await reading(log, disk)
    expect(['deleted', 'stays', 'new'].map((key) => row(reader, key))).toEqual([null, '1', '1'])
    expect(removals()).toHaveLength(1)
    await reader.close()
  })

  it('that is read on knows itself up to date', async () => {
    const log = compacted(logOf(), HOUR_MS)
    const disk = memoryProvider()
    await write(log, { a: '1', b: '1' }, 'rows')
    const reader = await reading(log, disk)
    shiftMs = HOUR_MS / 2
    await write(log, { b: '2', c: '2' }, 'rows')
    await expect.poll(() => row(reader, 'c'), { timeout: 5_000, interval: 5 }).toBe('2')
    await reader.close()
    await write(log, { b: '3', c: '3' }, 'rows')
    shiftMs = HOUR_MS
    const again = await reading(log, disk)
    expect([row(again, 'a'), row(again, 'c'), removals()]).toEqual(['1', '3', []])
    await again.close()
  })

  it('that stood still while it ran ends its process by name', async () => {
    const log = compacted(logOf(), HOUR_MS)
    const disk = memoryProvider()
    await write(log, { a: '1', b: '1' }, 'rows')
    const ends: unknown[] = []
    const reader = await reading(log, disk, (error) => ends.push(error))
    shiftMs = HOUR_MS
    await write(log, { a: null, b: '2' }, 'rows')
    await expect.poll(() => ends, { timeout: 5_000, interval: 5 }).toMatchObject([{ code: 'STREAM_STORE_DAMAGED', disposition: 'stop' }])
    await reader.close()
    const again = await reading(log, disk)
    expect([row(again, 'a'), row(again, 'b'), removals().length]).toEqual([null, '2', 1])
    await again.close()
  })
})

describe('who follows a topic that is always written', () => {
  it('was up to date when it had what was there, however far the topic has gone on since', () => {
    let mark: Mark | null = null
    const seen: (number | undefined)[] = []
    for (let nowMs = 0; nowMs < 100; nowMs += 10) {
      const end = nowMs + 25 // the reader is always 25 behind
      const after = reached(mark, nowMs, end, nowMs)
      mark = after.mark
      seen.push(after.caughtUpAtMs)
    }
    expect(seen).toEqual([undefined, undefined, undefined, 0, undefined, undefined, undefined, 40, undefined, undefined])
  })

  it('at the end it is up to date now', () => {
    expect(reached(null, 7, 7, 5)).toEqual({ mark: null, caughtUpAtMs: 5 })
    expect(reached({ end: 9, atMs: 3 }, 8, 12, 5)).toEqual({ mark: { end: 9, atMs: 3 } })
  })
})
