// JSON as people type and read it <-> the bytes of a topic, through its serdes.
//
// 1. A null key or value is null bytes, both ways; a serde never sees it.
// 2. What a serde cannot write is refused (status 2); what it cannot read is still shown: as text if it is text, else as base64.
import { isUtf8 } from 'node:buffer'
import { asBuffer } from '../base/bytes.ts'
import { explain } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { NotYet } from '../base/not-yet.ts'
import type { Headers } from '../base/record.ts'
import type { AnySerde } from '../serde/serde.ts'
import { badLine } from './lines.ts'
import type { RecordLine } from './ndjson.ts'

export interface TopicSerdes {
  readonly key: AnySerde
  readonly value: AnySerde
}

export interface RecordBytes {
  readonly key: Buffer | null
  readonly value: Buffer | null
}

export function encodeRecord(line: RecordLine, serdes: TopicSerdes): RecordBytes {
  const key = encodeOne(line.key, serdes.key, line.number, 'key')
  const value = encodeOne(line.value, serdes.value, line.number, 'value')
  if (key !== null && key.length > LIMITS.keyBytesMax)
    throw badLine(line.number, `the key has ${key.length} bytes, over the limit of ${LIMITS.keyBytesMax}`)
  const bytes = (key?.length ?? 0) + (value?.length ?? 0)
  if (bytes > LIMITS.recordBytesMax) throw badLine(line.number, `the record has ${bytes} bytes, over the limit of ${LIMITS.recordBytesMax}`)
  return { key, value }
}

function encodeOne(json: unknown, serde: AnySerde, number: number, what: string): Buffer | null {
  if (json === null) return null
  try {
    return asBuffer(serde.encode(serde.fromJson === undefined ? json : serde.fromJson(json)))
  } catch (error) {
    throw badLine(number, `the ${what} is refused: ${explain(error)}`)
  }
}

export interface ShownRecord extends RecordBytes {
  readonly topic: string
  readonly timestamp: number
  readonly headers: Headers
}

/** The output line of a record, without its line end. */
export function showRecord(record: ShownRecord, serdes: TopicSerdes | null): string {
  const { topic, timestamp } = record
  const key = shown(record.key, serdes?.key)
  const value = shown(record.value, serdes?.value)
  const line: Record<string, unknown> = { topic, key, value, timestamp }
  if (record.headers.length > 0) line.headers = shownHeaders(record.headers)
  return jsonText(line)
}

/** A value as `query` shows it. */
export function shown(bytes: Buffer | null, serde: AnySerde | undefined): unknown {
  if (bytes === null) return null
  if (serde !== undefined) {
    try {
      const value = serde.decode(bytes)
      const json = serde.toJson === undefined ? value : serde.toJson(value)
      jsonText(json)
      return json ?? null
    } catch (error) {
      if (error instanceof NotYet) throw error
      // shown as it is, below
    }
  }
  return isUtf8(bytes) ? bytes.toString('utf8') : bytes.toString('base64')
}

function shownHeaders(headers: Headers): Record<string, string> {
  const text = Object.create(null) as Record<string, string>
  for (const [name, value] of headers) {
    text[name] = value === null ? '' : isUtf8(value) ? value.toString('utf8') : value.toString('base64')
  }
  return text
}

/** JSON, bigints (of custom serdes) as their digits. A function that replaces costs a call for each field: it is for those that need it. */
export function jsonText(value: unknown): string {
  try {
    return JSON.stringify(value)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    return JSON.stringify(value, exactBigint)
  }
}

function exactBigint(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}
