// Tasks that move while they work: brokers that die under them, instances that come and go, rolling restarts, stops under load.
import type { RunningKafka } from './broker.ts'
import { type FleetOptions, type Instance, openFleet, restoredBy, SHORT, sleep, stillRuns, tasksOf } from './fleet.ts'
import { finish, type Outcome, PATIENCE_MS } from './outcome.ts'
import { world } from './running.ts'

/** Until brokers that died show again what was committed. */
const BROKERS_BACK_MS = 20_000

/** Each node in turn is killed (SIGKILL) and comes back; two instances work on. */
export async function runBounces(
  options: FleetOptions,
  kafka: RunningKafka,
  bounces: number,
  tell: (text: string) => void,
): Promise<Outcome> {
  const fleet = await openFleet({ seenMs: BROKERS_BACK_MS, ...options })
  try {
    const instances = ['one', 'two'].map((name) => fleet.start(name))
    await Promise.all(instances.map((instance) => instance.ready))
    const recoveredMs: number[] = []
    for (let bounce = 0; bounce < bounces; bounce++) {
      await sleep(500 + world.random.below(1_500))
      const node = 1 + (bounce % 3)
      await kafka.kill(node)
      await sleep(1_000 + world.random.below(2_000))
      await kafka.restart(node)
      const ms = await fleet.passed(await fleet.marks(), PATIENCE_MS)
      recoveredMs.push(ms)
      tell(`${options.prefix}bounce ${bounce + 1}: node ${node}, all processed ${Math.round(ms)} ms after its return`)
    }
    for (const instance of instances) stillRuns(instance)
    return await finish(fleet, recoveredMs)
  } finally {
    await fleet.close()
  }
}

/** Two of three nodes are killed and come back later; first two of which none is the controller, then two of which one is. */
export async function runTwoDown(options: FleetOptions, kafka: RunningKafka, tell: (text: string) => void): Promise<Outcome> {
  const fleet = await openFleet({ seenMs: BROKERS_BACK_MS, ...options })
  try {
    const instances = ['one', 'two'].map((name) => fleet.start(name))
    await Promise.all(instances.map((instance) => instance.ready))
    const recoveredMs: number[] = []
    for (const pair of [
      [2, 3],
      [1, 2],
    ] as const) {
      await sleep(1_000)
      await Promise.all(pair.map((node) => kafka.kill(node)))
      await sleep(5_000)
      await Promise.all(pair.map((node) => kafka.restart(node)))
      const ms = await fleet.passed(await fleet.marks(), PATIENCE_MS)
      recoveredMs.push(ms)
      tell(`${options.prefix}nodes ${pair.join(' and ')} down for 5 s, all processed ${Math.round(ms)} ms after their return`)
    }
    for (const instance of instances) stillRuns(instance)
    return await finish(fleet, recoveredMs)
  } finally {
    await fleet.close()
  }
}

/** Instances start while one of three nodes is down; it comes back under them. */
export async function runDownAtStart(options: FleetOptions, kafka: RunningKafka, tell: (text: string) => void): Promise<Outcome> {
  await kafka.kill(3)
  const fleet = await openFleet({ seenMs: BROKERS_BACK_MS, ...options })
  try {
    const instances = ['one', 'two'].map((name) => fleet.start(name))
    await Promise.all(instances.map((instance) => instance.ready))
    const without = await fleet.passed(await fleet.marks(), PATIENCE_MS)
    await kafka.restart(3)
    const again = await fleet.passed(await fleet.marks(), PATIENCE_MS)
    tell(
      `${options.prefix}one node down at the start: all processed after ${Math.round(without)} ms, ${Math.round(again)} ms after its return`,
    )
    for (const instance of instances) stillRuns(instance)
    return await finish(fleet, [without, again])
  } finally {
    await fleet.close()
  }
}

/** Processes that are on their way out at once. */
const STOPPING_MAX = 4
/** How soon a member hears of the next rebalance: two for each that comes, and one for each that goes, in a second. */
const COMINGS_LIMITS = { ...SHORT, heartbeatMs: 100 }
/** Until a broker of so many starts shows what was committed. */
const COMINGS_SEEN_MS = 5_000

/** Every second one more instance, and the oldest of three is stopped; each with a directory, and so a member id, of its own. */
export async function runComings(
  options: FleetOptions,
  seconds: number,
  tell: (text: string) => void,
): Promise<Outcome & { readonly stopped: readonly string[] }> {
  const fleet = await openFleet({ limits: COMINGS_LIMITS, seenMs: COMINGS_SEEN_MS, ...options })
  try {
    const stopped: string[] = []
    const stop = async (instance: Instance): Promise<void> => {
      await instance.ready // before that it may die of the signal itself
      const { code, signal } = await instance.stop()
      stopped.push(code === 0 ? '0' : `${instance.name} ended with ${code ?? signal}: ${instance.said().slice(-1_000)}`)
    }
    const living: Instance[] = [fleet.start('n0'), fleet.start('n1')]
    await Promise.all(living.map((instance) => instance.ready))
    const stopping = new Set<Promise<void>>()
    const broken: unknown[] = []
    const began = world.clock.monotonic()
    for (let second = 0; second < seconds; second++) {
      await sleep(Math.max(0, began + second * 1_000 - world.clock.monotonic()))
      while (stopping.size >= STOPPING_MAX) await Promise.race(stopping) // a machine that is too slow for one a second gets fewer
      living.push(fleet.start(`n${second + 2}`))
      if (living.length <= 3) continue
      const gone: Promise<void> = stop(living.shift() as Instance)
        .catch((error: unknown) => void broken.push(error))
        .finally(() => stopping.delete(gone))
      stopping.add(gone)
    }
    await Promise.all(stopping)
    if (broken.length > 0) throw broken[0]
    const tookMs = world.clock.monotonic() - began
    const ms = await fleet.passed(await fleet.marks(), PATIENCE_MS)
    tell(
      `${options.prefix}${stopped.length} instances came and went in ${Math.round(tookMs / 1_000)} s; all processed ${Math.round(ms)} ms after the last`,
    )
    return { ...(await finish(fleet, [ms])), stopped }
  } finally {
    await fleet.close()
  }
}

export interface BounceOutcome extends Outcome {
  /** Of each restart: milliseconds from the signal to the end; records that the next start restored. */
  readonly stopMs: readonly number[]
  readonly restored: readonly number[]
  readonly codes: readonly (number | null)[]
  /** How often an instance had other tasks after a restart. */
  readonly moved: number
}

/** Each instance in turn is stopped (SIGTERM) under load and started again with its own name and directory, within the session timeout.
 *  Nobody else may notice: the restart of a member with an instance id moves no task. */
export async function runRolling(options: FleetOptions, rounds: number, tell: (text: string) => void): Promise<BounceOutcome> {
  const fleet = await openFleet({ ...options, words: (name) => ['--instance-id', name] })
  try {
    const names = ['one', 'two', 'three']
    const living = new Map<string, Instance>(names.map((name) => [name, fleet.start(name)]))
    await Promise.all([...living.values()].map((instance) => instance.ready))
    await settled([...living.values()])
    await fleet.passed(await fleet.marks(), PATIENCE_MS)
    const before = new Map([...living].map(([name, instance]) => [name, tasksOf(instance).toSorted().join()]))
    const [recoveredMs, stopMs, restored, codes]: [number[], number[], number[], (number | null)[]] = [[], [], [], []]
    let moved = 0
    for (let round = 0; round < rounds; round++) {
      for (const name of names) {
        const began = world.clock.monotonic()
        codes.push((await (living.get(name) as Instance).stop()).code)
        stopMs.push(world.clock.monotonic() - began)
        const marks = await fleet.marks()
        const again = fleet.start(name)
        living.set(name, again)
        await again.ready
        restored.push(await restoredBy(again))
        const runningAt = world.clock.monotonic()
        await fleet.passed(marks, PATIENCE_MS)
        recoveredMs.push(world.clock.monotonic() - runningAt)
        for (const [other, instance] of living) if (tasksOf(instance).toSorted().join() !== before.get(other)) moved++
      }
    }
    tell(
      `${options.prefix}${codes.length} restarts, stopped in ${stopMs.map(Math.round).join(', ')} ms, went on ${recoveredMs.map(Math.round).join(', ')} ms after the start`,
    )
    return { ...(await finish(fleet, recoveredMs)), stopMs, restored, codes, moved }
  } finally {
    await fleet.close()
  }
}

/** Nobody has been given other tasks for a while, and everybody has some. */
async function settled(instances: readonly Instance[]): Promise<void> {
  const deadline = world.clock.monotonic() + PATIENCE_MS
  for (;;) {
    const last = Math.max(...instances.map(({ lines }) => lines.findLast(({ text }) => text.includes('"tasks":['))?.atMs ?? 0))
    const quiet = world.clock.monotonic() - last > SHORT.sessionTimeoutMs / 2
    if (quiet && instances.every((instance) => tasksOf(instance).length > 0)) return
    if (world.clock.monotonic() > deadline) throw new Error('the tasks did not come to rest')
    await sleep(100)
  }
}
