// What windows should give, written from their definitions with plain arrays: one partition, no stores, nothing expires.
import type { Event, Out } from './play.ts'

/** What all the aggregates of these tests do: how many, and the values in the order they came. */
export interface Tally {
  readonly n: number
  readonly log: string
}
export const tally = (): Tally => ({ n: 0, log: '' })
export const tallied = (state: Tally, value: unknown): Tally => ({ n: state.n + 1, log: `${state.log}${value ?? '-'}` })
export const merged = (left: Tally, right: Tally): Tally => ({ n: left.n + right.n, log: `${left.log}|${right.log}` })

interface Window {
  readonly key: string
  readonly start: number
  readonly end: number
  state: Tally
  timestamp: number
}

const shown = ({ key, start, end, state, timestamp }: Window): Out => [{ key, start, end }, state, timestamp]
const byStart = (a: Window, b: Window): number => a.start - b.start || (a.key < b.key ? -1 : 1)

export interface Outcome {
  readonly updates: Out[]
  /** In the order they close; what is still open is not there. */
  readonly closed: Out[]
  late: number
  /** Records that came too late for a window of theirs. */
  readonly lateRecords: Set<Event>
}

/** Tumbling and hopping windows. `own`: each topic has its own stream time (a cogroup), as far as updates are concerned. */
export function timeOracle(events: readonly Event[], size: number, advance: number, grace: number, own = false): Outcome {
  const outcome: Outcome = { updates: [], closed: [], late: 0, lateRecords: new Set() }
  const windows: Window[] = []
  const streamTimes = new Map<string, number>()
  for (const event of events) {
    const { topic, key, value, timestamp } = event
    if (key === null) continue
    const clock = own ? topic : ''
    const streamTime = Math.max(streamTimes.get(clock) ?? -1, timestamp)
    streamTimes.set(clock, streamTime)
    for (let start = 0; start <= timestamp; start += advance) {
      const end = start + size
      if (end <= timestamp) continue
      if (end <= streamTime - grace) {
        outcome.late++
        outcome.lateRecords.add(event)
        continue
      }
      let window = windows.find((each) => each.key === key && each.start === start)
      if (window === undefined) {
        window = { key, start, end, state: tally(), timestamp }
        windows.push(window)
      }
      window.state = tallied(window.state, value)
      window.timestamp = Math.max(window.timestamp, timestamp)
      outcome.updates.push(shown(window))
    }
    for (const window of windows.filter(({ end }) => end <= streamTime - grace).sort(byStart)) {
      if (own) continue
      windows.splice(windows.indexOf(window), 1)
      outcome.closed.push(shown(window))
    }
  }
  return outcome
}

/** `own`: each topic has its own stream time, and what a record finds closed by its own is closed for all (a cogroup). */
export function sessionOracle(events: readonly Event[], gap: number, grace: number, own = false): Outcome {
  const outcome: Outcome = { updates: [], closed: [], late: 0, lateRecords: new Set() }
  let sessions: Window[] = []
  const streamTimes = new Map<string, number>()
  for (const event of events) {
    const { topic, key, value, timestamp } = event
    if (key === null) continue
    const streamTime = Math.max(streamTimes.get(own ? topic : '') ?? -1, timestamp)
    streamTimes.set(own ? topic : '', streamTime)
    const closeTime = streamTime - gap - grace
    const met = sessions
      .filter((each) => each.key === key && each.end >= closeTime && each.end >= timestamp - gap && each.start <= timestamp + gap)
      .sort((a, b) => a.end - b.end)
    const start = Math.min(timestamp, ...met.map((each) => each.start))
    const end = Math.max(timestamp, ...met.map((each) => each.end))
    if (end < closeTime) {
      outcome.late++
      outcome.lateRecords.add(event)
    } else {
      if (start !== end) for (const each of met) outcome.updates.push([{ key, start: each.start, end: each.end }, null, each.end])
      const state = tallied(
        met.reduce((all, each) => merged(all, each.state), tally()),
        value,
      )
      sessions = sessions.filter((each) => !met.includes(each) && !(own && each.key === key && each.end < closeTime))
      sessions = [...sessions, { key, start, end, state, timestamp: end }]
      outcome.updates.push([{ key, start, end }, state, end])
    }
    if (own) continue
    const closed = sessions.filter((each) => each.end < closeTime)
    sessions = sessions.filter((each) => each.end >= closeTime)
    for (const each of closed.sort((a, b) => a.end - b.end || (a.key < b.key ? -1 : a.key > b.key ? 1 : a.start - b.start)))
      outcome.closed.push(shown(each))
  }
  return outcome
}

/** All sliding windows of a history in which nothing is late: one that ends with each record, one that begins behind each record and
 *  holds another. */
export function slidingOracle(events: readonly Event[], difference: number): Map<string, readonly [n: number, timestamp: number]> {
  const windows = new Map<string, readonly [number, number]>()
  const known = events.filter(({ key, value }) => key !== null && value !== null)
  for (const { key, timestamp } of known) {
    for (const start of [Math.max(0, timestamp - difference), timestamp + 1]) {
      const inside = known.filter((each) => each.key === key && each.timestamp >= start && each.timestamp <= start + difference)
      if (inside.length > 0)
        windows.set(`${key}@${start}-${start + difference}`, [inside.length, Math.max(...inside.map((each) => each.timestamp))])
    }
  }
  return windows
}

interface Slide {
  readonly start: number
  count: number
  timestamp: number
}

/** Sliding windows where records come late: a window takes a record as long as it is open, and is made of the records that came before. The
 *  final state of each window that ever was. */
export function lateSlidingOracle(
  events: readonly Event[],
  difference: number,
  grace: number,
): Map<string, readonly [n: number, timestamp: number]> {
  const known = new Map<string, { readonly accepted: number[]; readonly windows: Slide[] }>()
  let streamTime = -1
  for (const { key, value, timestamp } of events) {
    if (key === null || value === null) continue
    streamTime = Math.max(streamTime, timestamp)
    const closeTime = streamTime - grace
    const isOpen = (start: number): boolean => start + difference >= closeTime
    const { accepted, windows } = known.get(key) ?? { accepted: [], windows: [] }
    known.set(key, { accepted, windows })
    if (timestamp + difference < closeTime) continue
    const before = accepted.filter((each) => each < timestamp)
    accepted.push(timestamp)
    const holds = (start: number): boolean => timestamp >= start && timestamp <= start + difference
    let isPlaced = false
    for (const window of windows) {
      if (!holds(window.start) || !isOpen(window.start)) continue
      isPlaced = true
      window.count++
      window.timestamp = Math.max(window.timestamp, timestamp)
    }
    const make = (start: number): void => {
      const inside = accepted.filter((each) => each >= start && each <= start + difference)
      if (!isOpen(start) || inside.length === 0 || windows.some((window) => window.start === start)) return
      windows.push({ start, count: inside.length, timestamp: Math.max(...inside) })
      isPlaced ||= holds(start)
    }
    make(Math.max(0, timestamp - difference))
    if (before.length > 0) make(Math.max(...before) + 1)
    make(timestamp + 1)
    if (!isPlaced) accepted.pop() // no window remembers it
  }
  const found = new Map<string, readonly [number, number]>()
  for (const [key, { windows }] of known)
    for (const { start, count, timestamp } of windows) found.set(`${key}@${start}-${start + difference}`, [count, timestamp])
  return found
}

/** `suppress({for, clock: 'wall'})` of a table of text; `advance`: the clock has moved. */
export function wallSuppressOracle(wait: number): {
  update(event: Pick<Event, 'key' | 'value' | 'timestamp'>): void
  advance(ms: number): Out[]
} {
  let now = 0
  let waiting: Waiting[] = []
  return {
    update({ key, value, timestamp }) {
      if (key === null) return
      const there = waiting.find((each) => each.key === key)
      if (there === undefined) waiting.push({ key, since: now, value, timestamp })
      else Object.assign(there, { value, timestamp })
    },
    advance(ms) {
      now += ms
      const due = waiting.filter(({ since }) => since + wait <= now).sort((a, b) => a.since - b.since || (a.key < b.key ? -1 : 1))
      waiting = waiting.filter((each) => !due.includes(each))
      return due.map(({ key, value, timestamp }) => [key, value, timestamp])
    },
  }
}

interface Waiting {
  readonly key: string
  readonly since: number
  value: string | null
  timestamp: number
}

/** `suppress({for, maxRecords})` of a table of text. */
export function suppressOracle(events: readonly Event[], wait: number, recordsMax: number): Out[] {
  const outs: Out[] = []
  const waiting: Waiting[] = []
  let streamTime = -1
  for (const { key, value, timestamp } of events) {
    if (key === null) continue
    streamTime = Math.max(streamTime, timestamp)
    const there = waiting.find((each) => each.key === key)
    if (there === undefined) waiting.push({ key, since: timestamp, value, timestamp })
    else Object.assign(there, { value, timestamp })
    waiting.sort((a, b) => a.since - b.since || (a.key < b.key ? -1 : 1))
    while (waiting.length > 0 && ((waiting[0] as Waiting).since <= streamTime - wait || waiting.length > recordsMax)) {
      const first = waiting.shift() as Waiting
      outs.push([first.key, first.value, first.timestamp])
    }
  }
  return outs
}
