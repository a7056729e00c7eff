// Who goes on when a process ends, and with how much of a restore: killed (its standby has the state), stopped for good, or only restarted.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { StreamProcessor } from '../../src/app.ts'
import { LIMITS } from '../../src/base/limits.ts'
import { type RunningKafka, startKafka } from './broker.ts'
import { type Fleet, type FleetOptions, openFleet, SHORT, SHORT_BROKER, sleep, tasksOf } from './fleet.ts'
import { KAFKA, world } from './running.ts'
import { tally } from './tally.ts'

const TASKS = 8 // two sub-topologies of 4 partitions
const LOAD_MS = 6_000
const PATIENCE_MS = 60_000
/** 2 s on a quiet machine, and then some; who waited for the session would take 30 s. */
const HAND_OVER_MS = 12_000
const usual = { ...LIMITS }

interface Health {
  readonly ready: boolean
  readonly standbys: { readonly tasks: number; readonly lag: number } | null
}

describe.runIf(KAFKA)('the other process', () => {
  let kafka: RunningKafka
  beforeAll(async () => {
    kafka = await startKafka({ config: SHORT_BROKER })
  }, 180_000)
  afterAll(async () => {
    Object.assign(LIMITS, usual)
    await kafka?.stop()
  }, 60_000)

  /** One instance that has processed some seconds of load, and one in this process that has just taken its half of the tasks. */
  async function pair(options: Omit<FleetOptions, 'brokers' | 'commitInterval'>, standbys: number) {
    Object.assign(LIMITS, options.limits ?? SHORT)
    const fleet = await openFleet({
      brokers: kafka.brokers,
      commitInterval: '100ms',
      eventsPerSecond: 1_000,
      ...options,
      words: (name) => ['--standbys', String(standbys), ...(options.words?.(name) ?? [])],
    })
    const one = fleet.start('one')
    await one.ready
    await sleep(LOAD_MS)
    const here = new StreamProcessor(tally(options.prefix), {
      brokers: kafka.brokers.split(','),
      stateDir: fleet.stateDir('here'),
      commitInterval: '100ms',
      standbys,
      server: { port: 0 },
    })
    await here.start()
    await until(() => here.status().ready && here.status().tasks.length === TASKS / 2, 'the tasks are shared')
    return { fleet, one, here }
  }

  async function healthOf(here: StreamProcessor): Promise<Health> {
    return (await (await fetch(`http://127.0.0.1:${here.status().port}/health`)).json()) as Health
  }

  async function until(what: () => boolean | Promise<boolean>, text: string): Promise<number> {
    const began = world.clock.monotonic()
    while (!(await what())) {
      if (world.clock.monotonic() - began > PATIENCE_MS) throw new Error(`not within ${PATIENCE_MS} ms: ${text}`)
      await sleep(10)
    }
    return world.clock.monotonic() - began
  }

  async function judged(fleet: Fleet): Promise<void> {
    await fleet.drained()
    const { wrong, events } = await fleet.verdict()
    expect(wrong.slice(0, 10)).toEqual([])
    expect(events).toBeGreaterThan(1_000)
  }

  /** Records restored when the other instance is killed. */
  async function killed(prefix: string, standbys: number): Promise<{ readonly restored: number; readonly recoveredMs: number }> {
    const { fleet, one, here } = await pair({ prefix }, standbys)
    try {
      const others = tasksOf(one)
      if (standbys > 0) {
        await until(async () => ((await healthOf(here)).standbys?.lag ?? -1) >= 0, 'it stands by')
        await until(async () => (await healthOf(here)).standbys?.lag === 0, 'its standbys are current')
        expect([...here.status().standbys].sort()).toEqual([...others].sort())
      } else expect(here.status().standbys).toEqual([])
      const before = here.status().restored
      await one.kill()
      const recoveredMs = await until(() => here.status().ready && here.status().tasks.length === TASKS, 'it has all tasks')
      const restored = here.status().restored - before
      expect(here.status().standbys).toEqual([])
      await judged(fleet)
      return { restored, recoveredMs }
    } finally {
      await here.close()
      await fleet.close()
    }
  }

  test('the active is killed: its standby goes on, and restores only the tail', { timeout: 300_000 }, async () => {
    const standby = await killed('stood-', 1)
    const none = await killed('alone-', 0)
    console.info(
      `killed: with a standby ${standby.restored} records restored, ${Math.round(standby.recoveredMs)} ms; without ${none.restored} records, ` +
        `${Math.round(none.recoveredMs)} ms; of them ${SHORT.sessionTimeoutMs} ms until the session ends`,
    )
    expect(none.restored).toBeGreaterThan(200)
    expect(standby.restored).toBeLessThan(none.restored / 5)
  })

  test('one of two is stopped for good under load: the other has its tasks at once', { timeout: 300_000 }, async () => {
    const { fleet, one, here } = await pair({ prefix: 'left-', limits: { ...SHORT, sessionTimeoutMs: 30_000 } }, 1)
    try {
      await until(async () => (await healthOf(here)).standbys?.lag === 0, 'its standbys are current')
      const before = here.status().restored
      const began = world.clock.monotonic()
      const ended = one.stop()
      await until(() => here.status().ready && here.status().tasks.length === TASKS, 'it has all tasks')
      const readyMs = world.clock.monotonic() - began
      const passedMs = readyMs + (await fleet.passed(await fleet.marks(), PATIENCE_MS))
      expect((await ended).code).toBe(0)
      console.info(
        `stopped for good: the other runs its tasks ${Math.round(readyMs)} ms after the signal, has caught up ${Math.round(passedMs)} ms after it; ` +
          `${here.status().restored - before} records restored`,
      )
      expect(readyMs).toBeLessThan(HAND_OVER_MS)
      await judged(fleet)
    } finally {
      await here.close()
      await fleet.close()
    }
  })

  test('with an instance id it is only restarted: nothing moves, nothing is restored, and the standbys stay', {
    timeout: 300_000,
  }, async () => {
    const words = (name: string): readonly string[] => ['--instance-id', name]
    const { fleet, one, here } = await pair({ prefix: 'back-', words, limits: { ...SHORT, sessionTimeoutMs: 30_000 } }, 1)
    try {
      await until(async () => (await healthOf(here)).standbys?.lag === 0, 'its standbys are current')
      const before = { tasks: here.status().tasks, standbys: here.status().standbys, restored: here.status().restored }
      expect((await one.stop()).code).toBe(0)
      await sleep(2_000)
      const again = fleet.start('one')
      await again.ready
      await fleet.passed(await fleet.marks(), PATIENCE_MS)
      const line = (): string | undefined => again.lines.find(({ text }) => text.startsWith('{"restored":'))?.text
      await until(() => line() !== undefined, 'it says what it has restored')
      expect(line()).toBe('{"restored":0}')
      expect({ tasks: here.status().tasks, standbys: here.status().standbys, restored: here.status().restored }).toEqual(before)
      // for good all the same
      const began = world.clock.monotonic()
      await here.close({ leave: true })
      await until(() => tasksOf(again).length === TASKS, 'the other has all tasks')
      console.info(`closed with leave: the other runs its tasks ${Math.round(world.clock.monotonic() - began)} ms later`)
      expect(world.clock.monotonic() - began).toBeLessThan(2 * HAND_OVER_MS)
      await judged(fleet)
    } finally {
      await here.close()
      await fleet.close()
    }
  })
})
