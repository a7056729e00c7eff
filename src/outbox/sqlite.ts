// An outbox in a file of SQLite, by Node's own module. SQLite has one writing transaction at a time, and an id is given in it: the order of
// the ids is that of the commits, of all keys.
//
// 1. The file is opened to be read only. Node's warning that the module is experimental is not passed on; no other warning is held back.
// 2. Only AUTOINCREMENT never uses an id twice: another table is refused, since a row could come below a position.
// 3. A table that has handed out fewer ids than were relayed is another one, or an older copy: it is refused.
import { existsSync } from 'node:fs'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { explain, MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'
import { quietly } from './quietly.ts'
import { rowOf } from './row.ts'
import { type OutboxRow, type OutboxSource, type Portion, unfit, unreached } from './source.ts'
import { checkColumns, NEEDED, OPTIONAL, type TableName } from './table.ts'
import { type Waiting, waiting } from './waiting.ts'

export interface SqliteOptions {
  readonly file: string
  readonly table: TableName
  /** For rows that name none: the table needs no such column then. */
  readonly topic: string | null
  readonly world: World
}

/** Nothing else runs in this thread meanwhile; whoever writes may be in it. */
const BUSY_MS = 100

export function sqliteSource(options: SqliteOptions): OutboxSource {
  return new SqliteSource(options)
}

/** SQLITE_BUSY, SQLITE_LOCKED: somebody writes just now. */
const isBusy = (error: unknown): boolean => [5, 6].includes(((error as { readonly errcode?: number }).errcode ?? 0) & 0xff)

class SqliteSource implements OutboxSource {
  readonly name: string
  readonly #o: SqliteOptions
  readonly #wait: Waiting
  #database: DatabaseSync | null = null
  #select: StatementSync | null = null
  #handedOut: StatementSync | null = null
  /** Of the last row that was there when it was asked first; -1: it was not asked yet. */
  #startId = -1n

  constructor(options: SqliteOptions) {
    this.#o = options
    this.name = `${options.file}, table ${options.table.said}`
    this.#wait = waiting(options.world)
  }

  async open(): Promise<string> {
    await this.close()
    const { file, table, topic } = this.#o
    if (!existsSync(file)) throw unreached(`there is no database ${file}; give the file of an SQLite database`, false)
    const { DatabaseSync } = await quietly(() => import('node:sqlite'))
    return this.#asked(() => {
      const database = new DatabaseSync(file, { readOnly: true, timeout: BUSY_MS })
      this.#database = database
      const there = database.prepare("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?").get(table.bare)
      if (there === undefined)
        throw unfit(
          `${file} has no table ${table.said}; make it with what millrace outbox --ddl sqlite prints, or name another with --table`,
        )
      const columns = new Set(
        database
          .prepare(`SELECT name FROM pragma_table_info(?)`)
          .all(table.bare)
          .map(({ name }) => String(name)),
      )
      checkColumns(table, columns, topic === null ? [...NEEDED, 'topic'] : NEEDED, 'sqlite')
      if (!/\bAUTOINCREMENT\b/i.test(String(there.sql)))
        throw unfit(`column id of ${table.said} is not INTEGER PRIMARY KEY AUTOINCREMENT: ids would be used twice, and rows overlooked`)
      const names = [...NEEDED, ...OPTIONAL.filter((name) => columns.has(name)), ...(topic === null ? ['topic'] : [])]
      this.#select = database.prepare(
        `SELECT ${names.map((name) => `"${name}"`).join(', ')} FROM ${table.quoted} WHERE id > ? ORDER BY id LIMIT ?`,
      )
      this.#select.setReadBigInts(true)
      this.#handedOut = database.prepare('SELECT seq FROM sqlite_sequence WHERE name = ?')
      this.#handedOut.setReadBigInts(true)
      return `sqlite ${table.said}`
    })
  }

  async read(position: string | null, rowsMax: number): Promise<Portion> {
    const { table, topic, file } = this.#o
    const after = position === null ? 0n : BigInt(position)
    return this.#asked(() => {
      const [select, handedOut] = [this.#select, this.#handedOut]
      if (select === null || handedOut === null) throw unreached(`${file} is not open`, true)
      const highest = (handedOut.get(table.bare)?.seq ?? 0n) as bigint
      if (highest < after)
        throw unfit(
          `${this.name} has handed out ids up to ${highest}, and rows up to ${after} were relayed: it is another table, or an older copy; give a new one another --name`,
        )
      if (this.#startId < 0n) this.#startId = highest
      const rows: OutboxRow[] = []
      let bytes = 0
      let full = false
      let refused: MillraceError | null = null
      for (const found of select.iterate(after, rowsMax)) {
        try {
          const row = rowOf(table.said, { ...found, id: String(found.id), topic: topic ?? found.topic, key: found.key, value: found.value })
          bytes += (row.key?.length ?? 0) + (row.value?.length ?? 0)
          rows.push(row)
        } catch (error) {
          if (!(error instanceof MillraceError)) throw error
          refused = error
          break
        }
        full = bytes >= LIMITS.outboxBytesAtOnce
        if (full) break
      }
      const last = !full && rows.length < rowsMax
      return {
        rows,
        behind: (count) => (count === 0 ? String(after) : (rows[count - 1] as OutboxRow).id),
        last,
        endsStart: last || BigInt(rows.at(-1)?.id ?? after) >= this.#startId,
        refused,
      }
    })
  }

  news(waitMs: number): Promise<void> {
    return this.#wait.wait(waitMs)
  }

  wake(): void {
    this.#wait.wake()
  }

  async close(): Promise<void> {
    const database = this.#database
    this.#database = null
    this.#select = null
    this.#handedOut = null
    database?.close()
  }

  #asked<T>(ask: () => T): T {
    try {
      return ask()
    } catch (error) {
      if (error instanceof MillraceError) throw error
      throw unreached(`${this.name}: ${explain(error)}`, isBusy(error), error)
    }
  }
}
