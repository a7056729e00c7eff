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
import { META, readTime, rowInner, rowKey, rowsBefore, rowTime, writeTime } from '../serde/window-rows.ts'
import type { StreamTableJoinNode } from '../topology/node.ts'
import { keyToBytes, valueToBytes } from './encode.ts'
import { appendValue, valuesOf } from './join-rows.ts'
import type { Operator, RecordContext, StoreView } from './operator.ts'
import { decodeWaiting, encodeWaiting } from './waiting-row.ts'

const CLOCK = Buffer.of(META)
const BUFFER = 1

export const streamTableGrace =
  (graceMs: number): Operator =>
  (site) => {
    const { type, joiner, streamKey, streamValue } = site.node.operator as StreamTableJoinNode
    const join = site.guard(joiner)
    const table = site.getter(1)
    const store = site.store(0)
    const dropped = site.counter('dropped')
    const { context, forward } = site

    const meet = (key: unknown, value: unknown, timestamp: number): void => {
      const row = key === null ? null : table(key, timestamp)
      if (row === null && type === 'inner') return
      forward(key, join(value, row === null ? null : row.value, key) ?? null, timestamp, undefined)
    }

    const letGo = (place: Buffer, streamTime: number): void => {
      const waiting = store.getBytes(place)
      store.putBytes(place, null, streamTime)
      const key = streamKey.decode(rowInner(place))
      for (const bytes of waiting === null ? [] : valuesOf(waiting.value)) {
        const own = { topic: context.topic, offset: context.offset, headers: context.headers }
        try {
          meet(key, streamValue.decode(enter(context, bytes)), rowTime(place))
        } finally {
          Object.assign(context, own)
        }
      }
    }

    return {
      inputs: [
        (key, value, timestamp) => {
          if (value === null || (key === null && type === 'inner')) {
            dropped.n++
            return
          }
          if (key === null) return meet(key, value, timestamp)
          const streamTime = observe(store, timestamp)
          if (timestamp < streamTime - graceMs) return meet(key, value, timestamp)
          const place = rowKey(BUFFER, timestamp, keyToBytes(site, streamKey, key) as Buffer)
          const bytes = leave(context, valueToBytes(site, streamValue, value))
          store.putBytes(place, appendValue(store.getBytes(place)?.value ?? null, bytes), timestamp)
          const below = rowsBefore(BUFFER, streamTime - graceMs + 1)
          if (streamTime < graceMs) return
          for (let due = store.first(BUFFER, below); due !== null; due = store.first(BUFFER, below)) letGo(due, streamTime)
        },
        () => {},
      ],
    }
  }

function observe(store: StoreView, timestamp: number): number {
  const clock = store.getBytes(CLOCK)
  const before = clock === null ? -1 : readTime(clock.value, 0)
  if (timestamp <= before) return before
  const bytes = Buffer.allocUnsafe(8)
  writeTime(bytes, timestamp, 0)
  store.putBytes(CLOCK, bytes, timestamp)
  return timestamp
}

/** Value, headers and coordinates of the present record: offset (float64), uint16 length of the topic, topic, the rest. */
function leave(context: RecordContext, value: Buffer | null): Buffer {
  const topic = Buffer.from(context.topic, 'utf8')
  const head = Buffer.allocUnsafe(10)
  head.writeDoubleBE(context.offset, 0)
  head.writeUInt16BE(topic.length, 8)
  return Buffer.concat([head, topic, encodeWaiting({ value, prior: null, headers: context.headers })])
}

/** Makes it the present record again; answers with its value. */
function enter(context: RecordContext, bytes: Buffer): Buffer {
  const end = 10 + bytes.readUInt16BE(8)
  const { value, headers } = decodeWaiting(bytes.subarray(end))
  context.offset = bytes.readDoubleBE(0)
  context.topic = bytes.toString('utf8', 10, end)
  context.headers = headers
  return value as Buffer
}
