// `mapAsync`: its options checked, and put below a stream.
import { type Duration, durationMs } from '../base/duration.ts'
import { LIMITS } from '../base/limits.ts'
import { json } from '../serde/json.ts'
import type { Calling, Fn } from '../topology/node.ts'
import { RAW } from '../topology/raw.ts'
import { checkFunction, checkOptionalFunction, checkOptions, checkSerde, given, refuse } from './check.ts'
import { addNode, claimStore, type Place } from './draft.ts'
import { serdesOf } from './place.ts'
import type { StoreValueOptions } from './types.ts'

/** What a function that is called gets beside value and key. */
export interface AsyncCall {
  /** The same for each call of one record, also after a crash; another for each record. */
  readonly idempotencyKey: string
  /** Aborted when the call's time is over, or the task closes. */
  readonly signal: AbortSignal
}

export interface RetryOptions {
  /** How often a record is tried, the first time included. */
  readonly attempts: number
  /** Before the second try; twice as long before each further one, and up to half of it less by chance. Default: 1 s. */
  readonly backoff?: Duration
}

export interface MapAsyncOptions<K, V, R, T> extends StoreValueOptions<T> {
  /** Calls under way in one task at most. Default: 16. */
  readonly concurrency?: number
  /** Whether records of one key are called for one at a time, in their order (default). */
  readonly order?: 'key' | 'none'
  /** A record that it accepts waits for none of its key, and none for it. */
  readonly unordered?: (value: V) => boolean
  /** Of one call, from its start. Default: 30 s. */
  readonly timeout?: Duration
  /** For calls that fail; one whose time is over is not tried again. Default: one try. */
  readonly retry?: RetryOptions
  /** What becomes of a record whose call has failed for good: a dead letter (default), nothing, the end of the processor, or a result of your own. */
  readonly onError?: 'deadLetter' | 'skip' | 'fail' | ((value: V, key: K, error: unknown) => R)
  /** Records that may wait or be called for in one task; then the partition's input waits. Default: 100,000. */
  readonly maxRecords?: number
}

const KNOWN = ['store', 'value', 'concurrency', 'order', 'unordered', 'timeout', 'retry', 'onError', 'maxRecords'] as const
const LABEL = 'mapAsync'

export function addMapAsync(stream: Place, fn: unknown, options: MapAsyncOptions<never, never, unknown, unknown> | undefined): Place {
  const known = checkOptions(LABEL, options, KNOWN)
  const { order = 'key' } = known
  if (order !== 'key' && order !== 'none') refuse(LABEL, `order must be 'key' or 'none', not ${JSON.stringify(order)}`)
  const own = serdesOf(stream.node)
  const body = {
    fn: checkFunction(LABEL, 'what it calls', fn),
    calling: Object.freeze({
      concurrency: count('concurrency', known.concurrency ?? LIMITS.callsAtOnce, LIMITS.callsAtOnceMax),
      ordered: order === 'key',
      unordered: checkOptionalFunction(LABEL, 'unordered', known.unordered),
      timeoutMs: time('timeout', known.timeout, LIMITS.callTimeoutMs),
      ...retrying(known.retry),
      onError: checkOnError(known.onError),
      recordsMax: count('maxRecords', known.maxRecords ?? LIMITS.parkedRecordsMax, Number.MAX_SAFE_INTEGER),
    }),
    stream: own,
    key: own.key,
    value: checkSerde(LABEL, 'value', known.value, json()),
  }
  const { name, store } = claimStore(stream.draft, LABEL, known.store, RAW, RAW)
  const keyChanged = order === 'none' && stream.node.keyChanged
  return addNode(stream.draft, name, [stream], { kind: LABEL, store, ...body, keyChanged })
}

function retrying(retry: RetryOptions | undefined): Pick<Calling, 'attempts' | 'backoffMs'> {
  if (retry === undefined) return { attempts: 1, backoffMs: LIMITS.callBackoffMs }
  const { attempts, backoff } = checkOptions(`${LABEL}: retry`, retry, ['attempts', 'backoff'])
  if (attempts === undefined) refuse(LABEL, 'name how often a record is tried, such as {retry: {attempts: 3}}')
  return {
    attempts: count("retry's attempts", attempts, Number.MAX_SAFE_INTEGER),
    backoffMs: time("retry's backoff", backoff, LIMITS.callBackoffMs, true),
  }
}

function checkOnError(onError: unknown): Calling['onError'] {
  if (onError === undefined) return null
  if (typeof onError === 'function') return onError as Fn
  if (onError === 'deadLetter' || onError === 'skip' || onError === 'fail') return onError
  return refuse(LABEL, `onError must be 'deadLetter', 'skip', 'fail' or a function, not ${JSON.stringify(onError) ?? given(onError)}`)
}

function count(what: string, value: unknown, max: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= max) return value as number
  const shown = typeof value === 'number' ? value : given(value)
  const range = max === Number.MAX_SAFE_INTEGER ? 'above 0' : `from 1 to ${max}`
  return refuse(LABEL, `${what} must be a whole number ${range}, not ${shown}`)
}

function time(what: string, value: Duration | undefined, otherwiseMs: number, mayBeZero = false): number {
  if (value === undefined) return otherwiseMs
  const ms = durationMs(value, `${LABEL}: ${what}`)
  if (ms === 0 && !mayBeZero) refuse(LABEL, `a ${what} of 0 leaves no time for an answer`)
  return ms
}
