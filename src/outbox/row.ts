// What a database gives for a row becomes a record, or is refused by its name. Pure; knows neither of the databases.
import type { MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { isName } from '../base/names.ts'
import { type Headers, NO_HEADERS, recordBytes } from '../base/record.ts'
import { type OutboxRow, unfit } from './source.ts'

/** The columns of a row as they were read; undefined: the table has no such column. */
export interface Columns {
  readonly id: string
  readonly topic: unknown
  readonly key: unknown
  readonly value: unknown
  readonly headers?: unknown
  readonly timestamp?: unknown
}

const CURE = 'mend the row or delete it, then start the relay again: nothing behind it was relayed'

/** Throws STREAM_OUTBOX with the row's name, what is wrong and the cure. */
export function rowOf(table: string, columns: Columns): OutboxRow {
  const { id } = columns
  const refuse = (what: string): MillraceError => unfit(`row ${id} of ${table}: ${what}; ${CURE}`)
  const bytes = (name: 'key' | 'value'): Buffer | null => {
    const found = columns[name]
    if (found === null) return null
    if (typeof found === 'string') return Buffer.from(found, 'utf8')
    if (found instanceof Uint8Array) return Buffer.from(found.buffer, found.byteOffset, found.byteLength)
    throw refuse(`its ${name} is a ${typeof found}, neither text nor bytes`)
  }
  const { topic } = columns
  if (typeof topic !== 'string' || !isName(topic)) throw refuse(`its topic ${JSON.stringify(topic)} is no name of a topic`)
  const row = {
    id,
    topic,
    key: bytes('key'),
    value: bytes('value'),
    headers: headersOf(columns.headers, refuse),
    timestamp: timeOf(columns.timestamp, refuse),
  }
  const size = recordBytes(row.key, row.value, row.headers)
  if (size > LIMITS.recordBytesMax) throw refuse(`it has ${size} bytes, a record takes ${LIMITS.recordBytesMax}`)
  return row
}

type Refuse = (what: string) => MillraceError

function timeOf(found: unknown, refuse: Refuse): number | null {
  if (found === undefined || found === null) return null
  const ms = typeof found === 'string' && /^\d{1,16}$/.test(found) ? Number(found) : typeof found === 'bigint' ? Number(found) : Number.NaN
  if (Number.isSafeInteger(ms) && ms >= 0) return ms
  throw refuse(`its timestamp ${String(found)} is no time in ms since 1970`)
}

function headersOf(found: unknown, refuse: Refuse): Headers {
  if (found === undefined || found === null) return NO_HEADERS
  let parsed: unknown
  try {
    parsed = typeof found === 'string' ? JSON.parse(found) : found
  } catch {
    parsed = undefined
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed) || parsed instanceof Uint8Array)
    throw refuse('its headers are no JSON object such as {"name":"text"}')
  return Object.entries(parsed).map(([name, text]) => {
    if (text !== null && typeof text !== 'string') throw refuse(`its header ${name} is neither text nor null`)
    return [name, text === null ? null : Buffer.from(text, 'utf8')] as const
  })
}
