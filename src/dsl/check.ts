// Refuses users' mistakes where they are made, by the name of the operator. For those who write JavaScript, or cast.
import { MillraceError } from '../base/errors.ts'
import { checkName } from '../base/names.ts'
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
    const near = nearest(key, known)
    const hint = near === null ? `it knows ${known.join(', ')}` : `did you mean "${near}"?`
    refuse(operator, `unknown option ${JSON.stringify(key)}; ${hint}`)
  }
  return options
}

export function checkTopic(operator: string, topic: unknown): string {
  return checkName(topic, `${operator}: topic`)
}

/** The known word that is at most two edits away, or null. */
export function nearest(word: string, known: readonly string[]): string | null {
  let best: string | null = null
  let least = 3
  for (const candidate of known) {
    const distance = edits(word.toLowerCase(), candidate.toLowerCase())
    if (distance < least && distance < candidate.length) {
      least = distance
      best = candidate
    }
  }
  return best
}

/** Insertions, deletions, replacements and swaps of neighbours that turn a into b. */
function edits(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)]
  const at = (i: number, j: number) => rows[i]?.[j] ?? 0
  for (let i = 1; i <= a.length; i++) {
    rows.push([i])
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let cost = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, at(i - 2, j - 2) + 1)
      rows[i]?.push(cost)
    }
  }
  return at(a.length, b.length)
}
