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
}

/** Tumbling and hopping windows. `own`: each topic has its own stream time (a cogroup), as far as updates are concerned. */
export function timeOracle(events: readonly Event[], size: number, advance: number, grace: number, own = false): Outcome {
  const outcome: Outcome = { updates: [], closed: [], late: 0 }
  const windows: Window[] = []
  const streamTimes = new Map<string, number>()
  for (const { topic, key, value, timestamp } of events) {
    if (key === null) continue
    const clock = own ? topic : ''
    const streamTime = Math.max(streamTimes.get(clock) ?? -1, timestamp)
    streamTimes.set(clock, streamTime)
    for (let start = 0; start <= timestamp; start += advance) {
      const end = start + size
      if (end <= timestamp) continue
      if (end <= streamTime - grace) {
        outcome.late++
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

export function sessionOracle(events: readonly Event[], gap: number, grace: number): Outcome {
  const outcome: Outcome = { updates: [], closed: [], late: 0 }
  let sessions: Window[] = []
  let streamTime = -1
  for (const { key, value, timestamp } of events) {
    if (key === null) continue
    streamTime = Math.max(streamTime, timestamp)
    const closeTime = streamTime - gap - grace
    const met = sessions
      .filter((each) => each.key === key && each.end >= closeTime && each.end >= timestamp - gap && each.start <= timestamp + gap)
      .sort((a, b) => a.end - b.end)
    const start = Math.min(timestamp, ...met.map((each) => each.start))
    const end = Math.max(timestamp, ...met.map((each) => each.end))
    if (end < closeTime) outcome.late++
    else {
      if (start !== end) for (const each of met) outcome.updates.push([{ key, start: each.start, end: each.end }, null, each.end])
      const state = tallied(
        met.reduce((all, each) => merged(all, each.state), tally()),
        value,
      )
      sessions = [...sessions.filter((each) => !met.includes(each)), { key, start, end, state, timestamp: end }]
      outcome.updates.push([{ key, start, end }, state, end])
    }
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
