// How a command ends: the exit status of an error and its one line. Stacks only with --verbose.
import { CommanderError } from 'commander'
import { explain, MillraceError } from '../base/errors.ts'

export const DONE = 0
export const FAILED = 1
export const MISUSED = 2

export function statusOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? DONE : MISUSED
  return error instanceof MillraceError && error.disposition === 'usage' ? MISUSED : FAILED
}

/** What stderr is told; empty where help or the version was asked for. */
export function failureText(error: unknown, verbose: boolean): string {
  if (error instanceof CommanderError && error.code === 'commander.help' && error.exitCode !== 0)
    return 'millrace: which command of it? --help lists them\n'
  if (error instanceof CommanderError) return error.exitCode === 0 ? '' : `millrace: ${oneLine(error.message)}\n`
  const line = `millrace: ${explain(error)}\n`
  return verbose ? `${line}${stacks(error)}` : line
}

/** commander writes `error: unknown option '--x'`, a line feed, and `(Did you mean --y?)`. */
function oneLine(message: string): string {
  return message.replace(/^error: /, '').replaceAll(/\s*\n\s*/g, ' ')
}

function stacks(error: unknown): string {
  let text = ''
  for (let e: unknown = error, depth = 0; e instanceof Error && depth < 5; e = e.cause, depth++) text += `${e.stack ?? e.message}\n`
  return text
}
