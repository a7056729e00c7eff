// How a record of an input is read: its key and value by the source's serdes, its time by the source's extractor.
import { EMPTY } from '../base/bytes.ts'
import type { LogRecord } from '../base/record.ts'
import type { AnySerde } from '../serde/serde.ts'
import type { PlanSource } from '../topology/plan-types.ts'
import { decodeChange } from './change.ts'

export interface SourceRecord {
  key: unknown
  value: unknown
  /** Of a Change: what is to be subtracted; of any other record undefined. */
  old: unknown
  timestamp: number
}

/** Fills in what can be read before it throws. `unread`: nobody looks at the value, its bytes stand for it. */
export function readSource(source: PlanSource, record: LogRecord, into: SourceRecord, unread = false): void {
  if (source.carries === 'records') {
    if (record.key !== null) into.key = source.key.decode(record.key)
    if (record.value !== null) into.value = unread ? record.value : source.value.decode(record.value)
    if (source.timestamp !== null) {
      into.timestamp = source.timestamp(into.value, into.key, { topic: '', ...record })
    }
  } else if (source.carries === 'changes') {
    if (record.key !== null) into.key = source.key.decode(record.key)
    const change = decodeChange(record.value ?? EMPTY)
    into.value = change.value === null ? null : source.value.decode(change.value)
    into.old = change.old === null ? null : source.value.decode(change.old)
  } else {
    into.key = record.key
    into.value = record.value
  }
}

/** Under which serde the bytes that came in may be used again: not under one that reads other forms than it writes. */
export function asItWrites(serde: AnySerde): AnySerde | null {
  return serde.rewrites === true ? null : serde
}
