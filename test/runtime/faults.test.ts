// The worker under faults of its log and its process: commits whose answer is lost before or after they took effect, workers that
// vanish without a word, damaged stores. What a read_committed reader sees is the oracle's sequence, each output once.
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MillraceError } from '../../src/base/errors.ts'
import { LIMITS } from '../../src/base/limits.ts'
import { systemWorld } from '../../src/base/system.ts'
import { json, string, topology } from '../../src/index.ts'
import type { Log, Writer } from '../../src/log/log.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { memoryProvider } from '../../src/state/memory.ts'
import type { OpenedStore, StoreProvider } from '../../src/state/store.ts'
import { padChangelogs } from '../support/pad-changelogs.ts'
import { proxied } from '../support/proxied.ts'
import { type InputRecord, load, readAll, runWorker } from '../support/run-worker.ts'
import { runsOf } from '../support/tier.ts'

const world = systemWorld()

// Hundreds of failures, each with its pause: how long that is, is asked elsewhere.
const { rewindBackoffMs, rewindBackoffMaxMs } = LIMITS
beforeAll(() => void Object.assign(LIMITS, { rewindBackoffMs: 1, rewindBackoffMaxMs: 10 }))
afterAll(() => void Object.assign(LIMITS, { rewindBackoffMs, rewindBackoffMaxMs }))

/** Sums per account, then a second stage behind a repartition topic: any record lost or doubled anywhere shows. */
const sumsOf = (cache: { readonly cache?: number }) =>
  topology('sums', (t) => {
    const amounts = t.stream('in', { key: string(), value: json<{ n: number; group: string }>() })
    amounts
      .groupByKey()
      .aggregate(
        () => ({ count: 0, sum: 0 }),
        (state, { n }) => ({ count: state.count + 1, sum: state.sum + n }),
        { store: 'by-key', value: json<{ count: number; sum: number }>(), ...cache },
      )
      .toStream()
      .to('out', { key: string(), value: json<{ count: number; sum: number }>() })
    amounts
      .groupBy(({ group }) => group, { key: string() })
      .count({ store: 'by-group', ...cache })
      .toStream()
      .to('groups', { key: string(), value: json<number>() })
  })

const sums = sumsOf({})

type Fault = 'none' | 'flush' | 'before' | 'after'

/** A log whose writers fail as told, a fault an epoch; 'after': it was committed, the answer is lost. */
function faulty(log: Log, faults: Fault[]): Log {
  return {
    ...proxied(log),
    writer(options) {
      const writer = log.writer(options)
      const fault = (): Fault => faults.shift() ?? 'none'
      let now: Fault = 'none'
      let doubt = false
      const failing: Writer = {
        ...proxied(writer),
        get bufferedBytes() {
          return writer.bufferedBytes
        },
        async init() {
          await writer.init()
          if (doubt) await padChangelogs(log)
          doubt = false
        },
        async flush() {
          if (doubt) throw new Error('used after a doubt without init')
          now = fault()
          if (now === 'flush') {
            doubt = true
            throw new MillraceError('STREAM_DOUBT', 'injected: produce was not answered')
          }
          return writer.flush()
        },
        async commit(identity, groupId, offsets) {
          if (now !== 'before') await writer.commit(identity, groupId, offsets)
          if (now === 'before' || now === 'after') {
            doubt = true
            throw new MillraceError('STREAM_DOUBT', `injected: the end was not answered (${now})`)
          }
        },
      }
      return failing
    },
  }
}

const inputOf = (events: readonly (readonly [string, number])[]): InputRecord[] =>
  events.map(([key, n], i) => ({
    topic: 'in',
    key: Buffer.from(key),
    value: Buffer.from(JSON.stringify({ n, group: `g${n % 3}` })),
    timestamp: i,
  }))

/** Per key, the running sums; per group, the running counts. */
function expectedOf(events: readonly (readonly [string, number])[]): {
  readonly out: Map<string, unknown[]>
  readonly groups: Map<string, unknown[]>
} {
  const out = new Map<string, { count: number; sum: number }[]>()
  const groups = new Map<string, number[]>()
  for (const [key, n] of events) {
    const list = out.get(key) ?? []
    const last = list.at(-1) ?? { count: 0, sum: 0 }
    out.set(key, [...list, { count: last.count + 1, sum: last.sum + n }])
    const group = groups.get(`g${n % 3}`) ?? []
    groups.set(`g${n % 3}`, [...group, group.length + 1])
  }
  return { out, groups }
}

async function seen(log: Log, topic: string): Promise<Map<string, unknown[]>> {
  const found = new Map<string, unknown[]>()
  for (const record of (await readAll(log, topic)).flat()) {
    const key = (record.key as Buffer).toString()
    found.set(key, [...(found.get(key) ?? []), JSON.parse((record.value as Buffer).toString())])
  }
  return found
}

/** With a cache: some of them, in their order, each once, the last one among them. */
function expectSome(found: readonly unknown[] | undefined, all: readonly unknown[]): void {
  const places = (found ?? []).map((value) => all.findIndex((each) => JSON.stringify(each) === JSON.stringify(value)))
  expect(places).toEqual([...new Set(places)].sort((a, b) => a - b))
  expect(places.at(0)).toBeGreaterThanOrEqual(0)
  expect(places.at(-1)).toBe(all.length - 1)
}

const events = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.nat(9)), { minLength: 1, maxLength: 60 })

describe('the worker under faults', () => {
  it(
    'property: lost answers and vanished workers cost nothing and double nothing',
    async () => {
      const faults = fc.array(fc.constantFrom<Fault>('none', 'flush', 'before', 'after'), { maxLength: 6 })
      await fc.assert(
        fc.asyncProperty(
          events,
          faults,
          fc.integer({ min: 1, max: 3 }),
          fc.array(fc.boolean(), { maxLength: 3 }),
          fc.constantFrom({}, {}, { cache: 1_000 }, { cache: 1_000_000 }),
          async (input, tape, partitions, vanish, cache) => {
            const log = memoryLog(world)
            const provider = memoryProvider()
            const setup = { topology: sumsOf(cache), applicationId: 'app', provider, world, partitions, commitIntervalMs: 2 }
            const all = inputOf(input)
            const share = Math.ceil(all.length / (vanish.length + 1))
            const queue = [...tape]
            for (const [i, forgets] of [...vanish, null].entries()) {
              await load(log, all.slice(i * share, (i + 1) * share), partitions)
              const client = log.another()
              const { worker, untilCaughtUp } = await runWorker({ ...setup, log: faulty(client, queue) })
              if (forgets === null) {
                await untilCaughtUp()
                await worker.close()
              } else {
                await world.timers.sleep(3)
                client.crash() // its writers, readers and membership are dead; the worker only sees errors from here on
                provider.crash()
                await worker.close().catch(() => {})
                if (forgets) provider.forget()
              }
            }
            const { out, groups } = expectedOf(input)
            const summed = await seen(log, 'out')
            const counted = await seen(log, 'groups')
            if ('cache' in cache) {
              for (const [key, list] of out) expectSome(summed.get(key), list)
              for (const [group, list] of groups) expectSome(counted.get(group), list)
            } else {
              expect(summed).toEqual(out)
              for (const [group, list] of groups) expect(counted.get(group)).toEqual(list)
            }
            await log.close()
          },
        ),
        { numRuns: runsOf(40, 400) },
      )
    },
    runsOf(60_000, 600_000),
  )

  it('sets a damaged store aside, rebuilds it from its changelog and goes on', async () => {
    const log = memoryLog(world)
    const inner = memoryProvider()
    let refuse = false
    const aside: string[] = []
    const provider: StoreProvider = {
      async open(task, store, persistent): Promise<OpenedStore> {
        const opened = await inner.open(task, store, persistent)
        let damaged: string | null = null
        const broken = (): never => {
          damaged = 'injected'
          throw new MillraceError('STREAM_STORE_DAMAGED', `${store}: injected`)
        }
        const wrapped = proxied(opened.store)
        Object.defineProperty(wrapped, 'damaged', { get: () => damaged })
        wrapped.apply = async (writes, checkpoint) => {
          if (damaged !== null) throw new Error('written again after an error (R5)')
          if (refuse && store === 'by-key' && writes.length > 0) {
            refuse = false
            broken()
          }
          await opened.store.apply(writes, checkpoint)
        }
        return { store: wrapped, rebuilt: opened.rebuilt }
      },
      async setAside(task, store, reason) {
        aside.push(`${store}: ${reason}`)
        await inner.setAside(task, store, reason)
      },
    }
    const input = Array.from({ length: 40 }, (_, i) => [`k${i % 5}`, i] as const)
    await load(log, inputOf(input.slice(0, 20)), 1)
    const running = await runWorker({ log, topology: sums, applicationId: 'app', provider, world, partitions: 1, commitIntervalMs: 2 })
    await running.untilCaughtUp()
    refuse = true
    await load(log, inputOf(input.slice(20)), 1)
    await running.untilCaughtUp()
    await world.timers.sleep(50)
    await running.untilCaughtUp()
    expect(aside).toEqual(['by-key: injected'])
    expect(running.restored()).toBeGreaterThan(0)
    await load(log, inputOf([['k0', 1000]]), 1)
    await running.untilCaughtUp()
    await running.worker.close()
    expect(await seen(log, 'out')).toEqual(expectedOf([...input, ['k0', 1000]]).out)
    await log.close()
  })

  it('restores nothing after a clean stop, everything after the disk was lost', async () => {
    const log = memoryLog(world)
    const provider = memoryProvider()
    const input = Array.from({ length: 30 }, (_, i) => [`k${i % 7}`, i] as const)
    await load(log, inputOf(input), 2)
    const setup = { log, topology: sums, applicationId: 'app', world, partitions: 2 }
    const first = await runWorker({ ...setup, provider })
    await first.untilCaughtUp()
    await first.worker.close()
    const second = await runWorker({ ...setup, provider })
    await second.untilCaughtUp()
    expect(second.restored()).toBe(0)
    await second.worker.close()
    const third = await runWorker({ ...setup, provider: memoryProvider() })
    await third.untilCaughtUp()
    expect(third.restored()).toBeGreaterThan(0)
    await load(log, inputOf([['k0', 5]]), 2)
    await third.untilCaughtUp()
    await third.worker.close()
    expect(await seen(log, 'out')).toEqual(expectedOf([...input, ['k0', 5]]).out)
    await log.close()
  })

  it('at_least_once: after faults every input is reflected, possibly more than once', async () => {
    const log = memoryLog(world)
    const faults: Fault[] = ['none', 'before', 'none', 'after', 'flush']
    const input = Array.from({ length: 50 }, (_, i) => [`k${i % 5}`, 1] as const)
    const setup = {
      topology: sums,
      applicationId: 'app',
      provider: memoryProvider(),
      world,
      partitions: 1,
      guarantee: 'at_least_once' as const,
      commitIntervalMs: 1,
    }
    const running = await runWorker({ ...setup, log: faulty(log, faults) })
    for (let i = 0; i < 50; i += 10) {
      await load(log, inputOf(input.slice(i, i + 10)), 1)
      await running.untilCaughtUp()
    }
    await running.worker.close()
    for (const [key, list] of await seen(log, 'out')) {
      expect((list.at(-1) as { count: number }).count, key).toBeGreaterThanOrEqual(10)
    }
    await log.close()
  })
})
