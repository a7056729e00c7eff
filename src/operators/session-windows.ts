// Aggregates over sessions: records of a key with no silence longer than the gap between them.
//
// Invariants
// 1. A record and all open sessions within the gap of it become one session: fold the merger over them, from an initial state on, then
//    add the record. A null key is dropped and counted; a null value is aggregated.
// 2. A session is closed when its end < stream time - grace - gap. What is closed takes no more records and is never merged. A record
//    whose merged session would be closed is late.
// 3. Put out at each update: a tombstone for each session that went into a larger one (also where that has the same bounds), then the
//    session; each with its end as timestamp. Put out at the close: each session once, by end.
// 4. A key's INDEX row lists its open sessions by end; it may still list closed ones. Their WINDOW rows are deleted when they are closed,
//    or when the store's longer retention says so.
import type { SessionWindows, Windowed } from '../base/window.ts'
import {
  CLOSING,
  INDEX,
  inRegion,
  readTime,
  rowsBefore,
  rowTime,
  sessionInner,
  sessionKey,
  sessionStart,
  WINDOW,
  writeTime,
} from '../serde/window-rows.ts'
import type { WindowAggregateNode } from '../topology/node.ts'
import { keyToBytes } from './encode.ts'
import type { Instance, Push, Site, StoreView } from './operator.ts'
import { clockOf, expire, lateBy, NOTHING, type Step, stepsOf, unlessClosing, type WindowSite } from './window-store.ts'

interface Session {
  readonly start: number
  readonly end: number
}

export function sessionWindows(site: WindowSite, node: WindowAggregateNode, { gapMs, graceMs }: SessionWindows): Instance {
  const { inner, retentionMs } = node
  const store = site.store(0)
  const dropped = site.counter('dropped')
  const late = lateBy(site, node)
  const merge = mergerOf(site, node)
  const { forward } = site
  const { sendsOld } = site.node
  const atClose = node.emit === 'close'
  const outlives = retentionMs > gapMs + graceMs
  const closing = outlives ? CLOSING : WINDOW
  const clock = clockOf(store, site.node.parents.length, atClose)

  const put = (session: Session, keyBytes: Buffer, state: unknown): void => {
    const row = sessionKey(session.start, session.end, keyBytes)
    store.putBytes(row, state === null ? null : store.encodeValue(state), session.end)
    if (atClose && outlives) store.putBytes(inRegion(row, CLOSING), state === null ? null : NOTHING, session.end)
  }

  const due = site.due((rowsMax, drop) => {
    const streamTime = clock.now()
    const closeTime = streamTime - gapMs - graceMs
    if (!atClose || closeTime <= 0) return 0
    const below = rowsBefore(closing, closeTime)
    let rows = 0
    for (; rows < rowsMax; rows++) {
      const row = store.first(closing, below)
      if (row === null) break
      const stored = store.getBytes(outlives ? inRegion(row, WINDOW) : row)
      store.putBytes(row, null, streamTime)
      if (!outlives) forget(store, row, closeTime)
      if (stored === null || drop) continue
      const end = rowTime(row)
      forward({ key: inner.decode(sessionInner(row)), start: sessionStart(row), end }, store.decodeValue(stored.value), end, null)
    }
    return rows
  })

  const input = (step: Step, number: number): Push => {
    return (key, value, timestamp) => {
      const keyBytes = keyToBytes(site, inner, key)
      if (keyBytes === null) {
        dropped.n++
        return
      }
      const { streamTime, settled } = clock.observe(timestamp, number)
      const closeTime = streamTime - gapMs - graceMs
      const index = indexKey(keyBytes)
      const open = readIndex(store, index).filter(({ end }) => end >= closeTime)
      const met = open.filter(({ start, end }) => end >= timestamp - gapMs && start <= timestamp + gapMs)
      const start = met.reduce((least, session) => Math.min(least, session.start), timestamp)
      const end = met.reduce((greatest, session) => Math.max(greatest, session.end), timestamp)
      if (end < closeTime) late(value, key, start, end, timestamp, streamTime)
      else {
        const grown = start !== end
        let merged: unknown = null
        let old: unknown = null
        for (const session of met) {
          const stored = store.getBytes(sessionKey(session.start, session.end, keyBytes))
          if (stored === null) continue
          merged = merge(merged, store.decodeValue(stored.value), key) ?? null
          const before = sendsOld && !atClose ? store.decodeValue(stored.value) : null
          if (!grown) old = before
          else {
            put(session, keyBytes, null)
            if (!atClose) forward({ key, start: session.start, end: session.end }, null, session.end, before)
          }
        }
        const state = step(merged, value, key) ?? null
        put({ start, end }, keyBytes, state)
        const left = open.filter((session) => !met.includes(session))
        writeIndex(store, index, state === null ? left : [...left, { start, end }], streamTime)
        if (!atClose) forward({ key, start, end }, state, end, old)
      }
      if (atClose) due.now()
      if (atClose && !outlives) return // a row goes when its session is put out
      const expired = settled - Math.max(gapMs + graceMs, retentionMs)
      const before = atClose ? unlessClosing(store, expired) : expired
      expire(store, WINDOW, before, 2, streamTime, (row) => forget(store, row, before))
    }
  }

  const steps = stepsOf(site, node)
  return {
    ahead: { key: inner, rows: (key) => [indexKey(key)] },
    inputs: site.node.parents.map((_, i) => input(steps[i] as Step, i)),
    getter: ({ key, start, end }: Windowed<unknown>) => {
      const keyBytes = keyToBytes(site, inner, key)
      const stored = keyBytes === null ? null : store.getBytes(sessionKey(start, end, keyBytes))
      return stored === null ? null : { value: store.decodeValue(stored.value), timestamp: stored.timestamp }
    },
  }
}

/** (state or null before the first, a session's state, key) => merged. The first is merged with an initial state. */
function mergerOf(site: Site, node: WindowAggregateNode): Step {
  if (node.form === 'count') return (left, right) => Number(left ?? 0) + Number(right)
  const merger = site.guard(node.merger as Step)
  if (node.form === 'reduce') return (left, right, key) => (left === null ? right : merger(left, right, key))
  const initial = site.guard(node.initial as () => unknown)
  return (left, right, key) => merger(left === null ? initial() : left, right, key)
}

function indexKey(keyBytes: Buffer): Buffer {
  return Buffer.concat([Buffer.of(INDEX), keyBytes])
}

function readIndex(store: StoreView, index: Buffer): Session[] {
  const bytes = store.getBytes(index)?.value
  const sessions: Session[] = []
  if (bytes !== undefined)
    for (let at = 0; at < bytes.length; at += 16) sessions.push({ start: readTime(bytes, at), end: readTime(bytes, at + 8) })
  return sessions
}

function writeIndex(store: StoreView, index: Buffer, sessions: readonly Session[], timestamp: number): void {
  const bytes = Buffer.allocUnsafe(16 * sessions.length)
  let at = 0
  for (const { start, end } of sessions.toSorted((a, b) => a.end - b.end)) at = writeTime(bytes, end, writeTime(bytes, start, at))
  store.putBytes(index, sessions.length === 0 ? null : bytes, timestamp)
}

/** Takes what ended before out of the index of the row's key. */
function forget(store: StoreView, row: Buffer, before: number): void {
  const index = indexKey(sessionInner(row))
  const sessions = readIndex(store, index)
  const left = sessions.filter(({ end }) => end >= before)
  if (left.length < sessions.length) writeIndex(store, index, left, before)
}
