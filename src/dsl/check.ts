// Refuses users' mistakes where they are made, by the name of the operator. For those who write JavaScript, or cast.
import { ERROR_POLICIES, type ErrorPolicy } from '../base/error-policy.ts'
import { MillraceError } from '../base/errors.ts'
import { checkName } from '../base/names.ts'
import { closest } from '../base/suggest.ts'
import type { AnySerde } from '../serde/serde.ts'
import type { Fn } from '../topology/node.ts'

export function refuse(operator: string, message: string): never {
  throw new MillraceError('STREAM_TOPOLOGY', `${operator}: ${message}`)
}

/** What was given, for a message: `undefined`, `a string`, `an array`, `a Stream`. */
export function given(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object') {
    const name = value.constructor?.name
    return name === undefined || name === 'Object' ? 'an object' : `a ${name}`
  }
  return `a ${typeof value}`
}

export function checkFunction(operator: string, what: string, value: unknown): Fn {
  if (typeof value === 'function') return value as Fn
  return refuse(operator, `${what} must be a function, not ${given(value)}`)
}

export function checkOptionalFunction(operator: string, what: string, value: unknown): Fn | null {
  return value === undefined ? null : checkFunction(operator, what, value)
}

/** The serde, or the fallback when none was named. */
export function checkSerde(operator: string, what: string, value: unknown, fallback: AnySerde): AnySerde {
  if (value === undefined) return fallback
  if (typeof value === 'object' && value !== null && 'encode' in value && 'decode' in value) {
    if (typeof value.encode === 'function' && typeof value.decode === 'function') return value as AnySerde
  }
  const hint = typeof value === 'function' ? '; call it: string(), json(), ...' : ''
  return refuse(operator, `${what} must be a serde with encode and decode, not ${given(value)}${hint}`)
}

/** The options as a record; refuses what is no object and keys that the operator does not know. */
export function checkOptions<O extends object>(operator: string, options: O | undefined, known: readonly string[]): Partial<O> {
  if (options === undefined) return {}
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    return refuse(operator, `options must be an object like {${known.join(', ')}}, not ${given(options)}`)
  }
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue
    if (key === 'blockKey') refuse(operator, BLOCK_KEY)
    refuse(operator, `unknown option ${JSON.stringify(key)}${closest(key, known) || `; it knows ${known.join(', ')}`}`)
  }
  return options
}

const BLOCK_KEY =
  "blockKey is not for one operator: the whole application keeps keys waiting, with the processor's onError: {blockKey: true}"

/** What a node says of errors, to be spread into it; nothing: the application's policies hold. */
export function checkOnError(operator: string, onError: unknown): { readonly onError?: ErrorPolicy } {
  if (onError === undefined) return {}
  const policy = ERROR_POLICIES.find((one) => one === onError)
  if (policy !== undefined) return { onError: policy }
  if (typeof onError === 'object' && onError !== null && 'blockKey' in onError) refuse(operator, BLOCK_KEY)
  const shown = typeof onError === 'string' ? JSON.stringify(onError) : given(onError)
  return refuse(operator, `onError must be 'deadLetter', 'skip' or 'fail', not ${shown}`)
}

export function checkTopic(operator: string, topic: unknown): string {
  return checkName(topic, `${operator}: topic`)
}
