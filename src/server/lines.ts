// Records as an answer shows them: so many, so many bytes, and none of them long.
import { LIMITS } from '../base/limits.ts'

export interface Lines {
  /** False: there is no room for it; the answer says that there are more. */
  add(line: string): boolean
  /** `{"<name>": [...], "more": ...}`. */
  text(name: string): string
}

export function linesOf(max: number): Lines {
  const taken: string[] = []
  let bytes = 0
  let more = false
  return {
    add(line) {
      more = taken.length >= max || (taken.length > 0 && bytes + line.length > LIMITS.answerBytesMax)
      if (more) return false
      taken.push(line)
      bytes += line.length
      return true
    },
    text: (name) => `{"${name}":[${taken.join(',')}],"more":${more}}`,
  }
}

const SHORT = 1_000

/** The line of a record; a long one without its value, `bare` without all that the record holds. */
export function boundedLine(line: string, bare: boolean): string {
  if (!bare && line.length <= LIMITS.letterBytesShownMax) return line
  const { key, value: _value, message, ...rest } = JSON.parse(line) as Readonly<Record<string, unknown>>
  if (bare) return JSON.stringify({ ...rest, bare: true })
  const told = typeof message === 'string' ? { message: message.slice(0, SHORT) } : {}
  return JSON.stringify({ ...rest, key: JSON.stringify(key).length <= SHORT ? key : null, ...told, cut: true })
}
