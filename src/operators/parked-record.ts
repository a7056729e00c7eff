// A record that waits, as it lies in a store or travels to where it waits: what it is, what it waits for, and where it came from, so that
// it can go on, or become a dead letter that can be replayed.
import type { Headers } from '../base/record.ts'
import type { AnySerde } from '../serde/serde.ts'
import { keyToBytes, valueToBytes } from './encode.ts'
import type { RecordContext, Site } from './operator.ts'
import { type Field, pack, unpack } from './packed.ts'

/** The input record, as the log had it. */
export interface Origin {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: Field
  readonly value: Field
}

export interface Arrival {
  readonly key: Field
  readonly value: Buffer
  readonly timestamp: number
  /** The keys of what it waits for. */
  readonly waitsFor: readonly Buffer[]
  readonly headers: Headers
  readonly origin: Origin
}

export interface Parked extends Arrival {
  /** Counts what was parked in this task. */
  readonly sequence: number
  /** Wall clock and stream time when it was parked. */
  readonly parkedAtMs: number
  readonly parkedAtStreamMs: number
}

const NUMBERS = 10
const SAME_KEY = 1
const SAME_VALUE = 2

/** The record that is being processed. The input's bytes are kept apart only where an operator has changed them. */
export function arrivalOf(
  site: Site,
  serdes: { readonly key: AnySerde; readonly value: AnySerde },
  key: unknown,
  value: unknown,
  timestamp: number,
  waitsFor: readonly Buffer[],
): Arrival {
  const { context } = site
  const keyBytes = keyToBytes(site, serdes.key, key)
  const valueBytes = valueToBytes(site, serdes.value, value) as Buffer
  return { key: keyBytes, value: valueBytes, timestamp, waitsFor, headers: context.headers, origin: originOf(context) }
}

function originOf({ topic, partition, offset, recordTimestamp, keyBytes, valueBytes }: RecordContext): Origin {
  return { topic, partition, offset, timestamp: recordTimestamp, key: keyBytes, value: valueBytes }
}

/** What follows sees where the record came from, and what it was: it may be parked again. */
export function asArrived(context: RecordContext, { origin, headers, timestamp }: Arrival): void {
  const { topic, partition, offset, key, value } = origin
  Object.assign(context, { topic, partition, offset, headers, timestamp, recordTimestamp: origin.timestamp })
  Object.assign(context, { keyBytes: key, keySerde: null, valueBytes: value, valueSerde: null })
}

export function encodeParked(record: Parked): Buffer {
  const { key, value, timestamp, waitsFor, headers, origin, sequence, parkedAtMs, parkedAtStreamMs } = record
  const sameKey = same(key, origin.key)
  const sameValue = same(value, origin.value)
  const flags = (sameKey ? SAME_KEY : 0) | (sameValue ? SAME_VALUE : 0)
  const numbers = [sequence, parkedAtMs, parkedAtStreamMs, timestamp, origin.partition, origin.offset, origin.timestamp]
  const fields: Field[] = [key, value, Buffer.from(origin.topic), sameKey ? null : origin.key, sameValue ? null : origin.value, ...waitsFor]
  for (const [name, header] of headers) fields.push(Buffer.from(name), header)
  return pack([...numbers, flags, waitsFor.length, headers.length], fields)
}

export function decodeParked(bytes: Buffer): Parked {
  const { numbers, fields } = unpack(bytes, NUMBERS)
  const [sequence, parkedAtMs, parkedAtStreamMs, timestamp, partition, offset, originTimestamp, flags, waits] = numbers as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const [key = null, value = null, topic = null, originKey = null, originValue = null] = fields
  const headers: (readonly [string, Field])[] = []
  for (let i = 5 + waits; i + 1 < fields.length; i += 2) headers.push([String(fields[i]), fields[i + 1] as Field])
  return {
    key,
    value: value as Buffer,
    timestamp,
    waitsFor: fields.slice(5, 5 + waits) as Buffer[],
    headers,
    origin: {
      topic: String(topic),
      partition,
      offset,
      timestamp: originTimestamp,
      key: (flags & SAME_KEY) !== 0 ? key : originKey,
      value: (flags & SAME_VALUE) !== 0 ? value : originValue,
    },
    sequence,
    parkedAtMs,
    parkedAtStreamMs,
  }
}

function same(a: Field, b: Field): boolean {
  return a === b || (a !== null && b !== null && a.equals(b))
}
