// Keeps a key's later records waiting behind a dead letter, until that comes back or is dropped: so a replay changes no order.
// Input 0: the source's records. Input 1: dead letters that come back, by a topic of their own.
//
// Invariants
// 1. Records of a key leave in the order in which they were read, dead letters where they stood; each once, or it is a dead letter again.
// 2. A key without dead letters costs one read of a row that is in memory; a topology without `blockKey` has none of it.
// 3. When as many wait as may, the input of that partition waits. Letters come by another topic, so they get through.
// 4. A letter that nobody waits for goes behind what waits of its key, or at once.
import { MillraceError, wrap } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { NotYet } from '../base/not-yet.ts'
import { type LogRecord, NO_HEADERS } from '../base/record.ts'
import { readReturn, RETURN_OF } from '../base/returned-letter.ts'
import type { BlockKey } from '../topology/plan-types.ts'
import { type BlockedEntry, BlockedRows, queueOf } from './blocked-rows.ts'
import type { Operator } from './operator.ts'
import { asItWrites, readSource, type SourceRecord } from './source-record.ts'

const NEVER = Number.POSITIVE_INFINITY

export const blockKey: Operator = (site) => {
  const { node, context, forward, partition, services } = site
  const { source, topic, recordsMax } = node.operator as BlockKey
  const rows = new BlockedRows(site.store(0), context)
  const parked = site.gauge('parked')
  const blocked = site.gauge('blocked_keys')
  const released = site.counter('released')
  const returned = site.counter('returned')
  const dropped = site.counter('given_up')
  const known = site.counter('duplicate')

  const show = (): void => {
    parked.n = rows.records
    blocked.n = rows.queues
  }

  /** What follows sees the record as it was read. */
  const run = ({ topic: from, record, at }: BlockedEntry): void => {
    const read: SourceRecord = { key: null, value: null, old: undefined, timestamp: record.timestamp }
    try {
      readSource(source, record, read)
    } catch (error) {
      if (error instanceof NotYet) throw error
      throw site.undecodable(source, wrap(error, 'STREAM_SERDE', `${from}-${partition}@${record.offset} can't be decoded`))
    }
    const timestamp = at ?? read.timestamp
    if (!Number.isSafeInteger(timestamp) || timestamp > LIMITS.timestampMax)
      throw site.misdated(source, new MillraceError('STREAM_SERDE', `timestamp ${timestamp} of a record of ${from} is no epoch time in ms`))
    if (timestamp < 0) return
    if (timestamp > context.streamTime) context.streamTime = timestamp
    const { offset, headers, timestamp: recordTimestamp } = record
    Object.assign(context, { topic: from, partition, offset, timestamp, recordTimestamp, headers })
    Object.assign(context, { key: read.key, keyBytes: record.key, keySerde: asItWrites(source.key) })
    const valueSerde = source.carries === 'records' ? asItWrites(source.value) : null
    Object.assign(context, { value: read.value, valueBytes: record.value, valueSerde })
    forward(read.key, read.value, timestamp, read.old)
  }

  const wake = {
    wallAtMs: 0,
    streamAtMs: NEVER,
    run(): boolean {
      const queue = rows.firstReady()
      if (queue === null) {
        wake.wallAtMs = NEVER
        show()
        return false
      }
      const head = rows.head(queue)
      if (head.state === 'record') {
        run(head)
        released.n++
      }
      rows.leave(queue)
      show()
      return true
    },
    failed(error: unknown): void {
      const queue = rows.firstReady() as Buffer
      const { topic: from, record } = rows.head(queue)
      services.giveUp({ topic: from, partition, ...record }, error, null) // has it marked, where it is a dead letter
      if (rows.head(queue).state !== 'mark') rows.leave(queue)
      show()
    },
  }
  services.wake(wake)

  return {
    inputs: [
      (key, value, timestamp, old) => {
        const { keyBytes, offset, headers, recordTimestamp } = context
        const queue = keyBytes === null || rows.queues === 0 ? null : queueOf(context.topic, keyBytes)
        if (queue === null || !rows.holds(queue)) {
          forward(key, value, timestamp, old)
          return
        }
        // With exactly once nothing is read again: an offset that was there before is of a topic that was made anew.
        if (services.repeats === true && rows.isKnown(queue, offset)) {
          known.n++
          return
        }
        if (rows.records >= recordsMax) services.pauseInput()
        const record: LogRecord = { offset, timestamp: recordTimestamp, key: keyBytes, value: context.valueBytes, headers }
        rows.add(queue, { state: 'record', topic: context.topic, record, at: timestamp })
        show()
      },
      (keyBytes: Buffer | null, valueBytes: Buffer | null) => {
        const { topic: from, offset, timestamp, dropped: isDropped } = readReturn(context.headers)
        const headers = context.headers.filter(([name]) => name !== RETURN_OF)
        const record: LogRecord = isDropped
          ? { offset, timestamp, key: null, value: null, headers: NO_HEADERS }
          : { offset, timestamp, key: keyBytes, value: valueBytes, headers }
        const entry: BlockedEntry = { state: isDropped ? 'gone' : 'record', topic: from, record, at: null }
        if (!rows.settle(entry) && !isDropped && keyBytes !== null) rows.add(queueOf(from, keyBytes), entry)
        if (isDropped) dropped.n++
        else returned.n++
        wake.wallAtMs = 0
      },
    ],
    block: {
      topic,
      mark(from, key, offset) {
        const record: LogRecord = { offset, timestamp: 0, key: null, value: null, headers: NO_HEADERS }
        rows.mark(queueOf(from, key), { state: 'mark', topic: from, record, at: null })
        show()
      },
    },
  }
}
