// SIGKILL of instances that share the work, again and again: nothing is lost, nothing doubled, and the work goes on.
import { type FleetOptions, type Instance, openFleet, SHORT, sleep, tasksOf } from './fleet.ts'
import { finish, type Outcome, PATIENCE_MS } from './outcome.ts'
import { world } from './running.ts'

export interface KillOptions extends FleetOptions {
  readonly kills: number
  readonly instances: number
}

/** How long a recovery is to take. What is there to be seen of it is a commit, so its interval comes on top. */
export const boundMs = (commitInterval: string): number => SHORT.sessionTimeoutMs + 5_000 + intervalMs(commitInterval)
const intervalMs = (text: string): number => Number.parseFloat(text) * (text.endsWith('ms') ? 1 : 1_000)

/** Each kill at a random time; every other instance comes back at once, the rest when the others must have taken over. */
export async function runKills(options: KillOptions, tell: (text: string) => void): Promise<Outcome> {
  const fleet = await openFleet(options)
  try {
    const names = Array.from({ length: options.instances }, (_, i) => `i${i + 1}`)
    const running = new Map<string, Instance>(names.map((name) => [name, fleet.start(name)]))
    await Promise.all([...running.values()].map((instance) => instance.ready))
    const recoveredMs: number[] = []
    for (let kill = 0; kill < options.kills; kill++) {
      await sleep(world.random.below(Math.max(1_000, Math.min(6_000, 1.2 * intervalMs(options.commitInterval)))))
      const busy = names.filter((name) => tasksOf(running.get(name) as Instance).length > 0)
      const name = busy[world.random.below(busy.length)] as string
      const victim = running.get(name) as Instance
      const killedMs = world.clock.monotonic()
      await victim.kill()
      const marks = await fleet.marks()
      const away = kill % 3 === 2
      const back = (async () => {
        if (away) await sleep(SHORT.sessionTimeoutMs + 1_000)
        running.set(name, fleet.start(name))
        await running.get(name)?.ready
      })()
      back.catch(() => {})
      const ms = await fleet.passed(marks, PATIENCE_MS)
      await back
      recoveredMs.push(ms)
      tell(
        `${options.prefix}kill ${kill + 1}: ${name}, ${away ? 'stayed away' : 'came back at once'}, all processed after ${Math.round(ms)} ms`,
      )
      if (ms <= boundMs(options.commitInterval)) continue
      tell(`SLOW: more than ${boundMs(options.commitInterval)} ms; what the instances said since the kill:`)
      for (const { name: who, lines } of running.values())
        for (const { atMs, text } of lines) if (atMs > killedMs) tell(`  slow: ${who} ${Math.round(atMs - killedMs)} ms: ${text}`)
    }
    return await finish(fleet, recoveredMs)
  } finally {
    await fleet.close()
  }
}
