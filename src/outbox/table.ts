// The name of the table, as it is said and as SQL takes it, and which columns a relay needs. Pure.
import { MillraceError } from '../base/errors.ts'
import { unfit } from './source.ts'

export const TABLE = 'outbox'

export interface TableName {
  /** As it was said. */
  readonly said: string
  /** In quotes, so that no word in it is SQL. */
  readonly quoted: string
  /** The last part. */
  readonly bare: string
}

export function tableName(said: string): TableName {
  const parts = said.split('.')
  if (parts.length > 2 || !parts.every((part) => /^[A-Za-z_][A-Za-z0-9_$]{0,62}$/.test(part)))
    throw new MillraceError('STREAM_USAGE', `table ${JSON.stringify(said)} is no name of a table: write outbox, or schema.outbox`)
  return { said, quoted: parts.map((part) => `"${part}"`).join('.'), bare: parts.at(-1) as string }
}

export const NEEDED = ['id', 'key', 'value'] as const
export const OPTIONAL = ['headers', 'timestamp'] as const

/** Refuses a table by the names of what it lacks. `kind` is the word of `--ddl`. */
export function checkColumns(table: TableName, there: ReadonlySet<string>, needed: readonly string[], kind: string): void {
  const missing = needed.filter((name) => !there.has(name))
  if (missing.length === 0) return
  const topic = missing.includes('topic') ? ' (or name one topic for all rows with --topic)' : ''
  throw unfit(
    `table ${table.said} has no column ${missing.join(', ')}${topic}; it has ${[...there].join(', ')}. What it should be: millrace outbox --ddl ${kind}`,
  )
}
