// Zombies: an instance stops (SIGSTOP) at a chosen place of its epoch until the others have taken its tasks over, then goes on.
import type { StopPlace } from './faulty.ts'
import { type FleetOptions, type Instance, openFleet, SHORT, sleep } from './fleet.ts'
import { finish, type Outcome, PATIENCE_MS } from './outcome.ts'
import { world } from './running.ts'

export interface ZombieOptions extends FleetOptions {
  /** One after the other, each another instance's. */
  readonly places: readonly StopPlace[]
}

export interface ZombieOutcome extends Outcome {
  /** Milliseconds from waking up to running tasks again. */
  readonly rejoinedMs: readonly number[]
}

/** Two instances: the zombie and its heir. */
export async function runZombies(options: ZombieOptions, tell: (text: string) => void): Promise<ZombieOutcome> {
  const fleet = await openFleet(options)
  try {
    const zombies = options.places.map((place, i) => fleet.start(`zombie-${i}-${place}`, { stopAt: place }))
    if (zombies.length < 2) fleet.start('heir')
    await Promise.all(zombies.map((zombie) => zombie.ready))
    const recoveredMs: number[] = []
    const rejoinedMs: number[] = []
    for (const [i, place] of options.places.entries()) {
      const zombie = zombies[i] as Instance
      await hasTasks(zombie, 0)
      process.kill(zombie.pid, 'SIGUSR2')
      await until(() => zombie.lines.some(({ text }) => text.includes(`"stoppedAt":"${place}"`)), zombie, `did not stop at ${place}`)
      const marks = await fleet.marks()
      const recovered = await fleet.passed(marks, PATIENCE_MS)
      if (recovered < SHORT.sessionTimeoutMs) await sleep(SHORT.sessionTimeoutMs - recovered)
      await fleet.passed(await fleet.marks(), PATIENCE_MS) // the heir has all tasks now
      recoveredMs.push(recovered)
      const woken = world.clock.monotonic()
      process.kill(zombie.pid, 'SIGCONT')
      await hasTasks(zombie, woken)
      rejoinedMs.push(world.clock.monotonic() - woken)
      tell(
        `${options.prefix}zombie stopped at ${place}: its tasks went on after ${Math.round(recovered)} ms, it runs again after ${Math.round(rejoinedMs.at(-1) as number)} ms`,
      )
    }
    return { ...(await finish(fleet, recoveredMs)), rejoinedMs }
  } finally {
    await fleet.close()
  }
}

/** The heir is killed and comes back while the zombie's transaction still lies open in the changelogs: the heir's own epochs lie behind
 *  it, committed, and readers of committed records do not see them yet. */
export async function runHeirKilled(options: FleetOptions, tell: (text: string) => void): Promise<Outcome> {
  const fleet = await openFleet(options)
  try {
    const zombie = fleet.start('zombie', { stopAt: 'sealed' })
    const heir = fleet.start('heir')
    await Promise.all([zombie.ready, heir.ready])
    await hasTasks(zombie, 0)
    process.kill(zombie.pid, 'SIGUSR2')
    await until(() => zombie.lines.some(({ text }) => text.includes('"stoppedAt"')), zombie, 'did not stop')
    const recovered = await fleet.passed(await fleet.inputMarks(), PATIENCE_MS)
    await heir.kill()
    const again = fleet.start('heir')
    await again.ready
    const recoveredAgain = await fleet.passed(await fleet.inputMarks(), PATIENCE_MS)
    tell(
      `${options.prefix}tasks went on after ${Math.round(recovered)} ms, after the kill of the heir again after ${Math.round(recoveredAgain)} ms`,
    )
    process.kill(zombie.pid, 'SIGCONT')
    return await finish(fleet, [recovered, recoveredAgain])
  } finally {
    await fleet.close()
  }
}

/** It has begun to run tasks since then, and had some. */
function hasTasks(instance: Instance, sinceMs: number): Promise<void> {
  return until(() => instance.lines.some(({ atMs, text }) => atMs >= sinceMs && /"tasks":\["/.test(text)), instance, 'got no tasks')
}

async function until(done: () => boolean, instance: Instance, wrong: string): Promise<void> {
  const deadline = world.clock.monotonic() + PATIENCE_MS
  while (!done()) {
    if (world.clock.monotonic() > deadline) throw new Error(`${instance.name} ${wrong}\n${instance.said()}`)
    await sleep(20)
  }
}
