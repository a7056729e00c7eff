// `dedupe` and buffering joins: their options checked, and put below a stream.
import { type Duration, durationMs } from '../base/duration.ts'
import { LIMITS } from '../base/limits.ts'
import { json } from '../serde/json.ts'
import type { Buffering } from '../topology/node.ts'
import { RAW } from '../topology/raw.ts'
import { checkFunction, checkOnError, checkOptionalFunction, checkOptions, checkSerde, given, refuse } from './check.ts'
import { addNode, claimStore, type Place } from './draft.ts'
import { addStateful, serdesOf } from './place.ts'
import type { OnErrorOptions, RecordInfo, StoreOptions, StoreValueOptions } from './types.ts'

export interface DedupeOptions<K, V> extends StoreOptions, OnErrorOptions {
  /** What makes two events the same. Null: the event has none, and goes through. */
  readonly id: (value: V, key: K, record: RecordInfo) => string | number | bigint | null | undefined
  /** How long an id is remembered, in stream time from the event that was let through. */
  readonly retention: Duration
}

const RAW_SERDES = { key: RAW, value: RAW }

export function addDedupe<K, V>(stream: Place, options: DedupeOptions<K, V>): Place {
  const label = 'dedupe'
  const { store, id, retention, onError } = checkOptions(label, options, ['store', 'id', 'retention', 'onError'])
  if (retention === undefined) refuse(label, "name a retention: how long an id is remembered, such as '1h'")
  const retentionMs = durationMs(retention, `${label}: retention`)
  if (retentionMs === 0) refuse(label, 'a retention of 0 remembers no id; leave dedupe out or name a longer one')
  const fn = checkFunction(label, 'id', id)
  const body = { idOf: fn, retentionMs, ...serdesOf(stream.node), ...checkOnError(label, onError) }
  return addStateful([stream], label, store, RAW_SERDES, (spec) => ({ kind: 'dedupe', store: spec, ...body, keyChanged: false }))
}

/** How records wait. */
export interface BufferOptions {
  /** How long. On the wall clock or in stream time, whichever passes first, unless `clock` says which. */
  readonly timeout: Duration
  readonly clock?: 'wall' | 'stream'
  /** What then: a dead letter (default), the result without a row, or nothing. Each is counted. */
  readonly onTimeout?: 'deadLetter' | 'emit' | 'drop'
  /** How many may wait in one task. Default: 100,000. */
  readonly maxRecords?: number
  /** What happens when one more would have to wait: that partition's input waits (default), the oldest goes as if its time were over, or the
   *  processor stops. */
  readonly onFull?: 'pause' | 'expireOldest' | 'fail'
}

/** Of a join that does not wait; tells the compiler which of the two it is. */
export interface Unbuffered {
  readonly buffer?: never
  readonly on?: never
}

export interface EmitsOnTimeout {
  readonly buffer: { readonly onTimeout: 'emit' }
}

export interface BufferingJoinByKeyOptions<T> extends StoreValueOptions<T>, OnErrorOptions {
  readonly buffer: BufferOptions
  readonly on?: never
}

export interface BufferingJoinByForeignKeyOptions<K, V, K2, T> extends StoreValueOptions<T>, OnErrorOptions {
  readonly buffer: BufferOptions
  /** The key of the row; null joins nothing. */
  readonly on: (value: NonNullable<V>, key: K) => K2 | null | undefined
}

export type BufferingJoinOptions<K, V, K2> = BufferingJoinByKeyOptions<unknown> | BufferingJoinByForeignKeyOptions<K, V, K2, unknown>

export function addBufferingJoin(
  left: Place,
  right: Place,
  type: 'inner' | 'left',
  joiner: unknown,
  options: BufferingJoinOptions<never, never, never>,
): Place {
  if (type === 'left') refuse('leftJoin', "a buffering join is join(...) with onTimeout: 'emit' for what found no row")
  const label = 'join'
  const known = checkOptions<Partial<BufferingJoinByForeignKeyOptions<never, never, never, unknown>>>(label, options, [
    'on',
    'buffer',
    'store',
    'value',
    'onError',
  ])
  if (known.buffer === undefined) refuse(label, "a join of a stream by foreign key needs a buffer, such as {buffer: {timeout: '1m'}}")
  const stream = serdesOf(left.node)
  const on = checkOptionalFunction(label, 'on', known.on)
  const body = {
    on,
    joiner: checkFunction(label, 'the joiner', joiner),
    buffering: checkBuffer(label, known.buffer),
    stream,
    tableKey: serdesOf(right.node).key,
    key: stream.key,
    value: checkSerde(label, 'value', known.value, json()),
    ...checkOnError(label, known.onError),
  }
  const { name, store } = claimStore(left.draft, label, known.store, RAW, RAW)
  return addNode(left.draft, name, [left, right], { kind: 'bufferingJoin', store, ...body, keyChanged: on !== null })
}

const CHOICES = {
  clock: ['wall', 'stream'],
  onTimeout: ['deadLetter', 'emit', 'drop'],
  onFull: ['pause', 'expireOldest', 'fail'],
} as const

export function checkBuffer(label: string, buffer: BufferOptions): Buffering {
  const known = checkOptions<BufferOptions>(`${label}: buffer`, buffer, ['timeout', 'clock', 'onTimeout', 'maxRecords', 'onFull'])
  const { timeout, clock, onTimeout = 'deadLetter', maxRecords = LIMITS.parkedRecordsMax, onFull = 'pause' } = known
  if (timeout === undefined) refuse(label, "name the buffer's timeout, such as {buffer: {timeout: '1m'}}")
  const timeoutMs = durationMs(timeout, `${label}: the buffer's timeout`)
  if (timeoutMs === 0) refuse(label, 'a timeout of 0 waits for nothing; leave the buffer out or name a longer one')
  for (const [name, value] of Object.entries({ clock, onTimeout, onFull })) {
    const choices: readonly string[] = CHOICES[name as keyof typeof CHOICES]
    if (value !== undefined && !choices.includes(value)) {
      refuse(label, `the buffer's ${name} must be ${choices.map((choice) => `'${choice}'`).join(' or ')}, not ${JSON.stringify(value)}`)
    }
  }
  if (!Number.isSafeInteger(maxRecords) || maxRecords < 1) {
    refuse(
      label,
      `the buffer's maxRecords must be a whole number above 0, not ${typeof maxRecords === 'number' ? maxRecords : given(maxRecords)}`,
    )
  }
  return { timeoutMs, clock: clock ?? 'either', onTimeout, recordsMax: maxRecords, onFull }
}
