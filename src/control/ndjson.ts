// The lines of `try` and `produce`: one JSON object each, a record or a command. Reads and checks them; encodes no value.
//
// 1. A line is taken whole or refused whole, with its number and the name of what is wrong; keys and values are never quoted.
// 2. No number is taken that JSON.parse has rounded to another whole number.
// 3. What it returns has no inherited names: fields are read one by one, headers as a list.
import { durationMs } from '../base/duration.ts'
import { explain } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { type Headers, NO_HEADERS } from '../base/record.ts'
import { closest } from '../base/suggest.ts'
import { badLine, type Line, lineText } from './lines.ts'

export interface RecordLine {
  readonly kind: 'record'
  readonly number: number
  readonly topic: string
  /** JSON, for the serde's `fromJson`. */
  readonly key: unknown
  readonly value: unknown
  readonly timestamp: number | null
  readonly partition: number | null
  readonly headers: Headers
}

export type InputLine =
  | RecordLine
  | { readonly kind: 'advance'; readonly number: number; readonly ms: number }
  | { readonly kind: 'commit' | 'crash' | 'reset'; readonly number: number }

const FIELDS = ['topic', 'key', 'value', 'timestamp', 'partition', 'headers']
const COMMANDS = ['advance', 'commit', 'crash', 'reset']

/** Null for an empty line. */
export function parseLine(line: Line): InputLine | null {
  const text = lineText(line)
  if (text === '') return null
  const { number } = line
  const object = parseObject(text, number)
  const names = Object.keys(object)
  if (Object.hasOwn(object, 'topic')) return record(object, names, number)
  const command = names.find((name) => COMMANDS.includes(name))
  if (command !== undefined) {
    const other = names.find((name) => name !== command)
    if (other !== undefined) throw badLine(number, `unknown field ${JSON.stringify(other)} beside the command "${command}"`)
    return parseCommand(command, object[command], number)
  }
  const odd = names.find((name) => !FIELDS.includes(name))
  if (odd === undefined) throw badLine(number, 'no "topic" and no command (advance, commit, crash, reset)')
  throw badLine(number, `unknown field or command ${JSON.stringify(odd)}${closest(odd, [...FIELDS, ...COMMANDS])}`)
}

function parseCommand(command: string, argument: unknown, number: number): InputLine {
  if (command !== 'advance') {
    if (argument !== true) throw badLine(number, `"${command}" takes true and nothing else`)
    return { kind: command as 'commit' | 'crash' | 'reset', number }
  }
  try {
    return { kind: 'advance', number, ms: durationMs(argument as string, 'advance') }
  } catch (error) {
    throw badLine(number, explain(error))
  }
}

function record(object: Record<string, unknown>, names: readonly string[], number: number): RecordLine {
  const odd = names.find((name) => !FIELDS.includes(name))
  if (odd !== undefined) throw badLine(number, `unknown field ${JSON.stringify(odd)}${closest(odd, FIELDS)}`)
  const { topic, timestamp, partition } = object
  if (typeof topic !== 'string' || topic === '') throw badLine(number, '"topic" must be text')
  if (!Object.hasOwn(object, 'value')) throw badLine(number, '"value" is missing (null is a tombstone)')
  if (timestamp !== undefined && !isCount(timestamp)) throw badLine(number, '"timestamp" must be whole milliseconds, 0 or more')
  if (partition !== undefined && !isCount(partition)) throw badLine(number, '"partition" must be a whole number, 0 or more')
  return {
    kind: 'record',
    number,
    topic,
    key: object.key ?? null,
    value: object.value,
    timestamp: timestamp ?? null,
    partition: partition ?? null,
    headers: parseHeaders(object.headers, number),
  }
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0 && !Object.is(value, -0)

function parseHeaders(headers: unknown, number: number): Headers {
  if (headers === undefined) return NO_HEADERS
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers))
    throw badLine(number, '"headers" must be an object of texts')
  return Object.entries(headers).map(([name, value]) => {
    if (typeof value !== 'string') throw badLine(number, `header ${JSON.stringify(name)} must be text`)
    return [name, Buffer.from(value, 'utf8')] as const
  })
}

function parseObject(text: string, number: number): Record<string, unknown> {
  if (text.length > LIMITS.jsonBytesMax && Buffer.byteLength(text) > LIMITS.jsonBytesMax)
    throw badLine(number, `JSON longer than the limit of ${LIMITS.jsonBytesMax} bytes`)
  // The object of the line itself is one level more than its values may have.
  if (isDeeper(text, LIMITS.jsonDepthMax + 1)) throw badLine(number, `JSON nested deeper than the limit of ${LIMITS.jsonDepthMax}`)
  let value: unknown
  try {
    value = LONG_NUMBER.test(text) ? parseExactly(text) : JSON.parse(text)
  } catch (error) {
    if (error instanceof Inexact) throw badLine(number, error.message)
    const at = /at position (\d+)/.exec((error as Error).message)
    throw badLine(number, at === null ? 'not JSON' : `not JSON (column ${Number(at[1]) + 1})`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badLine(number, 'not a JSON object')
  return value as Record<string, unknown>
}

/** Whether any JSON number here may be beyond 2^53 or infinite; text that looks like one only costs the slower way. */
const LONG_NUMBER = /\d{16}|\de\+?\d\d/i

class Inexact extends Error {}

function parseExactly(text: string): unknown {
  return JSON.parse(text, (_name, value, context?: { readonly source?: string }) => {
    if (typeof value !== 'number') return value
    const source = context?.source ?? ''
    if (!Number.isFinite(value)) throw new Inexact('a number beyond what a double can hold')
    const whole = /^-?\d+$/.test(source)
    if (whole && !Number.isSafeInteger(value) && String(value) !== source && BigInt(value) !== BigInt(source))
      throw new Inexact('a whole number beyond 2^53 would be rounded: write its digits as text')
    return value
  })
}

/** True when brackets outside of strings are nested deeper than this. Counts only where there are enough of them. */
function isDeeper(text: string, depthMax: number): boolean {
  let openers = 0
  for (let at = 0; at < text.length && openers <= depthMax; at++) {
    const c = text.charCodeAt(at)
    if (c === 0x5b || c === 0x7b) openers++
  }
  if (openers <= depthMax) return false
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const c = text.charCodeAt(at)
    if (c === 0x22) {
      for (at++; at < text.length && text.charCodeAt(at) !== 0x22; at++) if (text.charCodeAt(at) === 0x5c) at++
    } else if (c === 0x5b || c === 0x7b) {
      if (++depth > depthMax) return true
    } else if (c === 0x5d || c === 0x7d) depth--
  }
  return false
}
