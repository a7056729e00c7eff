// Tasks that move while others run: a restore goes on beside the running tasks, what stays is not stopped by a rebalance, and what is
// called off leaves nothing open.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/base/limits.ts'
import { systemWorld } from '../../src/base/system.ts'
import type { GroupOptions, Log, Reader } from '../../src/log/log.ts'
import type { Task } from '../../src/runtime/task.ts'
import { memoryProvider } from '../../src/state/memory.ts'
import type { StoreProvider } from '../../src/state/store.ts'
import { expectCounts, logOf, records, run } from '../support/counted-keys.ts'
import { lockedStores } from '../support/locked-stores.ts'
import { proxied } from '../support/proxied.ts'
import { load, type RunningWorker } from '../support/run-worker.ts'

const world = systemWorld()

/** Restores of these changelog partitions get nothing until `release`. */
function stuckRestores(
  log: Log,
  partitions: (partition: number) => boolean,
): { log: Log; restoring: Set<number>; woken: Set<Reader>; release(): void } {
  const restoring = new Set<number>()
  const woken = new Set<Reader>()
  let stuck = true
  const reader: Log['reader'] = (options) => {
    const of = log.reader(options)
    let held = false
    const late: Reader = {
      ...proxied(of),
      assign(list) {
        held = list.some(({ topic, partition }) => topic.endsWith('-changelog') && partitions(partition))
        if (held) for (const { partition } of list) restoring.add(partition)
        of.assign(list)
      },
      wake() {
        if (held) woken.add(of)
        of.wake()
      },
      async poll(waitMs) {
        for (const until = world.clock.monotonic() + waitMs; held && stuck && !woken.has(of); ) {
          if (world.clock.monotonic() > until) return []
          await world.timers.sleep(2)
        }
        return of.poll(waitMs)
      },
    }
    return late
  }
  return {
    log: { ...proxied(log), reader },
    restoring,
    woken,
    release() {
      stuck = false
    },
  }
}

/** From `hold` on no store opens, or none closes, until `release`. */
function gated(
  inner: StoreProvider,
  what: 'open' | 'close',
): StoreProvider & { readonly waiting: () => number; hold(): void; release(): void } {
  let held = false
  let waiting = 0
  let open = (): void => {}
  let gate = Promise.resolve()
  const pass = async (at: 'open' | 'close'): Promise<void> => {
    if (!held || at !== what) return
    waiting++
    await gate
    waiting--
  }
  return {
    waiting: () => waiting,
    hold() {
      held = true
      gate = new Promise((resolve) => (open = resolve))
    },
    release() {
      held = false
      open()
    },
    async open(task, name, persistent) {
      await pass('open')
      const { store, rebuilt } = await inner.open(task, name, persistent)
      const close = (): Promise<void> => pass('close').then(() => store.close())
      return { store: { ...proxied(store), close }, rebuilt }
    },
    setAside: (task, name, reason) => inner.setAside(task, name, reason),
  }
}

/** Of every partition some. */
const many = (n: number): string[] => Array.from({ length: n }, (_, i) => `k${i % 50}`)

async function until(what: () => boolean, text: string): Promise<void> {
  const end = world.clock.monotonic() + 8_000
  while (!what()) {
    if (world.clock.monotonic() > end) throw new Error(`not within 8 s: ${text}`)
    await world.timers.sleep(1)
  }
}

const processed = (running: RunningWorker): number => [...running.worker.tasks.values()].reduce((sum, task) => sum + task.counts.records, 0)

describe('a restore', () => {
  it('goes on beside the tasks that run: they process and commit, the member stays, `ready` waits', async () => {
    const log = logOf()
    await load(log, records(many(400)), 4)
    const first = await run({ log: log.another(), partitions: 4, member: 'a' })
    await first.untilCaughtUp()
    const stuck = stuckRestores(log.another(), (partition) => partition === 3)
    const provider = lockedStores(memoryProvider())
    const second = await run({ log: stuck.log, partitions: 4, member: 'b', provider })
    await until(() => second.worker.tasks.size === 1 && stuck.restoring.has(3), 'one task runs, one restores')
    const running = [...second.worker.tasks.values()][0] as Task
    const before = { records: running.counts.records, epochs: second.worker.barrier.figures.epochs }
    await load(log, records(many(400), 400), 4)
    await until(() => running.counts.records > before.records && second.worker.barrier.figures.epochs > before.epochs, 'it goes on')
    await until(() => first.worker.ready, 'the first is ready')
    expect(second.worker.ready).toBe(false)
    expect(second.worker.restoring).toBe(true)
    stuck.release()
    await second.untilCaughtUp()
    expect(second.worker.restoring).toBe(false)
    expect(second.worker.tasks.size).toBe(2)
    expect([...second.worker.tasks.values()]).toContain(running)
    expect([first.worker.counts.rewinds, second.worker.counts.rewinds]).toEqual([0, 0])
    await first.worker.close()
    await second.untilCaughtUp()
    await second.worker.close()
    expect([...provider.held]).toEqual([])
    await expectCounts(log, 800)
  })

  it('that is called off by the next rebalance ends soon, leaves no store open, and nothing is lost', async () => {
    const log = logOf()
    await load(log, records(many(200)), 4)
    const first = await run({ log: log.another(), partitions: 4, member: 'a' })
    await first.untilCaughtUp()
    const stuck = stuckRestores(log.another(), () => true)
    const provider = lockedStores(memoryProvider())
    const second = await run({ log: stuck.log, partitions: 4, member: 'b', provider })
    await until(() => stuck.restoring.size === 2, 'both restore')
    const third = await run({ log: log.another(), partitions: 4, member: 'c' })
    const fourth = await run({ log: log.another(), partitions: 4, member: 'd' })
    await until(() => third.worker.ready && fourth.worker.ready && fourth.worker.tasks.size === 1, 'four members share')
    await until(() => provider.held.size === 1, 'what was called off is closed')
    await load(log, records(many(200), 200), 4)
    stuck.release()
    await second.untilCaughtUp()
    for (const { worker } of [first, second, third, fourth]) {
      expect(worker.tasks.size).toBe(1)
      expect(worker.counts.rewinds).toBe(0)
      await worker.close()
    }
    expect([...provider.held]).toEqual([])
    await expectCounts(log, 400)
  })

  it('is given up at once when the worker closes, however many wait for their turn', async () => {
    const log = logOf()
    await load(log, records(many(200)), 8)
    const first = await run({ log: log.another(), partitions: 8 })
    await first.untilCaughtUp()
    await first.worker.close()
    const stuck = stuckRestores(log.another(), () => true)
    const provider = lockedStores(memoryProvider())
    const second = await run({ log: stuck.log, partitions: 8, provider })
    await until(() => stuck.restoring.size === LIMITS.openTasksAtOnce, 'as many restore as may')
    await second.worker.close()
    expect(stuck.woken.size).toBe(LIMITS.openTasksAtOnce)
    expect([...provider.held]).toEqual([])
  })

  it('comes in portions: the others have their turns in between', async () => {
    const log = logOf()
    await load(log, records(Array.from({ length: 20_000 }, (_, i) => `k${i}`)), 1)
    const first = await run({ log: log.another(), commitIntervalMs: 20 })
    await first.untilCaughtUp()
    await first.worker.close()
    let turns = 0
    const counting = (): Promise<void> => {
      turns++
      return world.timers.turn()
    }
    const counted = { ...world, timers: { ...world.timers, turn: counting } }
    const second = await run({ log: log.another(), world: counted })
    await until(() => second.worker.tasks.size === 1, 'restored')
    expect(turns).toBeGreaterThanOrEqual(20_000 / LIMITS.restorePortionRecords)
    expect(second.restored()).toBe(20_000)
    await second.worker.close()
  })
})

describe('a rebalance', () => {
  it('leaves alone what stays: the same tasks go on, and process while the others are slow to join', async () => {
    const log = logOf()
    await load(log, records(many(400)), 4)
    const first = await run({ log: log.another(), partitions: 4, member: 'a' })
    await first.untilCaughtUp()
    const kept = new Set(first.worker.tasks.values())
    let release = (): void => {}
    let asked = false
    const slow = log.another().group({
      groupId: 'app',
      instanceId: null,
      topics: ['in'],
      userData: () => Buffer.alloc(0),
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
    await until(() => first.worker.tasks.size === 2, 'two tasks are given up for the slow one')
    slow.rejoin()
    await until(() => asked, 'the slow one is asked')
    await world.timers.sleep(20)
    const before = processed(first)
    await load(log, records(many(400), 400), 4)
    await until(() => processed(first) > before, 'records go through in mid-rebalance')
    release()
    await slow.close()
    await first.untilCaughtUp()
    expect([...first.worker.tasks.values()].filter((task) => kept.has(task))).toHaveLength(2)
    expect(first.worker.counts.rewinds).toBe(0)
    await first.worker.close()
    await expectCounts(log, 800)
  })
})

describe('what a member was told to let go of', () => {
  const AWAITED = 'the other has it, and did not have to ask again'
  const { handOverWaitMs } = LIMITS
  beforeAll(() => void Object.assign(LIMITS, { handOverWaitMs: 60_000 }))
  afterAll(() => void Object.assign(LIMITS, { handOverWaitMs }))

  it('it lets go of also when it has lost its membership meanwhile', async () => {
    const log = logOf()
    await load(log, records(many(100)), 2)
    const provider = gated(memoryProvider(), 'open')
    provider.hold()
    const revokes: GroupOptions['onRevoke'][] = []
    const client = log.another()
    const group: Log['group'] = (options) => {
      revokes.push(options.onRevoke)
      return client.group(options)
    }
    const first = await run({ log: { ...proxied<Log>(client), group }, partitions: 2, member: 'a', provider })
    await until(() => provider.waiting() === 2, 'both are being opened')
    await revokes[0]?.(true)
    // It claims what it has not closed yet, and is left one of the two.
    const second = await run({ log: log.another(), partitions: 2, member: 'b' })
    await world.timers.sleep(20)
    provider.release()
    await until(() => second.worker.tasks.size === 1 && first.worker.tasks.size === 1, AWAITED)
    await first.untilCaughtUp()
    await expectCounts(log, 100)
  })

  it('its successor lets go of that has its place back and never had it', async () => {
    const log = logOf()
    await load(log, records(many(100)), 2)
    const disk = memoryProvider()
    const provider = gated(disk, 'close')
    const first = await run({ log: log.another(), partitions: 2, member: 'a', instanceId: 'a', provider })
    await first.untilCaughtUp()
    provider.hold()
    const second = await run({ log: log.another(), partitions: 2, member: 'b' })
    await until(() => provider.waiting() === 1, 'one is on its way out')
    const closed = first.worker.close()
    provider.release()
    await closed
    expect(second.worker.tasks.size).toBe(0)
    const back = await run({ log: log.another(), partitions: 2, member: 'a', instanceId: 'a', provider: disk })
    await until(() => second.worker.tasks.size === 1 && back.worker.tasks.size === 1, AWAITED)
    await back.untilCaughtUp()
    await expectCounts(log, 100)
  })
})

describe('an opening that waits for the committed offsets of its inputs', () => {
  it('is called off at once: they may stand behind a transaction that hangs', async () => {
    const log = logOf()
    await load(log, records(many(100)), 2)
    const provider = lockedStores(memoryProvider())
    let asked = 0
    const client = log.another()
    const committed: Log['committed'] = (groupId, at) => {
      if (provider.held.size === 0) return client.committed(groupId, at) // the start asks too
      asked++
      return new Promise(() => {})
    }
    const hung = await run({ log: { ...proxied<Log>(client), committed }, partitions: 2, provider })
    await until(() => asked === 2, 'both wait')
    expect(provider.held.size).toBe(2)
    const closed = hung.worker.close().then(() => 'closed')
    expect(await Promise.race([closed, world.timers.sleep(5_000).then(() => 'still waiting')])).toBe('closed')
    expect([...provider.held]).toEqual([])
  })
})
