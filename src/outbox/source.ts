// The port between the relay and a database: rows of an outbox table, read in an order in which those of one key are as they were committed.
// Adapters: sqlite.ts, postgres.ts. None of them ever writes to the database.
//
// 1. Every row that is committed comes behind exactly one position, whichever order the transactions began, wrote and ended in. Rows that were rolled
//    back never come.
// 2. A portion that is read again from the same position begins with the same rows, unless they were deleted or changed meanwhile.
// 3. A row that cannot be relayed is never left out: the portion ends before it and `refused` names it.
// 4. What may pass (no connection, a server that restarts, a lock) is thrown with the disposition `retry`; `open` is called again then.
import { MillraceError } from '../base/errors.ts'
import type { Headers } from '../base/record.ts'

export interface OutboxRow {
  /** As a person would name it in SQL. */
  readonly id: string
  readonly topic: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Headers
  /** Epoch ms; null: the table has none. */
  readonly timestamp: number | null
}

export interface Portion {
  readonly rows: readonly OutboxRow[]
  /** The position behind the first `count` rows: text that only the source reads. */
  behind(count: number): string
  /** Nothing more was committed when this was read. */
  readonly last: boolean
  /** Nothing is left behind it of what was committed when this source was asked first. */
  readonly endsStart: boolean
  readonly refused: MillraceError | null
}

export interface OutboxSource {
  /** For messages: never a password. */
  readonly name: string
  /** Connects and looks at the table; also after a failure. Answers whose rows these are: a position of another one says nothing here. */
  open(): Promise<string>
  /** Null: from the first row. */
  read(position: string | null, rowsMax: number): Promise<Portion>
  /** Resolves when rows may have come, at `wake`, or after `waitMs`. */
  news(waitMs: number): Promise<void>
  wake(): void
  close(): Promise<void>
}

/** The table, or a row of it: a person is needed. */
export function unfit(message: string, cause?: unknown): MillraceError {
  return new MillraceError('STREAM_OUTBOX', message, { cause })
}

/** The database: `passes` where it may be there again later. */
export function unreached(message: string, passes: boolean, cause?: unknown): MillraceError {
  return new MillraceError('STREAM_DATABASE', message, { cause, disposition: passes ? 'retry' : 'stop' })
}
