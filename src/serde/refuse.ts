// The errors of serdes. They name the serde and the type of what came, never the value: keys and values are not logged.
import { MillraceError } from '../base/errors.ts'

/** What a value is, for messages: 'null', 'array', 'Buffer', 'string', ... Never its content. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (typeof value === 'number')
    return Number.isInteger(value) ? 'number' : Number.isFinite(value) ? 'number with a fraction' : String(value)
  if (typeof value !== 'object') return typeof value
  if (Array.isArray(value)) return 'array'
  if (Buffer.isBuffer(value)) return 'Buffer'
  return value instanceof Uint8Array ? 'Uint8Array' : 'object'
}

/** A value that the serde cannot write. */
export function refuseValue(serde: string, expected: string, value: unknown): MillraceError {
  return new MillraceError('STREAM_SERDE', `${serde}: expected ${expected}, got ${kindOf(value)}`)
}

/** Bytes that the serde cannot read. */
export function refuseBytes(serde: string, reason: string, cause?: unknown): MillraceError {
  return new MillraceError('STREAM_SERDE', `${serde}: ${reason}`, cause === undefined ? {} : { cause })
}

/** Bytes of a length that the serde never writes. */
export function refuseLength(serde: string, expected: number, got: number): MillraceError {
  return new MillraceError('STREAM_SERDE', `${serde}: expected ${expected} byte${expected === 1 ? '' : 's'}, got ${got}`)
}
