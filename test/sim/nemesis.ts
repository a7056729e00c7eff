// What goes wrong, and when. At its start each run draws which kinds of faults it has and how often (a swarm: some runs have one kind, some
// many, some none), then one fault after the other. `heal` ends all of it.
import type { RequestKind } from '../../src/log/outcome.ts'
import type { Chance } from './chance.ts'
import type { Instance } from './instance.ts'
import type { Cluster } from './log/cluster.ts'
import { CALM, type Weather } from './log/network.ts'
import type { SimWorld } from './world.ts'

export const KINDS = [
  'kill',
  'power',
  'wipe',
  'pause',
  'ambush',
  'late',
  'stop',
  'transactions',
  'groups',
  'leaders',
  'clock',
  'refusedWrite',
  'damagedRead',
  'weather',
] as const
export type FaultKind = (typeof KINDS)[number]

/** After these somebody may go on who was taken for gone, or a request arrive that was given up. */
export const BRING_BACK: readonly FaultKind[] = ['pause', 'ambush', 'late', 'weather', 'groups', 'transactions']

export interface NemesisOptions {
  readonly world: SimWorld
  readonly cluster: Cluster
  readonly instances: readonly Instance[]
  readonly sessionTimeoutMs: number
  readonly chance: Chance
  /** No fault begins later. */
  readonly untilMs: number
  /** Only these; left out: the run draws. */
  readonly kinds?: readonly FaultKind[]
  /** Drawn, and not done. */
  readonly without?: readonly FaultKind[]
  /** Clocks are told to jump and do not: to see that nothing comes of it. */
  readonly clocksStand?: boolean
}

/** Requests that an ambush waits for: with records sent and epochs open, sealed, or between their end and what follows it. */
const AMBUSHES: readonly RequestKind[] = ['end', 'txnOffsets', 'produce', 'offsetFetch', 'listOffsets', 'init', 'sync']

const LATE: readonly RequestKind[] = ['end', 'txnOffsets', 'produce', 'addPartitions', 'addOffsets', 'init']

export class Nemesis {
  readonly kinds: readonly FaultKind[]
  readonly counts = new Map<FaultKind, number>()
  /** Pauses that lasted longer than the session: somebody else has the tasks when the process goes on. */
  zombies = 0
  readonly #o: NemesisOptions
  readonly #everyMs: number
  readonly #weather: Weather
  /** One request that arrives after its sender has given it up. */
  #late: { readonly name: string; readonly kind: RequestKind; readonly byMs: number } | null = null
  #ambush: { readonly name: string; readonly kind: RequestKind; readonly spring: () => void } | null = null
  #healed = false

  constructor(options: NemesisOptions) {
    this.#o = options
    const { chance } = options
    const share = chance.pick([0, 0.15, 0.3, 0.6])
    const drawn = KINDS.filter(() => chance.hit(share))
    this.kinds = (options.kinds ?? drawn).filter((kind) => options.without?.includes(kind) !== true)
    this.#everyMs = chance.between(60, 500)
    const rate = (): number => chance.pick([0, 0.01, 0.03, 0.1])
    this.#weather = { lost: rate(), answerLost: rate(), slow: chance.pick([0, 0.05, 0.2, 0.5]), twice: rate() }
    options.cluster.network.onRequest = (from, kind) => this.#sent(from, kind)
  }

  begin(): void {
    if (this.kinds.length > 0) this.#later()
  }

  heal(): void {
    this.#healed = true
    this.#ambush = null
    this.#late = null
    const { cluster, instances, world } = this.#o
    cluster.setWeather(CALM)
    world.wallOffsetMs = 0
    for (const { owner, disk } of instances) {
      if (owner !== null) owner.pausedUntil = 0
      disk.faults.refuseWrites = 0
      disk.faults.damagedReads = 0
    }
  }

  #later(): void {
    const { world, chance, untilMs } = this.#o
    world.at(chance.delayMs(2 * this.#everyMs, 1), null, () => {
      if (this.#healed || world.now > untilMs) return
      this.#strike(chance.pick(this.kinds))
      this.#later()
    })
  }

  #strike(kind: FaultKind): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1)
    const { world, chance, cluster, instances, sessionTimeoutMs } = this.#o
    const victim = chance.pick(instances)
    const pauseMs = (): number => chance.delayMs(20, chance.pick([0.5, 1.5, 3]) * sessionTimeoutMs)
    world.trace('nemesis', kind)
    if (kind === 'kill') this.#kill(victim)
    else if (kind === 'power') {
      this.#kill(victim)
      if (!victim.running) victim.disk.losePower()
    } else if (kind === 'wipe') {
      this.#kill(victim)
      victim.disk.loseEverything()
    } else if (kind === 'pause') this.#pause(victim, pauseMs())
    else if (kind === 'ambush') {
      const forMs = chance.hit(0.5) ? pauseMs() : null
      const spring = (): void => (forMs === null ? this.#kill(victim) : this.#pause(victim, forMs))
      this.#ambush = { name: victim.name, kind: chance.pick(AMBUSHES), spring }
    } else if (kind === 'late') {
      const byMs = chance.delayMs(1, 3) * cluster.options.times.requestTimeoutMs
      this.#late = { name: victim.name, kind: chance.pick(LATE), byMs }
    } else if (kind === 'stop') {
      if (!victim.wanted) {
        victim.start()
        return
      }
      victim.stop()
      world.at(3_000, null, () => {
        if (!victim.wanted) victim.kill()
      })
      if (chance.hit(0.7)) world.at(chance.delayMs(10, 800), null, () => this.#again(victim))
    } else if (kind === 'transactions') cluster.moveTransactions(chance.delayMs(5, 250))
    else if (kind === 'groups') cluster.moveGroups(chance.delayMs(5, 250))
    else if (kind === 'leaders') cluster.moveLeaders(chance.draw(cluster.options.brokers), chance.delayMs(5, 250))
    else if (kind === 'clock') {
      const jumpMs = chance.pick([3_600_000, -3_600_000, 86_400_000, -86_400_000, -1_700_000_000_000])
      if (this.#o.clocksStand !== true) world.wallOffsetMs = jumpMs
    } else if (kind === 'refusedWrite') victim.disk.faults.refuseWrites = 1
    else if (kind === 'damagedRead') victim.disk.faults.damagedReads = 1
    else {
      cluster.setWeather(this.#weather)
      world.at(chance.delayMs(50, 2_000), null, () => cluster.setWeather(CALM))
    }
  }

  #pause(victim: Instance, forMs: number): void {
    if (victim.running && forMs > this.#o.sessionTimeoutMs) this.zombies++
    victim.pause(forMs)
  }

  #kill(victim: Instance): void {
    if (!victim.running) return
    victim.kill()
    const { world, chance } = this.#o
    world.at(chance.delayMs(1, chance.hit(0.3) ? 2_000 : 100), null, () => this.#again(victim))
  }

  #again(victim: Instance): void {
    if (!this.#healed && !victim.running) victim.start()
  }

  /** How much later the request is to arrive. */
  #sent(from: string, kind: RequestKind): number {
    const { world, chance } = this.#o
    const late = this.#late
    if (late !== null && late.name === from && late.kind === kind) {
      this.#late = null
      world.trace('nemesis', `${kind} of ${from} comes ${late.byMs.toFixed(0)} ms late`)
      return late.byMs
    }
    const ambush = this.#ambush
    if (ambush === null || ambush.name !== from || ambush.kind !== kind) return 0
    this.#ambush = null
    // while the request is on its way, or its answer
    world.at(chance.delayMs(0, 4), null, () => {
      world.trace('nemesis', `ambush at ${kind}`)
      ambush.spring()
    })
    return 0
  }
}
