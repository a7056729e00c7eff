// Stores that another member keeps current: they hold what is committed, a task that comes to them is not restored, one that goes leaves
// its stores behind, and what befalls them ends nothing else.
import { describe, expect, it } from 'vitest'
import { decodeClaim, decodeShare } from '../../src/assignment/hand-over.ts'
import { MillraceError } from '../../src/base/errors.ts'
import { LIMITS } from '../../src/base/limits.ts'
import { systemWorld } from '../../src/base/system.ts'
import type { GroupOptions, Log } from '../../src/log/log.ts'
import { discardTask, type TaskDeps } from '../../src/runtime/recover.ts'
import type { Task } from '../../src/runtime/task.ts'
import { type Ages, CacheBudget } from '../../src/state/cache-budget.ts'
import { type MemoryProvider, memoryProvider } from '../../src/state/memory.ts'
import { Overlay } from '../../src/state/overlay.ts'
import type { StateStore, StoreProvider } from '../../src/state/store.ts'
import { expectCounts, logOf, records, run } from '../support/counted-keys.ts'
import { lockedStores } from '../support/locked-stores.ts'
import { proxied } from '../support/proxied.ts'
import { load, type RunningWorker } from '../support/run-worker.ts'

const world = systemWorld()
const PARTITIONS = 4
const many = (n: number): string[] => Array.from({ length: n }, (_, i) => `k${i % 50}`)

async function until(what: () => boolean | Promise<boolean>, text: string): Promise<void> {
  const end = world.clock.monotonic() + 10_000
  while (!(await what())) {
    if (world.clock.monotonic() > end) throw new Error(`not within 10 s: ${text}`)
    await world.timers.sleep(1)
  }
}

interface Watched {
  readonly provider: StoreProvider
  readonly disk: MemoryProvider
  readonly held: ReadonlySet<string>
  /** By task: how often it was opened; the store that was opened last. */
  readonly opens: Map<string, number>
  readonly stores: Map<string, StateStore>
}

/** An open store is locked, and what is opened is counted. */
function watched(): Watched {
  const disk = memoryProvider()
  const locked = lockedStores(disk)
  const opens = new Map<string, number>()
  const stores = new Map<string, StateStore>()
  const provider: StoreProvider = {
    async open(task, store, persistent) {
      const opened = await locked.open(task, store, persistent)
      opens.set(task, (opens.get(task) ?? 0) + 1)
      stores.set(task, opened.store)
      return opened
    },
    setAside: (task, store, reason) => locked.setAside(task, store, reason),
  }
  return { provider, disk, held: locked.held, opens, stores }
}

/** Null: it is closed, or damaged. */
async function rowsOf(store: StateStore): Promise<string[] | null> {
  const rows: string[] = []
  try {
    for await (const chunk of store.scan({ from: null, to: null })) for (const [key, { value }] of chunk) rows.push(`${key}=${value}`)
    return rows
  } catch {
    return null
  }
}

const lag = ({ worker }: RunningWorker): number => worker.standbys.figures().reduce((sum, of) => sum + of.lag, 0)

async function pair(disks: readonly [Watched, Watched] = [watched(), watched()]) {
  const log = logOf()
  await load(log, records(many(400)), PARTITIONS)
  const client = log.another()
  const a = await run({ log: client, partitions: PARTITIONS, member: 'a', provider: disks[0].provider, standbys: 1 })
  await a.untilCaughtUp()
  const b = await run({ log: log.another(), partitions: PARTITIONS, member: 'b', provider: disks[1].provider, standbys: 1 })
  const shared = (): boolean => [a, b].every(({ worker }) => worker.ready && worker.tasks.size === 2 && worker.standbys.ids.length === 2)
  await until(shared, 'tasks and standbys are shared')
  return { log, client, a, b, disks }
}

/** All that is committed is in the standbys of this member. */
async function current(of: RunningWorker, disk: Watched, runner: Watched): Promise<void> {
  await until(async () => {
    for (const id of of.worker.standbys.ids) {
      const [mine, theirs] = [disk.stores.get(id), runner.stores.get(id)]
      const rows = mine === undefined ? null : await rowsOf(mine)
      if (rows === null || theirs === undefined || String(rows) !== String(await rowsOf(theirs))) return false
    }
    return of.worker.standbys.figures().length === 2 && lag(of) === 0
  }, 'the standbys hold what is committed')
}

describe('a standby', () => {
  it('follows what is committed, and goes on without a restore when the runner dies', async () => {
    const { log, client, a, b, disks } = await pair()
    await load(log, records(many(400), 400), PARTITIONS)
    await a.untilCaughtUp()
    await current(b, disks[1], disks[0])
    const heir = [...b.worker.standbys.ids]
    const [before, opens] = [b.restored(), new Map(disks[1].opens)]
    client.crash()
    disks[0].disk.crash()
    await a.worker.close().catch(() => {})
    await until(() => b.worker.tasks.size === PARTITIONS && b.worker.ready, 'it runs all')
    expect(b.restored()).toBe(before)
    for (const id of heir) expect(disks[1].opens.get(id), `${id} was not opened again`).toBe(opens.get(id))
    expect(b.worker.standbys.ids).toEqual([])
    await load(log, records(many(200), 800), PARTITIONS)
    await b.untilCaughtUp()
    await b.worker.close()
    expect([...disks[1].held]).toEqual([])
    await expectCounts(log, 1_000)
  })

  it('goes on with the stores of a task that was given up, open as they were, and gives them back', async () => {
    const { log, a, b, disks } = await pair()
    // it ran all four: nothing was opened twice
    expect([...disks[0].opens.values()]).toEqual([1, 1, 1, 1])
    await load(log, records(many(400), 400), PARTITIONS)
    await b.untilCaughtUp()
    await current(a, disks[0], disks[1])
    await b.worker.close()
    await until(() => a.worker.tasks.size === PARTITIONS && a.worker.ready, 'it runs all again')
    expect([...disks[0].opens.values()]).toEqual([1, 1, 1, 1])
    expect(a.restored()).toBe(0)
    expect(a.worker.counts.rewinds).toBe(0)
    expect([...disks[1].held]).toEqual([])
    await a.untilCaughtUp()
    await a.worker.close()
    expect([...disks[0].held]).toEqual([])
    await expectCounts(log, 800)
  })

  it('that takes over the stores of a task leaves the bound of the row caches to those that run', async () => {
    const shared = new Set<unknown>()
    class Counted extends CacheBudget {
      override join(cache: Ages): void {
        shared.add(cache)
        super.join(cache)
      }
      override leave(cache: Ages): void {
        shared.delete(cache)
        super.leave(cache)
      }
    }
    const { store } = await memoryProvider().open('0_0', 's', true)
    const overlay = new Overlay(store, { cache: new Counted() })
    expect(shared.size).toBe(1)
    const task = { drop() {}, stores: [{ name: 's', overlay, changelogTopic: 'c' }] } as unknown as Task
    await discardTask({ heir: () => true } as unknown as TaskDeps, task)
    expect(shared.size).toBe(0)
    expect(store.damaged).toBe(null)
    await store.close()
  })

  it('that is refused a write is opened again and catches up; nothing else notices', async () => {
    const refusing = watched()
    let refuse = 0
    const damaged = new Map<string, string>()
    const failing: Watched = {
      ...refusing,
      provider: {
        async open(task, store, persistent) {
          const { store: of, rebuilt } = await refusing.provider.open(task, store, persistent)
          const bad: StateStore = {
            ...proxied(of),
            get damaged() {
              return damaged.get(task) ?? null
            },
            async apply(writes, checkpoint) {
              if (refuse > 0 && b !== null && b.worker.standbys.ids.includes(task)) {
                refuse--
                damaged.set(task, 'refused')
                throw new MillraceError('STREAM_STORE_DAMAGED', 'refused')
              }
              await of.apply(writes, checkpoint)
            },
          }
          return { store: bad, rebuilt }
        },
        async setAside(task, store, reason) {
          await refusing.provider.setAside(task, store, reason)
          damaged.delete(task)
        },
      },
    }
    let b: RunningWorker | null = null
    const all = await pair([watched(), failing])
    b = all.b
    refuse = 1
    await load(all.log, records(many(400), 400), PARTITIONS)
    await all.a.untilCaughtUp()
    await current(b, failing, all.disks[0])
    expect(refuse).toBe(0)
    expect([b.worker.counts.rewinds, all.a.worker.counts.rewinds]).toEqual([0, 0])
    expect(b.worker.ready).toBe(true)
    await all.a.worker.close()
    await b.untilCaughtUp()
    await b.worker.close()
    expect([...failing.held]).toEqual([])
    await expectCounts(all.log, 800)
  })

  it('waits until a damaged task that has to leave is closed and set aside', async () => {
    const disk = watched()
    const [wanted, damaged] = [new Set<string>(), new Map<string, string>()]
    const aside: string[] = []
    let runner: RunningWorker | null = null
    const leaves = (task: string): boolean => wanted.has(task) && runner?.worker.tasks.has(task) === true
    const provider: StoreProvider = {
      async open(task, name, persistent) {
        const { store: of, rebuilt } = await disk.provider.open(task, name, persistent)
        const store: StateStore = {
          ...proxied(of),
          get damaged() {
            return damaged.get(task) ?? null
          },
          async apply(writes, checkpoint) {
            if (leaves(task) && aside.length === 0) {
              damaged.set(task, 'refused')
              throw new MillraceError('STREAM_STORE_DAMAGED', 'refused')
            }
            await of.apply(writes, checkpoint)
          },
          async close() {
            await of.close()
            if (!damaged.has(task)) return
            runner?.worker.standbys.look() // as when another task has come or gone
            await world.timers.sleep(20)
          },
        }
        return { store, rebuilt }
      },
      async setAside(task, name, reason) {
        if (disk.held.has(`${task}/${name}`)) throw new MillraceError('STREAM_STATE_LOCKED', `${task}/${name} is in use`)
        await disk.provider.setAside(task, name, reason)
        damaged.delete(task)
        aside.push(task)
      },
    }
    const log = logOf()
    await load(log, records(many(400)), PARTITIONS)
    const heard: Log = {
      ...proxied<Log>(log.another()),
      group: (options) =>
        log.another().group({
          ...options,
          onAssign(assignment) {
            for (const id of decodeShare(assignment.userData).standbys) wanted.add(id)
            options.onAssign(assignment)
          },
        }),
    }
    runner = await run({ log: heard, partitions: PARTITIONS, member: 'a', provider, standbys: 1 })
    await runner.untilCaughtUp()
    const b = await run({ log: log.another(), partitions: PARTITIONS, member: 'b', standbys: 1 })
    let total = 400
    const { worker } = runner
    const isShared = async (): Promise<boolean> => {
      await load(log, records(many(50), total), PARTITIONS)
      total += 50
      await runner?.caughtUp()
      return aside.length > 0 && [worker, b.worker].every((of) => of.ready && of.tasks.size === 2 && of.standbys.ids.length === 2)
    }
    await until(isShared, 'tasks and standbys are shared')
    await runner.untilCaughtUp()
    await worker.close()
    await b.untilCaughtUp()
    await b.worker.close()
    await expectCounts(log, total)
  })

  it('what a member claims: how large its states are, and how far they go', async () => {
    const sizeLookMs = LIMITS.sizeLookMs
    Object.assign(LIMITS, { sizeLookMs: 5 })
    try {
      const log = logOf()
      await load(log, records(many(400)), PARTITIONS)
      const groups: GroupOptions[] = []
      const spy = (of: Log): Log => ({
        ...proxied(of),
        group(options) {
          groups.push(options)
          return of.group(options)
        },
      })
      const a = await run({ log: spy(log.another()), partitions: PARTITIONS, member: 'a', standbys: 1 })
      await a.untilCaughtUp()
      const b = await run({ log: spy(log.another()), partitions: PARTITIONS, member: 'b' })
      await until(() => b.worker.standbys.ids.length === 2 && b.worker.tasks.size === 2 && lag(b) === 0, 'it stands by')
      await a.untilCaughtUp()
      await world.timers.sleep(50)
      const [first, second] = groups.map((options) => decodeClaim(options.userData()))
      if (first === undefined || second === undefined) throw new Error('both are members')
      expect(first.standbys).toBe(1)
      expect([...second.standingBy].sort()).toEqual([...first.owned].sort())
      expect([...second.stored].sort()).toEqual(['0_0', '0_1', '0_2', '0_3'])
      for (const id of ['0_0', '0_1', '0_2', '0_3']) {
        expect(first.bytes[id], id).toBeGreaterThan(200)
        expect(second.bytes[id], id).toBe(first.bytes[id])
        const [end] = await log.offsets([{ topic: 'app-n-changelog', partition: Number(id.split('_')[1]) }], 'latest')
        expect([first.at[id], second.at[id]], id).toEqual([end, end])
      }
    } finally {
      Object.assign(LIMITS, { sizeLookMs })
    }
  })
})
