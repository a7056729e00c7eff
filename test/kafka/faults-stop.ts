// Stops: of a processor under load, by one signal and by two, in the middle of a restore, while the brokers are down; and what the next
// start has to do.
import type { RunningKafka } from './broker.ts'
import { type FleetOptions, type Instance, openFleet, restoredBy, sleep } from './fleet.ts'
import { finish, type Outcome, PATIENCE_MS } from './outcome.ts'
import { world } from './running.ts'

export interface StopOutcome extends Outcome {
  /** Of each stop: how it was asked for, milliseconds from the signal to the end, the status, records that the next start restored. */
  readonly stops: readonly { readonly how: string; readonly ms: number; readonly code: number | null; readonly restored: number | null }[]
}

/** One instance under load; it has no broker for the last of its stops. */
export async function runStops(options: FleetOptions, kafka: RunningKafka, tell: (text: string) => void): Promise<StopOutcome> {
  const fleet = await openFleet(options)
  const stops: { how: string; ms: number; code: number | null; restored: number | null }[] = []
  const recoveredMs: number[] = []
  const timed = async (how: string, stop: () => Promise<{ code: number | null }>): Promise<void> => {
    const began = world.clock.monotonic()
    const { code } = await stop()
    const ms = world.clock.monotonic() - began
    stops.push({ how, ms, code, restored: null })
    tell(`${options.prefix}${how}: ended with ${code} after ${Math.round(ms)} ms`)
  }
  const again = async (name: string): Promise<Instance> => {
    const marks = await fleet.marks()
    const instance = fleet.start(name)
    await instance.ready
    Object.assign(stops.at(-1) ?? {}, { restored: await restoredBy(instance) })
    recoveredMs.push(await fleet.passed(marks, PATIENCE_MS))
    return instance
  }
  try {
    let one = await again('one')
    await sleep(1_000)
    await timed('SIGTERM under load', () => one.stop())
    one = await again('one')
    await sleep(1_000)
    await timed('SIGTERM, another one takes over', () => one.stop())
    // An empty disk: everything is to be restored.
    const two = fleet.start('two', { slowRestore: true })
    await restoring(two)
    await timed('SIGTERM in a restore', () => two.stop())
    one = await again('one')
    const nodes = kafka.brokers.split(',').map((_, i) => i + 1)
    for (const twice of [false, true]) {
      // Not kill -9: with one replica Kafka may keep a transaction open for ever then, whatever its timeout.
      await Promise.all(nodes.map((node) => kafka.halt(node)))
      await sleep(1_000)
      await timed(`${twice ? 'a second SIGTERM' : 'SIGTERM'} without a broker`, async () => {
        const ended = one.stop()
        if (!twice) return ended
        await sleep(1_000)
        process.kill(one.pid, 'SIGTERM')
        return ended
      })
      await Promise.all(nodes.map((node) => kafka.restart(node)))
      one = await again('one')
    }
    return { ...(await finish(fleet, recoveredMs)), stops }
  } finally {
    await fleet.close()
  }
}

async function restoring(instance: Instance): Promise<void> {
  const deadline = world.clock.monotonic() + PATIENCE_MS
  while (!instance.lines.some(({ text }) => text.includes('"restoring":true'))) {
    if (world.clock.monotonic() > deadline) throw new Error(`${instance.name} did not restore\n${instance.said()}`)
    await sleep(5)
  }
}
