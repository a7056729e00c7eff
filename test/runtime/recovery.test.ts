// What a worker must survive between a failure and the next committed epoch: restores that are cut off, commits that fail while
// records are read ahead, assignments it never heard of. Each of these once lost, doubled or stopped something.
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { MillraceError } from '../../src/base/errors.ts'
import { LIMITS } from '../../src/base/limits.ts'
import { systemWorld } from '../../src/base/system.ts'
import { json, string, topology } from '../../src/index.ts'
import type { GroupOptions, Log, Reader, Writer } from '../../src/log/log.ts'
import { memoryProvider } from '../../src/state/memory.ts'
import type { StateStore, StoreProvider } from '../../src/state/store.ts'
import { expectCounts, keysOf, logOf, records, run } from '../support/counted-keys.ts'
import { lockedStores } from '../support/locked-stores.ts'
import { proxied } from '../support/proxied.ts'
import { load } from '../support/run-worker.ts'

const world = systemWorld()

/** A log whose readers, writers and groups are made by the test out of the true ones. */
function altered(
  log: Log,
  by: {
    reader?: (of: Reader) => Reader
    writer?: (of: Writer) => Writer
    group?: (options: GroupOptions) => GroupOptions
    offsets?: Log['offsets']
  },
): Log {
  const { reader, writer, group, ...rest } = by
  return {
    ...proxied(log),
    ...(reader === undefined ? {} : { reader: (options) => reader(log.reader(options)) }),
    ...(writer === undefined ? {} : { writer: (options) => writer(log.writer(options)) }),
    ...(group === undefined ? {} : { group: (options) => log.group(group(options)) }),
    ...rest,
  }
}

function alteredStores(inner: StoreProvider, by: (store: StateStore) => Partial<StateStore>): StoreProvider {
  return {
    async open(task, name, persistent) {
      const opened = await inner.open(task, name, persistent)
      return { ...opened, store: { ...proxied(opened.store), ...by(opened.store) } }
    },
    setAside: (task, name, reason) => inner.setAside(task, name, reason),
  }
}

describe('a restore that is cut off', () => {
  it('closes the store, so that the next try can open it', async () => {
    const log = logOf()
    await load(log, records(keysOf(50)), 1)
    const first = await run({ log })
    await first.untilCaughtUp()
    await first.worker.close()
    let faults = 2
    const unreachable = altered(log, {
      async offsets(partitions, which) {
        if (faults > 0 && partitions[0]?.topic.endsWith('-changelog') === true) {
          faults--
          throw new MillraceError('STREAM_UNSTABLE', 'injected: the broker did not answer')
        }
        return log.offsets(partitions, which)
      },
    })
    const provider = lockedStores(memoryProvider())
    const second = await run({ log: unreachable, provider })
    await load(log, records(keysOf(50)), 1)
    await second.untilCaughtUp()
    await second.worker.close()
    expect(faults).toBe(0)
    expect([...provider.held]).toEqual([])
    await expectCounts(log, 100)
  })

  it('ends soon when the worker is closed, and leaves no store open', async () => {
    const log = logOf()
    await load(log, records(keysOf(50)), 1)
    const first = await run({ log })
    await first.untilCaughtUp()
    await first.worker.close()
    let restoring = false
    const stuck = altered(log, {
      reader: (of) => ({
        ...proxied(of),
        async poll(waitMs) {
          if (waitMs !== LIMITS.fetchWaitMs) return of.poll(waitMs)
          restoring = true
          await world.timers.sleep(5)
          return []
        },
      }),
    })
    const provider = lockedStores(memoryProvider())
    const second = await run({ log: stuck, provider })
    while (!restoring) await world.timers.sleep(1)
    const closed = second.worker.close().then(() => 'closed')
    expect(await Promise.race([closed, world.timers.sleep(10_000).then(() => 'still restoring')])).toBe('closed')
    expect([...provider.held]).toEqual([])
  })
})

describe('an epoch that fails', () => {
  it('while records are read ahead costs a rewind, not the worker', async () => {
    const log = logOf()
    await load(log, records(Array.from({ length: 3_000 }, (_, i) => `k${i}`)), 1)
    let failures = 3
    let failed = (): void => {}
    const failing = altered(log, {
      writer: (of) => ({
        ...proxied(of),
        bufferedBytes: 0,
        // As a filter that lets nothing through: what the broker refused is not noticed by an append.
        append: (...args) => of.append(...args),
        async commit(identity, groupId, offsets) {
          await world.timers.sleep(2)
          if (failures-- <= 0) return of.commit(identity, groupId, offsets)
          failed()
          throw new MillraceError('STREAM_DOUBT', 'injected')
        },
      }),
    })
    // Each read ahead ends only after the commit under way has.
    const provider = alteredStores(memoryProvider(), (store) => ({
      async getMany(keys) {
        if (failures > 0) await Promise.race([new Promise<void>((done) => (failed = done)), world.timers.sleep(20)])
        await setImmediate()
        return store.getMany(keys)
      },
    }))
    const running = await run({ log: failing, provider, commitIntervalMs: 0 })
    await running.untilCaughtUp()
    await load(log, records(keysOf(1_000)), 1)
    await running.untilCaughtUp()
    await running.worker.close()
    expect(failures).toBeLessThan(0)
    await expectCounts(log, 4_000)
  })

  it('for a record that its topic does not take ends the worker by name, and does not go round for ever', async () => {
    const log = logOf()
    await load(log, records(keysOf(30)), 1)
    const refusing = altered(log, {
      writer: (of) => ({
        ...proxied(of),
        bufferedBytes: 0,
        async flush() {
          throw new MillraceError('STREAM_RECORD_TOO_LARGE', 'injected: out-0 takes no record of 900000 bytes')
        },
      }),
    })
    const running = await run({ log: refusing })
    await expect(
      (async () => {
        for (;;) {
          await running.caughtUp()
          await world.timers.sleep(1)
        }
      })(),
    ).rejects.toThrow('out-0 takes no record')
    expect(running.worker.counts.rewinds).toBe(0)
  })

  it('is settled by an init before anything committed is read', async () => {
    const log = logOf()
    await load(log, records(keysOf(30)), 2)
    const asked: string[] = []
    let failed = false
    const base = altered(log, {
      writer: (of) => ({
        ...proxied(of),
        bufferedBytes: 0,
        async init() {
          await of.init()
          if (failed) asked.push('init')
        },
        async commit(identity, groupId, offsets) {
          await of.commit(identity, groupId, offsets)
          if (failed) return
          failed = true
          throw new MillraceError('STREAM_DOUBT', 'injected')
        },
      }),
      offsets(partitions, which) {
        if (failed) asked.push('offsets')
        return log.offsets(partitions, which)
      },
    })
    const watched: Log = {
      ...base,
      committed(groupId, partitions) {
        if (failed) asked.push('committed')
        return log.committed(groupId, partitions)
      },
    }
    const running = await run({ log: watched, partitions: 2 })
    while (running.worker.counts.rewinds === 0 || !running.worker.ready || asked.length < 3) await world.timers.sleep(1)
    expect(asked[0]).toBe('init')
    expect(asked.filter((what) => what === 'init')).toHaveLength(1)
    expect(asked).toContain('committed')
    await running.untilCaughtUp()
    await running.worker.close()
    await expectCounts(log, 30)
  })

  it('and is paused after holds nobody up: a revocation is answered, a close is quick', async () => {
    const log = logOf()
    await load(log, records(keysOf(30)), 1)
    // Pauses of minutes.
    const { rewindBackoffMs, rewindBackoffMaxMs } = LIMITS
    Object.assign(LIMITS, { rewindBackoffMs: 600_000, rewindBackoffMaxMs: 600_000 })
    try {
      let revoke: GroupOptions['onRevoke'] = async () => {}
      const failing = altered(log, {
        writer: (of) => ({
          ...proxied(of),
          bufferedBytes: 0,
          async commit() {
            throw new MillraceError('STREAM_DOUBT', 'injected')
          },
        }),
        group(options) {
          revoke = options.onRevoke
          return options
        },
      })
      const running = await run({ log: failing })
      const { counts } = running.worker
      while (counts.rewinds === 0) await world.timers.sleep(1)
      const soon = async (what: Promise<unknown>): Promise<string> =>
        Promise.race([what.then(() => 'answered'), world.timers.sleep(5_000).then(() => 'nobody listens')])
      await world.timers.sleep(20)
      expect(await soon(revoke(false))).toBe('answered')
      await world.timers.sleep(20)
      expect(counts.rewinds, 'one that is revoked waits for its assignment').toBe(1)
      expect(await soon(running.worker.close())).toBe('answered')
    } finally {
      Object.assign(LIMITS, { rewindBackoffMs, rewindBackoffMaxMs })
    }
  })

  it('before the first commit loses nothing of a source that begins at the end', async () => {
    const latest = topology('latest', (t) => {
      t.stream('in', { key: string(), value: json<number>(), offsetReset: 'latest' })
        .groupByKey()
        .count({ store: 'n' })
        .toStream()
        .to('out', { key: string(), value: json<number>() })
    })
    const log = logOf()
    await load(log, records(keysOf(30)), 1)
    let refuse = false
    const failing = altered(log, {
      writer: (of) => ({
        ...proxied(of),
        bufferedBytes: 0,
        async commit(identity, groupId, offsets) {
          if (!refuse) return of.commit(identity, groupId, offsets)
          refuse = false
          throw new MillraceError('STREAM_DOUBT', 'injected')
        },
      }),
    })
    const running = await run({ log: failing, topology: latest })
    while (!running.worker.ready) await world.timers.sleep(1)
    refuse = true
    await load(log, records(keysOf(20)), 1)
    while (refuse) await world.timers.sleep(1)
    await world.timers.sleep(100)
    await load(log, records(['end']), 1)
    await running.untilCaughtUp()
    await running.worker.close()
    await expectCounts(log, 21)
  })
})

describe('a rebalance', () => {
  it('that went by unheard takes what was kept with it', async () => {
    const log = logOf()
    await load(log, records(keysOf(40)), 4)
    // The second assignment never arrives, as when SyncGroup is answered by the next rebalance.
    let assignments = 0
    const deaf = altered(log.another(), {
      group: (options) => ({
        ...options,
        onAssign(assignment) {
          if (++assignments !== 2) options.onAssign(assignment)
        },
      }),
    })
    const first = await run({ log: deaf, partitions: 4, member: 'a' })
    await first.untilCaughtUp()
    const kept = new Set(first.worker.tasks.values())
    const second = await run({ log: log.another(), partitions: 4, member: 'b' })
    while (assignments < 2) await world.timers.sleep(1)
    await load(log, records(keysOf(40)), 4)
    await world.timers.sleep(50)
    expect(second.worker.tasks.size).toBe(0) // nobody has let go of anything
    const third = await run({ log: log.another(), partitions: 4, member: 'c' })
    while (second.worker.tasks.size === 0 || !first.worker.ready) await world.timers.sleep(1)
    expect([...first.worker.tasks.values()].filter((task) => kept.has(task))).toEqual([])
    await third.worker.close()
    await second.worker.close()
    await first.untilCaughtUp()
    await first.worker.close()
    await expectCounts(log, 80)
  })

  it('that takes long: tasks go on to the bounds of an epoch and commit nothing; the event loop has its turns', async () => {
    const log = logOf()
    await load(log, records(keysOf(100)), 1)
    let polls = 0
    let fetched = 0
    const counting = altered(log, {
      reader: (of) => ({
        ...proxied(of),
        async poll(waitMs) {
          if (++polls > 20_000) throw new MillraceError('STREAM_INTERNAL', 'polled without an end')
          const chunks = await of.poll(waitMs)
          return chunks.map((chunk) => {
            const some = chunk.records.slice(0, 500)
            const position = some.length === 0 ? chunk.position : (some.at(-1)?.offset ?? 0) + 1
            of.seek({ ...chunk, offset: position })
            fetched += some.length
            return { ...chunk, records: some, position }
          })
        },
      }),
    })
    const running = await run({ log: counting, epochRecordsMax: 5_000 })
    await running.untilCaughtUp()
    let release = (): void => {}
    let asked = false
    const slow = log.another().group({
      groupId: 'app',
      instanceId: null,
      topics: ['in'],
      userData: () => Buffer.from('{}'),
      assign: () => new Map(),
      onRevoke: () =>
        new Promise((done) => {
          asked = true
          release = done
        }),
      onAssign: () => {},
      onFatal: () => {},
    })
    await slow.start()
    await running.untilCaughtUp()
    slow.rejoin()
    while (!asked) await world.timers.sleep(1)
    await world.timers.sleep(50)
    const processed = (): number => [...running.worker.tasks.values()].reduce((sum, task) => sum + task.counts.records, 0)
    const { epochs } = running.worker.barrier.figures
    const before = { polls, fetched, processed: processed() }
    await load(log, records(keysOf(50_000)), 1)
    while (processed() - before.processed < 5_000) await world.timers.sleep(1) // would never end if the loop got no turn
    await world.timers.sleep(100)
    expect(polls - before.polls).toBeLessThan(1_000)
    expect(processed() - before.processed).toBeLessThanOrEqual(6_000)
    expect(fetched - before.fetched).toBeLessThanOrEqual(6_000 + LIMITS.queueRecordsHigh + 1_000)
    expect(running.worker.barrier.figures.epochs).toBe(epochs)
    polls = Number.NEGATIVE_INFINITY
    release()
    await running.untilCaughtUp()
    await slow.close()
    await running.worker.close()
    await expectCounts(log, 50_100)
  })

  it('after the worker has given up is answered, so that the group can be left', async () => {
    const log = logOf()
    let revoke: GroupOptions['onRevoke'] | null = null
    let fatal: GroupOptions['onFatal'] | null = null
    const watched = altered(log, {
      group: (options) => {
        revoke = options.onRevoke
        fatal = options.onFatal
        return options
      },
    })
    await log.createTopics([{ name: 'in', partitions: 1, kind: 'plain' }])
    const running = await run({ log: watched })
    await running.untilCaughtUp()
    ;(fatal as unknown as GroupOptions['onFatal'])(new Error('injected'))
    await world.timers.sleep(20)
    const revoked = (revoke as unknown as GroupOptions['onRevoke'])(false).then(() => 'answered')
    expect(await Promise.race([revoked, world.timers.sleep(5_000).then(() => 'pending')])).toBe('answered')
  })
})

describe('closing', () => {
  it('waits for the epoch under way, commits the next one, and leaves nothing to restore', async () => {
    const log = logOf()
    await load(log, records(keysOf(50)), 1)
    let committing = 0
    const slow = altered(log, {
      writer: (of) => ({
        ...proxied(of),
        bufferedBytes: 0,
        async commit(identity, groupId, offsets) {
          committing++
          await world.timers.sleep(50)
          await of.commit(identity, groupId, offsets)
        },
      }),
    })
    const provider = memoryProvider()
    const first = await run({ log: slow, provider })
    while (committing === 0) await world.timers.sleep(1)
    await load(log, records(keysOf(50)), 1)
    while ([...first.worker.tasks.values()].some((task) => task.counts.records < 100)) await world.timers.sleep(1)
    await first.worker.close()
    const second = await run({ log, provider })
    await second.untilCaughtUp()
    expect(second.restored()).toBe(0)
    await second.worker.close()
    await expectCounts(log, 100)
  })

  it('closes everything else when one thing refuses', async () => {
    const log = logOf()
    await load(log, records(keysOf(50)), 2)
    const closed: string[] = []
    const provider = alteredStores(memoryProvider(), (store) => ({
      async close() {
        closed.push(store.name)
        await store.close()
        throw new Error('injected: it does not close')
      },
    }))
    const stubborn = altered(log, {
      reader: (of) => ({
        ...proxied(of),
        async close() {
          closed.push('reader')
          await of.close()
        },
      }),
      writer: (of) => ({
        ...proxied(of),
        bufferedBytes: 0,
        async close() {
          closed.push('writer')
          await of.close()
        },
      }),
    })
    const running = await run({ log: stubborn, provider, partitions: 2 })
    await running.untilCaughtUp()
    closed.length = 0
    await expect(running.worker.close()).rejects.toThrow('injected')
    expect(closed.sort()).toEqual(['0_0/n', '0_1/n', 'reader', 'writer'])
  })
})
