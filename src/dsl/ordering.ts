// `dedupe`: its options checked, and put below a stream.
import { type Duration, durationMs } from '../base/duration.ts'
import { RAW } from '../topology/raw.ts'
import { checkFunction, checkOptions, refuse } from './check.ts'
import type { Place } from './draft.ts'
import { addStateful, serdesOf } from './place.ts'
import type { RecordInfo, StoreOptions } from './types.ts'

export interface DedupeOptions<K, V> extends StoreOptions {
  /** What makes two events the same. Null: the event has none, and goes through. */
  readonly id: (value: V, key: K, record: RecordInfo) => string | number | bigint | null | undefined
  /** How long an id is remembered, in stream time from the event that was let through. */
  readonly retention: Duration
}

const RAW_SERDES = { key: RAW, value: RAW }

export function addDedupe<K, V>(stream: Place, options: DedupeOptions<K, V>): Place {
  const label = 'dedupe'
  const { store, id, retention } = checkOptions(label, options, ['store', 'id', 'retention'])
  if (retention === undefined) refuse(label, "name a retention: how long an id is remembered, such as '1h'")
  const retentionMs = durationMs(retention, `${label}: retention`)
  if (retentionMs === 0) refuse(label, 'a retention of 0 remembers no id; leave dedupe out or name a longer one')
  const fn = checkFunction(label, 'id', id)
  const body = { idOf: fn, retentionMs, ...serdesOf(stream.node) }
  return addStateful([stream], label, store, RAW_SERDES, (spec) => ({ kind: 'dedupe', store: spec, ...body, keyChanged: false }))
}
