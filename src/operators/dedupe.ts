// `dedupe`: lets the first event of each id through, and drops those that follow within the retention.
//
// Rows: SEEN, id: the stream time at which it was let through; DUE, that time, id: nothing, for clearing away in the order of time.
//
// Invariants
// 1. An id is remembered from the stream time at which an event with it was let through, and forgotten when stream time is more than
//    `retentionMs` past that. What is dropped does not prolong it, and writes nothing.
// 2. Whether an id is remembered depends on its SEEN row alone, not on when rows are cleared away: some with each event.
// 3. An event without an id (null) is let through.
import { MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { readTime, rowInner, rowKey, rowsBefore, writeTime } from '../serde/window-rows.ts'
import type { DedupeNode } from '../topology/node.ts'
import type { Operator } from './operator.ts'
import { type RecordView, recordView } from './record-view.ts'

const SEEN = 1
const DUE = 2
const NOTHING = Buffer.alloc(0)

export const dedupe: Operator = (site) => {
  const { idOf: fn, retentionMs } = site.node.operator as DedupeNode
  const idOf = site.guard(fn as (value: unknown, key: unknown, record: RecordView) => unknown)
  const store = site.store(0)
  const { context, forward, node } = site
  const duplicate = site.counter('duplicate')

  const clear = (streamTime: number): void => {
    if (streamTime <= retentionMs) return
    const below = rowsBefore(DUE, streamTime - retentionMs)
    for (let n = 0; n < LIMITS.forgottenPerRecord; n++) {
      const due = store.first(DUE, below)
      if (due === null) return
      const id = rowInner(due)
      store.putBytes(due, null, streamTime)
      // Seen again since: that row belongs to a later time.
      const seen = store.getBytes(seenKey(id))
      if (seen !== null && streamTime - readTime(seen.value, 0) > retentionMs) store.putBytes(seenKey(id), null, streamTime)
    }
  }

  return {
    inputs: [
      (key, value, timestamp) => {
        const streamTime = Math.max(context.streamTime, timestamp)
        const id = bytesOf(idOf(value, key, recordView(context, key, value, timestamp)), node.name)
        if (id !== null) {
          const seenAt = seenKey(id)
          const seen = store.getBytes(seenAt)
          if (seen !== null && streamTime - readTime(seen.value, 0) <= retentionMs) {
            duplicate.n++
            return
          }
          clear(streamTime)
          const time = Buffer.allocUnsafe(8)
          writeTime(time, streamTime, 0)
          store.putBytes(seenAt, time, streamTime)
          store.putBytes(rowKey(DUE, streamTime, id), NOTHING, streamTime)
        }
        forward(key, value, timestamp, undefined)
      },
    ],
  }
}

function seenKey(id: Buffer): Buffer {
  return Buffer.concat([Buffer.of(SEEN), id])
}

/** Text as UTF-16, which loses nothing; ids of different types are different. */
function bytesOf(id: unknown, name: string): Buffer | null {
  if (id === null || id === undefined) return null
  if (typeof id === 'string') return Buffer.concat([Buffer.of(1), Buffer.from(id, 'utf16le')])
  if (typeof id === 'bigint') return Buffer.from(`\u0002${id.toString(36)}`, 'latin1')
  if (typeof id === 'number' && !Number.isNaN(id)) {
    const bytes = Buffer.allocUnsafe(9)
    bytes[0] = 3
    bytes.writeDoubleBE(id === 0 ? 0 : id, 1)
    return bytes
  }
  throw new MillraceError(
    'STREAM_CALLBACK',
    `${name}: the id is ${typeof id === 'object' ? 'an object' : String(id)}; make it a text or a number`,
  )
}
