// The words on the control socket of a state directory: one JSON object a line, requests one way, answers the other. Local, mode
// 0600, between a process and whoever may read its files anyway.
//
// 1. A request is answered by any number of `lines` and exactly one `ok` or `error`; then the next may come.
// 2. Records travel as the lines that people see: the process that owns the log knows the serdes.
import { type ErrorCode, explain, MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { type DeadLetterAsk, isDeadLetterAsk } from './dead-letter-ask.ts'
import type { ProcessFigures } from './figures.ts'
import type { Line } from './lines.ts'
import type { RowsAsk } from './rows.ts'

export const SOCKET_NAME = 'control.sock'
/** A request holds lines of this many bytes, or one line that is longer. As JSON text a byte takes six at most. */
export const REQUEST_BYTES = 256 * 1024
export const FRAME_BYTES_MAX = 6 * LIMITS.lineBytesMax + 1024 * 1024

export type Request =
  | { readonly op: 'produce'; readonly lines: readonly (readonly [number: number, text: string])[] }
  | { readonly op: 'consume'; readonly topic: string; readonly follow: boolean }
  | { readonly op: 'query'; readonly store: string; readonly key: string }
  | { readonly op: 'rows'; readonly store: string; readonly ask: RowsAsk; readonly limit: number }
  | { readonly op: 'deadLetters'; readonly ask: DeadLetterAsk }
  | { readonly op: 'figures' }

export type Answer =
  | { readonly lines: readonly string[] }
  | { readonly ok: true; readonly row?: { readonly value: unknown }; readonly figures?: ProcessFigures }
  | { readonly error: { readonly code: ErrorCode; readonly message: string } }

/** What the owner of a log does for others. */
export interface ControlHandler {
  /** Durable when it resolves. A line that is refused is named by its number; those before it are durable. */
  produce(lines: readonly Line[]): Promise<void>
  /** The committed records of a topic, as output lines, up to the present end; with `follow` until the signal. */
  consume(topic: string, follow: boolean, signal: AbortSignal): AsyncIterable<readonly string[]>
  /** The committed row of a key, as JSON; null: there is none. */
  query(store: string, key: string): Promise<{ readonly value: unknown } | null>
  /** Rows of a store as lines of JSON, `limit` at most. */
  rows(store: string, ask: RowsAsk, limit: number): AsyncIterable<readonly string[]>
  /** Dead letters as lines of JSON; of those that are replayed or dropped, how many with each commit, and which could not be. */
  deadLetters(ask: DeadLetterAsk, signal: AbortSignal): AsyncIterable<readonly string[]>
  /** Of the process that runs; refused where none does. */
  figures(): Promise<ProcessFigures>
}

export function frame(message: Request | Answer): string {
  return `${JSON.stringify(message)}\n`
}

export function parseRequest(text: string): Request {
  const request = parse(text)
  const { op } = request
  if (op === 'produce' && Array.isArray(request.lines) && request.lines.every(isNumberedLine)) return request as unknown as Request
  if (op === 'consume' && typeof request.topic === 'string' && typeof request.follow === 'boolean') return request as unknown as Request
  if (op === 'query' && typeof request.store === 'string' && typeof request.key === 'string') return request as unknown as Request
  if (op === 'rows' && typeof request.store === 'string' && isAsk(request.ask) && Number.isSafeInteger(request.limit))
    return request as unknown as Request
  if (op === 'figures') return { op }
  if (op === 'deadLetters' && isDeadLetterAsk(request.ask)) return request as unknown as Request
  throw new MillraceError('STREAM_USAGE', `control socket: a request that this version does not know (${String(op)})`)
}

export function parseAnswer(text: string): Answer {
  return parse(text) as unknown as Answer
}

export function errorAnswer(error: unknown): Answer {
  return { error: { code: error instanceof MillraceError ? error.code : 'STREAM_INTERNAL', message: explain(error) } }
}

function parse(text: string): Record<string, unknown> {
  let message: unknown
  try {
    message = JSON.parse(text)
  } catch (error) {
    throw new MillraceError('STREAM_USAGE', 'control socket: not JSON', { cause: error })
  }
  if (typeof message === 'object' && message !== null && !Array.isArray(message)) return message as Record<string, unknown>
  throw new MillraceError('STREAM_USAGE', 'control socket: not a message')
}

const TEXTS = ['key', 'keyFrom', 'keyTo', 'prefix']

function isAsk(ask: unknown): boolean {
  if (typeof ask !== 'object' || ask === null) return false
  const { form, ...fields } = ask as Record<string, unknown>
  if (form !== 'range' && form !== 'windows' && form !== 'versions' && form !== 'asOf') return false
  if ((form === 'versions' || form === 'asOf') && typeof fields.key !== 'string') return false
  if (form === 'asOf' && !Number.isSafeInteger(fields.at)) return false
  return Object.entries(fields).every(([name, value]) =>
    TEXTS.includes(name) || (form === 'range' && name !== 'at') ? typeof value === 'string' : Number.isSafeInteger(value),
  )
}

function isNumberedLine(line: unknown): boolean {
  return Array.isArray(line) && line.length === 2 && Number.isSafeInteger(line[0]) && typeof line[1] === 'string'
}
