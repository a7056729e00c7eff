// An outbox in PostgreSQL, by the package `pg`, which is loaded when it is needed. Where notifications come (the trigger of `--ddl`) it is woken by
// them; it looks by itself all the same.
//
// 1. The position is two snapshots and an id: all that the first sees is relayed, and of what the second sees all up to the id.
// 2. A table that could hide a row is refused: one without xid or with empty ones, ids that may come twice, transaction ids of another server, row
//    security that holds for the relay's user.
// 3. A standby is not read: it does not know which transactions are open.
import type { Client } from 'pg'
import { explain, MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'
import { CHANNEL } from './ddl.ts'
import { failureOf, shown } from './postgres-failure.ts'
import { CACHED, COLUMNS, IDENTITY, NO_ID, NO_SNAPSHOT, queriesOf, type Queries, SERVER } from './postgres-sql.ts'
import { rowOf } from './row.ts'
import { type OutboxRow, type OutboxSource, type Portion, unfit, unreached } from './source.ts'
import { checkColumns, NEEDED, type TableName } from './table.ts'
import { type Waiting, waiting } from './waiting.ts'

export interface PostgresOptions {
  readonly url: string
  readonly table: TableName
  /** For rows that name none: the table needs no such column then. */
  readonly topic: string | null
  readonly world: World
}

interface Position {
  readonly from: string
  /** Null: what is between is relayed; the next snapshot is to be taken. */
  readonly to: string | null
  readonly id: string
}

interface Row {
  readonly id: string
  readonly key: unknown
  readonly value: unknown
  readonly topic?: unknown
  readonly headers?: unknown
  readonly timestamp?: unknown
  readonly found: string
}

const BEGINNING: Position = { from: NO_SNAPSHOT, to: null, id: NO_ID }
const VERSION_MIN = 130_000
const UNDEFINED_FUNCTION = '42883'
const NO_PRIVILEGE = '42501'

export function postgresSource(options: PostgresOptions): OutboxSource {
  return new PostgresSource(options)
}

class PostgresSource implements OutboxSource {
  readonly name: string
  readonly #o: PostgresOptions
  readonly #wait: Waiting
  #client: Client | null = null
  #queries: Queries | null = null
  /** The last snapshot that this source has taken: it sees all that was there when it was asked first. */
  #taken: string | null = null

  constructor(options: PostgresOptions) {
    this.#o = options
    this.name = `${shown(options.url)}, table ${options.table.said}`
    this.#wait = waiting(options.world)
  }

  async open(): Promise<string> {
    await this.close()
    const { table, topic } = this.#o
    const client = await this.#connect()
    return await this.#asked(async () => {
      const { rows } = await client.query(SERVER, [table.quoted])
      const [server] = rows as [{ standby: boolean; version: number; table: string | null; hides: boolean | null }]
      if (server.version < VERSION_MIN) throw unreached(`${this.name}: the server is older than PostgreSQL 13, which knows no xid8`, false)
      if (server.standby) throw unreached(`${this.name}: the server is a standby; name the primary`, true)
      if (server.table === null)
        throw unfit(
          `${this.name}: there is no such table; make it with what millrace outbox --ddl postgres prints, or name another with --table`,
        )
      if (server.hides === true)
        throw unfit(
          `table ${table.said}: its row security is on for this user and may hide rows, which would never be relayed; ALTER ROLE the user BYPASSRLS, or ALTER TABLE it DISABLE ROW LEVEL SECURITY`,
        )
      const columns = (await client.query(COLUMNS, [table.quoted])).rows as { name: string; type: string; filled: boolean; once: boolean }[]
      const types = new Map(columns.map(({ name, type }) => [name, type]))
      checkColumns(table, new Set(types.keys()), [...NEEDED, 'xid', ...(topic === null ? ['topic'] : [])], 'postgres')
      const refuse = (what: string): MillraceError => unfit(`table ${table.said}: ${what}; see millrace outbox --ddl postgres`)
      const of = (name: string) => columns.find((column) => column.name === name)
      if (of('xid')?.type !== 'xid8' || of('xid')?.filled !== true) throw refuse('its column xid must be xid8 NOT NULL')
      if (!['bigint', 'integer', 'smallint'].includes(types.get('id') as string))
        throw refuse(`its column id is ${types.get('id')}, no whole number`)
      if (of('id')?.filled !== true || of('id')?.once !== true) throw refuse('its column id must be NOT NULL and unique')
      const [cached] = (await client.query(CACHED, [table.quoted])).rows as { ids: number }[]
      if (cached !== undefined && cached.ids > 1)
        throw refuse(
          `its ids are handed out ${cached.ids} to a connection, so those of a key are in no order; ALTER its sequence to CACHE 1`,
        )
      this.#queries = queriesOf(table, types, topic === null)
      await client.query(`LISTEN ${CHANNEL}`)
      return await this.#identity(client)
    })
  }

  async read(position: string | null, rowsMax: number): Promise<Portion> {
    const { table, topic } = this.#o
    const at = position === null ? BEGINNING : (JSON.parse(position) as Position)
    return await this.#asked(async () => {
      const [client, queries] = [this.#client, this.#queries]
      if (client === null || queries === null) throw unreached(`${this.name}: the connection was lost`, true)
      const to = at.to ?? (await this.#snapshot(client, queries))
      if (at.to === null) this.#taken = to
      const isLong = at.to !== null || at.from === NO_SNAPSHOT
      const words = [at.from, to, at.id, rowsMax, LIMITS.outboxBytesAtOnce]
      const found = (await client.query(isLong ? queries.onward : queries.begun, words)).rows as Row[]
      const rows: OutboxRow[] = []
      let refused: MillraceError | null = null
      for (const row of found) {
        try {
          rows.push(rowOf(table.said, { ...row, topic: topic ?? row.topic }))
        } catch (error) {
          if (!(error instanceof MillraceError)) throw error
          refused = error
          break
        }
      }
      const whole = found.length < rowsMax && found.length === Number(found[0]?.found ?? 0)
      const behind = (count: number): string => {
        const done: Position =
          whole && refused === null && count === rows.length ? { from: to, to: null, id: NO_ID } : { from: at.from, to, id: at.id }
        return JSON.stringify(done.to === null || count === 0 ? done : { ...done, id: (rows[count - 1] as OutboxRow).id })
      }
      // Behind an older snapshot there may be more.
      return { rows, behind, last: whole && at.to === null, endsStart: whole && to === this.#taken, refused }
    })
  }

  news(waitMs: number): Promise<void> {
    return this.#wait.wait(waitMs)
  }

  wake(): void {
    this.#wait.wake()
  }

  async close(): Promise<void> {
    const client = this.#client
    this.#client = null
    this.#queries = null
    await client?.end().catch(() => {}) // it was only read from
  }

  async #connect(): Promise<Client> {
    const { world, url } = this.#o
    const { default: pg } = await import('pg').catch((error: unknown) => {
      const absent = (error as { readonly code?: string }).code === 'ERR_MODULE_NOT_FOUND'
      const why = absent ? {} : { cause: error }
      throw new MillraceError('STREAM_USAGE', 'an outbox in PostgreSQL needs the package pg: npm install pg', why)
    })
    let client: Client
    try {
      client = new pg.Client({
        connectionString: url,
        application_name: 'millrace outbox',
        connectionTimeoutMillis: LIMITS.connectTimeoutMs,
        query_timeout: LIMITS.databaseAnswerMs,
        keepAlive: true,
      })
    } catch (error) {
      throw new MillraceError('STREAM_USAGE', `${shown(url)} is no address of a database: postgres://user@host:5432/database`, {
        cause: error,
      })
    }
    client.on('notification', () => this.#wait.wake())
    client.on('error', (error) => {
      if (this.#client !== client) return
      world.logger.debug({ reason: explain(error) }, 'the connection to the database was lost')
      this.#client = null
      this.#wait.wake()
    })
    await this.#asked(() => client.connect())
    this.#client = client
    return client
  }

  async #snapshot(client: Client, queries: Queries): Promise<string> {
    const [found] = (await client.query(queries.snapshot)).rows as [{ now: string; ahead: string | null }]
    if (found.ahead !== null)
      throw unfit(
        `row ${found.ahead} of ${this.#o.table.said}: its xid is of a transaction that this server has not come to, as in a table that was restored from another server's; set xid = pg_current_xact_id() where that is so, then start the relay again`,
      )
    return found.now
  }

  /** What a position is of. Where the server does not tell which it is, the name of the database has to do. */
  async #identity(client: Client): Promise<string> {
    const ask = (query: string) => client.query(query, [this.#o.table.quoted])
    const { rows } = await ask(IDENTITY).catch((error: { code?: string }) => {
      if (error.code !== UNDEFINED_FUNCTION && error.code !== NO_PRIVILEGE) throw error
      return ask(IDENTITY.replace(/\(SELECT system_identifier.*?\(\)\)/, "'unknown'"))
    })
    const [found] = rows as [{ system: string; database: string; table: string }]
    return `postgres ${found.system} ${found.database} ${found.table}`
  }

  async #asked<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask()
    } catch (error) {
      throw failureOf(this.name, error)
    }
  }
}
