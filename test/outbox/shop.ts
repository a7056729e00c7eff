// A shop's database for tests: an outbox in a file of SQLite, written as an application does it.
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { outboxDdl } from '../../src/outbox/ddl.ts'

export interface Placed {
  readonly topic: string
  readonly key: string | null
  readonly value: string | null
  readonly headers?: string | null
  readonly timestamp?: number
}

export interface Shop {
  readonly file: string
  readonly database: DatabaseSync
  /** In one transaction; rolled back if said so. */
  place(rows: readonly Placed[], commit?: boolean): void
  close(): void
}

export function openShop(file: string, ddl = outboxDdl('sqlite', 'outbox')): Shop {
  const database = new DatabaseSync(file)
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF')
  database.exec(ddl)
  const insert = (row: Placed): void => {
    const names = Object.keys(row)
    const marks = names.map(() => '?').join(', ')
    database.prepare(`INSERT INTO outbox (${names.join(', ')}) VALUES (${marks})`).run(...(Object.values(row) as SQLInputValue[]))
  }
  return {
    file,
    database,
    place(rows, commit = true) {
      database.exec('BEGIN IMMEDIATE')
      for (const row of rows) insert(row)
      database.exec(commit ? 'COMMIT' : 'ROLLBACK')
    },
    close: () => database.close(),
  }
}
