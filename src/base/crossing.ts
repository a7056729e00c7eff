// What crosses between threads of a process as plain data, whoever they are: errors, and lines of the log. Never a function, never a class.
import { type ErrorCode, explain, MillraceError } from './errors.ts'
import type { Logger } from './ports.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export interface LogLine {
  readonly kind: 'log'
  readonly level: LogLevel
  readonly fields: object
  readonly message: string
}

export interface ErrorWords {
  readonly name: string
  readonly message: string
  readonly stack: string | null
  readonly code: ErrorCode | null
  readonly disposition: MillraceError['disposition'] | null
  readonly cause: ErrorWords | null
}

const CAUSES_MAX = 5

export function errorWords(error: unknown, depth = 0): ErrorWords {
  const known = error instanceof Error
  const cause = known && error.cause !== undefined && error.cause !== null && depth < CAUSES_MAX ? errorWords(error.cause, depth + 1) : null
  const ours = error instanceof MillraceError ? error : null
  return {
    name: known ? error.name : 'Error',
    message: known ? error.message : explain(error),
    stack: known ? (error.stack ?? null) : null,
    code: ours?.code ?? null,
    disposition: ours?.disposition ?? null,
    cause,
  }
}

export function errorOf(words: ErrorWords): Error {
  const { name, message, stack, code, disposition } = words
  const cause = words.cause === null ? {} : { cause: errorOf(words.cause) }
  const error =
    code === null
      ? new Error(message, cause)
      : new MillraceError(code, message, { ...cause, ...(disposition === null ? {} : { disposition }) })
  error.name = name
  if (stack !== null) error.stack = stack
  return error
}

/** A logger whose lines are told to another thread. */
export function loggerTo(tell: (line: LogLine) => void): Logger {
  const at =
    (level: LogLevel) =>
    (fields: object, message: string): void => {
      try {
        tell({ kind: 'log', level, fields, message })
      } catch {
        // something in it that does not cross
        const plain = Object.entries(fields).map(([name, value]) => [name, value instanceof Error ? explain(value) : String(value)])
        tell({ kind: 'log', level, fields: Object.fromEntries(plain) as object, message })
      }
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}
