// What lies between a client and the brokers. A request may be late, later than its sender waits, lost, and so may its answer; it
// arrives even if its sender has died meanwhile. One function does all of this: delayed requests of dead and fenced writers,
// commits in doubt and zombies come from here.
//
// Invariants
// 1. What goes over one wire arrives in order; what is lost breaks the wire, and everything behind it is lost, too (TCP).
// 2. Only a request that a client may send twice by itself arrives twice: init, the group's, fetches, and batches with a sequence.
import type { World } from '../../../src/base/ports.ts'
import type { RequestKind } from '../../../src/log/outcome.ts'
import type { Chance } from '../chance.ts'

/** Probabilities of one request. */
export interface Weather {
  lost: number
  answerLost: number
  slow: number
  twice: number
}

export const CALM: Weather = { lost: 0, answerLost: 0, slow: 0, twice: 0 }

export interface Times {
  readonly requestTimeoutMs: number
  /** A usual way, one direction. */
  readonly wayMsMax: number
  /** A slow one: may be longer than the timeout. */
  readonly slowMsMax: number
}

export interface Network {
  /** The brokers' clock: its timers belong to no process. */
  readonly world: World
  readonly chance: Chance
  readonly times: Times
  weather: Weather
  /** Told of every request when it is sent; where the nemesis lies in wait. Answers how much later than others it is to arrive. */
  onRequest: (from: string, kind: RequestKind) => number
  /** What a broker is to say to this request instead; null: what it has to say. */
  onArrival: (from: string, kind: RequestKind) => Said | null
  readonly trace: ((who: string, what: string) => void) | null
}

/** A broker's word that a test puts into its mouth, with or without having done what was asked. */
export interface Said {
  readonly name: string
  readonly done: boolean
}

/** A connection. */
export interface Wire {
  lastArrivalMs: number
  broken: boolean
}

export const newWire = (): Wire => ({ lastArrivalMs: 0, broken: false })

/** A broker's word, or what a client makes of none: `apiId` is what src/log/kafka/errors.ts reads. */
export class Answer extends Error {
  readonly apiId: string
  /** What else the broker said: the id of MEMBER_ID_REQUIRED. */
  readonly response: { readonly memberId: string }

  constructor(what: string, said: string) {
    super(`${what}: ${said}`)
    const [apiId = '', memberId = ''] = said.split(' ')
    this.apiId = apiId
    this.response = { memberId }
  }
}

export interface Reply<T> {
  ok(value: T): void
  refuse(name: string): void
}

export interface Caller {
  readonly name: string
  readonly world: World
}

const TWICE: ReadonlySet<RequestKind> = new Set(['init', 'produce', 'fetch', 'offsetFetch', 'heartbeat', 'join', 'sync', 'leave'])

/** `handle` runs at the broker; it may reply later. */
export function request<T>(
  net: Network,
  from: Caller,
  wire: Wire,
  kind: RequestKind,
  what: string,
  handle: (reply: Reply<T>) => void,
  timeoutMs = net.times.requestTimeoutMs,
): Promise<T> {
  const { chance, weather } = net
  const lateMs = net.onRequest(from.name, kind)
  return new Promise((resolve, reject) => {
    let over = false
    const end = (settle: () => void): void => {
      if (over) return
      over = true
      cancel()
      settle()
    }
    const cancel = from.world.timers.after(timeoutMs, () =>
      end(() => {
        net.trace?.(from.name, `no answer in time: ${what}`)
        wire.broken = true // the next request goes over another one, and may overtake this one
        reject(new Answer(what, 'TIMEOUT'))
      }),
    )
    if (wire.broken || chance.hit(weather.lost)) {
      net.trace?.(from.name, `LOST ${what}`)
      wire.broken = true
      if (chance.hit(0.5)) from.world.timers.after(way(net), () => end(() => reject(new Answer(what, 'NETWORK'))))
      return
    }
    const answerLost = chance.hit(weather.answerLost)
    const reply: Reply<T> = {
      ok: (value) => back(() => resolve(value), 'ok'),
      refuse: (name) => back(() => reject(new Answer(what, name)), name),
    }
    const back = (settle: () => void, said: string): void => {
      if (over) return
      if (net.trace !== null && (said !== 'ok' || kind !== 'fetch'))
        net.trace('broker', `${answerLost ? 'LOST ' : ''}answer to ${from.name}: ${said} to ${what}`)
      if (answerLost) {
        wire.broken = true
        return
      }
      from.world.timers.after(way(net), () => end(settle))
    }
    const arrive = (): void => {
      if (net.trace !== null && kind !== 'fetch' && kind !== 'heartbeat')
        net.trace('broker', `${what} of ${from.name} arrives${over ? ' too late for it' : ''}`)
      const said = net.onArrival(from.name, kind)
      if (said === null) handle(reply)
      else if (said.done) handle({ ok: () => reply.refuse(said.name), refuse: reply.refuse })
      else reply.refuse(said.name)
    }
    const now = net.world.clock.monotonic()
    const at = Math.max(now + way(net) + lateMs, wire.lastArrivalMs + 0.001)
    wire.lastArrivalMs = at
    net.world.timers.after(at - now, arrive)
    if (TWICE.has(kind) && chance.hit(weather.twice)) net.world.timers.after(at - now + way(net), arrive)
  })
}

function way(net: Network): number {
  const { chance, times } = net
  return chance.hit(net.weather.slow)
    ? chance.delayMs(times.wayMsMax, times.slowMsMax)
    : chance.delayMs(times.wayMsMax / 20, times.wayMsMax)
}
