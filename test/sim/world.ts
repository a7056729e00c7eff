// Time as the simulator has it: one queue of events, each belonging to a process or to nobody (the network, the brokers, the disk of a
// dead process). It runs one event, lets all promises settle, and takes the next.
//
// Invariants
// 1. Exactly one event is in flight: the order of everything is the order of the queue, which only the draws decide. A tick comes when no
//    promise is left to settle, and nothing in a run waits for anything but promises and this queue.
// 2. An event of a dead process never runs. One of a paused process runs when the pause has ended.
// 3. The wall clock may jump; `monotonic` never does.
import type { Logger, World } from '../../src/base/ports.ts'
import type { Chance } from './chance.ts'

/** A process, or one life of it. */
export interface Owner {
  readonly name: string
  alive: boolean
  pausedUntil: number
}

interface Event {
  at: number
  readonly order: number
  readonly owner: Owner | null
  run: (() => void) | null
}

const START_MS = 1_700_000_000_000
/** Events until the process looks at its signals and messages. */
const TURN_EVENTS = 5_000
const SETTLED = Promise.resolve()

export class SimWorld {
  now = 0
  events = 0
  /** How far the wall clocks are off. */
  wallOffsetMs = 0
  readonly chance: Chance
  readonly #heap: Event[] = []
  #order = 0
  #ids = 0
  readonly #trace: ((line: string) => void) | null

  constructor(chance: Chance, trace: ((line: string) => void) | null) {
    this.chance = chance
    this.#trace = trace
  }

  get traced(): boolean {
    return this.#trace !== null
  }

  trace(who: string, what: string): void {
    this.#trace?.(`${this.now.toFixed(2).padStart(9)}  ${who.padEnd(8)} ${what}`)
  }

  at(afterMs: number, owner: Owner | null, run: () => void): () => void {
    const event: Event = { at: this.now + Math.max(0, afterMs), order: this.#order++, owner, run }
    this.#push(event)
    return () => {
      event.run = null
    }
  }

  /** Runs until `done` says so; false: the bound of events or of time was reached first, or nothing is left to happen. */
  async run(done: () => boolean, untilMs: number, eventsMax: number): Promise<boolean> {
    const end = this.events + eventsMax
    for (;;) {
      const turnEnd = this.events + TURN_EVENTS
      const live = await new Promise<boolean | null>((resolve, reject) => {
        const next = (): void => {
          try {
            if (done()) resolve(true)
            else if (this.events >= turnEnd) resolve(null)
            else if (this.#runNext(untilMs, end)) void SETTLED.then(later)
            else resolve(false)
          } catch (error) {
            reject(error)
          }
        }
        const later = (): void => process.nextTick(next) // asked for by a promise it comes behind all promises, asked for by a tick at once
        later()
      })
      await new Promise(setImmediate) // whoever watches over this process gets a turn, too
      if (live !== null) return live
    }
  }

  /** False: there is none, or it is behind the bounds. */
  #runNext(untilMs: number, eventsEnd: number): boolean {
    for (;;) {
      const event = this.#pop()
      if (event === undefined) return false
      if (event.run === null) continue
      if (event.at > untilMs || this.events >= eventsEnd) {
        this.#push(event)
        return false
      }
      if (event.at > this.now) this.now = event.at
      const { owner } = event
      if (owner !== null) {
        if (!owner.alive) continue
        if (owner.pausedUntil > this.now) {
          event.at = owner.pausedUntil
          this.#push(event)
          continue
        }
      }
      this.events++
      event.run()
      return true
    }
  }

  /** What a process takes from the outside. */
  worldOf(owner: Owner | null): World {
    const after = (ms: number, run: () => void): (() => void) => this.at(owner === null ? ms : ms + this.chance.delayMs(0, 1), owner, run)
    return {
      clock: { now: () => Math.floor(START_MS + this.now + this.wallOffsetMs), monotonic: () => this.now },
      timers: {
        after,
        sleep: (ms) => new Promise((resolve) => void after(ms, resolve)),
        turn: () => new Promise((resolve) => void this.at(this.chance.delayMs(0.1, 0.6), owner, resolve)),
      },
      random: {
        below: (bound) => this.chance.draw(bound),
        // ids are never the same, on a tape of zeros neither
        hex: (bytes) => (++this.#ids).toString(16).padStart(2 * bytes, '0'),
      },
      logger: this.#loggerOf(owner),
    }
  }

  #loggerOf(owner: Owner | null): Logger {
    const say = (fields: object, message: string): void => {
      if (this.traced) this.trace(owner?.name ?? 'cluster', `says: ${message} ${JSON.stringify(fields)}`)
    }
    return { debug: () => {}, info: say, warn: say, error: say }
  }

  #push(event: Event): void {
    const heap = this.#heap
    let i = heap.push(event) - 1
    while (i > 0) {
      const up = (i - 1) >> 1
      const parent = heap[up] as Event
      if (!before(event, parent)) break
      heap[i] = parent
      i = up
    }
    heap[i] = event
  }

  #pop(): Event | undefined {
    const heap = this.#heap
    const top = heap[0]
    const last = heap.pop()
    if (top === undefined || last === undefined || heap.length === 0) return top
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1] as Event, heap[child] as Event)) child++
      if (!before(heap[child] as Event, last)) break
      heap[i] = heap[child] as Event
      i = child
    }
    heap[i] = last
    return top
  }
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
