// `join` and `leftJoin` of a stream with a versioned table, with a grace: stream records wait until stream time is so much past them,
// so that rows which come late are there.
//
//   META                the greatest timestamp that this operator's stream has brought
//   BUFFER  time, key   what waits, in the order of arrival
//
// Invariants
// 1. A record goes when its timestamp <= stream time - grace, in the order of timestamp, key and arrival; one that comes later than that goes
//    at once. Each meets the row that held at its own timestamp, and goes out with its own timestamp, headers and coordinates.
// 2. A null value is dropped and counted, a null key too in an inner join; in a left join it goes out at once. Neither moves stream time.
// 3. What waited goes in pieces of its own behind the record that made it due: where one throws, it is given up, and no other. Where it meets a
//    full operator, the stream's input waits with it.
import { META, readTime, rowKey, rowsBefore, writeTime } from '../serde/window-rows.ts'
import type { StreamTableJoinNode } from '../topology/node.ts'
import { appendValue, firstOf } from './join-rows.ts'
import type { Operator, StoreView } from './operator.ts'
import { arrivalOf, asArrived, decodeParked, encodeParked, type Parked } from './parked-record.ts'

const CLOCK = Buffer.of(META)
const BUFFER = 1
const NEVER = Number.POSITIVE_INFINITY

export const streamTableGrace =
  (graceMs: number): Operator =>
  (site) => {
    const { type, joiner, streamKey, streamValue } = site.node.operator as StreamTableJoinNode
    const serdes = { key: streamKey, value: streamValue }
    const join = site.guard(joiner)
    const table = site.getter(1)
    const store = site.store(0)
    const dropped = site.counter('dropped')
    const { context, forward, services } = site

    const meet = (key: unknown, value: unknown, timestamp: number): void => {
      const row = key === null ? null : table(key, timestamp)
      if (row === null && type === 'inner') return
      forward(key, join(value, row === null ? null : row.value, key) ?? null, timestamp, undefined)
    }

    const firstDue = (): Buffer | null => {
      const below = timeOf(store) - graceMs
      return below < 0 ? null : store.first(BUFFER, rowsBefore(BUFFER, below + 1))
    }

    /** The first of those that wait there leaves. */
    const leave = (place: Buffer): Parked => {
      const [first, rest] = firstOf(store.getBytes(place)?.value as Buffer)
      store.putBytes(place, rest, timeOf(store))
      return decodeParked(first)
    }

    const wake = {
      wallAtMs: 0,
      streamAtMs: NEVER,
      held: false,
      run(): boolean {
        const place = firstDue()
        if (place === null) {
          wake.wallAtMs = NEVER
          return false
        }
        const waited = leave(place)
        asArrived(context, waited)
        meet(streamKey.decode(waited.key as Buffer), streamValue.decode(waited.value), waited.timestamp)
        return true
      },
      failed(error: unknown): void {
        const { origin, headers } = leave(firstDue() as Buffer)
        services.giveUp({ ...origin, headers }, error, null)
      },
    }
    services.wake(wake)

    return {
      inputs: [
        (key, value, timestamp) => {
          if (value === null || (key === null && type === 'inner')) {
            dropped.n++
            return
          }
          if (wake.held && firstDue() !== null) services.pauseInput()
          if (key === null) return meet(key, value, timestamp)
          const streamTime = observe(store, timestamp)
          if (timestamp < streamTime - graceMs) return meet(key, value, timestamp)
          const arrival = arrivalOf(site, serdes, key, value, timestamp, [])
          const times = { sequence: 0, parkedAtMs: services.steadyMs(), parkedAtStreamMs: streamTime }
          const place = rowKey(BUFFER, timestamp, arrival.key as Buffer)
          store.putBytes(place, appendValue(store.getBytes(place)?.value ?? null, encodeParked({ ...arrival, ...times })), timestamp)
          if (firstDue() !== null) wake.wallAtMs = 0
        },
        () => {},
      ],
    }
  }

function timeOf(store: StoreView): number {
  const clock = store.getBytes(CLOCK)
  return clock === null ? -1 : readTime(clock.value, 0)
}

function observe(store: StoreView, timestamp: number): number {
  const before = timeOf(store)
  if (timestamp <= before) return before
  const bytes = Buffer.allocUnsafe(8)
  writeTime(bytes, timestamp, 0)
  store.putBytes(CLOCK, bytes, timestamp)
  return timestamp
}
