// The one validator of topic, store, application and operator names. They become directory and topic names, so nothing that
// could leave a directory or clash on a file system that folds case gets through.
import { MillraceError } from './errors.ts'

const NAME = /^[A-Za-z0-9._-]{1,200}$/

export function isName(name: string): boolean {
  return NAME.test(name) && name !== '.' && name !== '..'
}

/** Returns the name; throws STREAM_NAME with what it is for ("store", "topic") and the rule. */
export function checkName(name: unknown, what: string): string {
  if (typeof name === 'string' && isName(name)) return name
  throw new MillraceError(
    'STREAM_NAME',
    `${what} name ${JSON.stringify(name)} is not allowed: use 1 to 200 of A-Z a-z 0-9 . _ - and not "." or ".."`,
  )
}
