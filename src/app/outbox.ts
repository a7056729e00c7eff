// Relays an outbox: its options in, a relay that runs out. Opens the log and names the databases; the work is in outbox/relay.ts.
//
// 1. An option that is not known is refused by its name; what is of the log is judged as that of a processor.
// 2. On the embedded log the relay is the process that owns it; topics that rows name are made there.
import { openLog } from '../app.ts'
import { type Duration, durationMs } from '../base/duration.ts'
import { MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { checkName } from '../base/names.ts'
import type { World } from '../base/ports.ts'
import { systemWorld } from '../base/system.ts'
import { closest } from '../base/suggest.ts'
import { type ProcessorOptions, resolveConfig } from '../config.ts'
import { postgresSource } from '../outbox/postgres.ts'
import type { Log } from '../log/log.ts'
import { type OutboxStatus, Relay } from '../outbox/relay.ts'
import type { OutboxSource } from '../outbox/source.ts'
import { sqliteSource } from '../outbox/sqlite.ts'
import { TABLE, tableName } from '../outbox/table.ts'
import type { Listener } from '../server/listener.ts'

export interface OutboxOptions extends Pick<ProcessorOptions, 'brokers' | 'stateDir' | 'tls' | 'sasl' | 'world'> {
  /** `postgres://user@host/database`, or the path of an SQLite file. */
  readonly database: string
  /** Default: `outbox`. */
  readonly table?: string
  /** Of this relay: its position is the topic `<name>-position`. Two outboxes on one log need two names. Default: `outbox`. */
  readonly name?: string
  /** Of all rows; without it the column `topic` names it. */
  readonly topic?: string
  /** Rows a second at most. Default: 10,000. */
  readonly rate?: number
  /** How often the table is looked at when nothing tells of news. Default: 500 ms. */
  readonly pollInterval?: Duration
  /** Of topics that it makes on an embedded log. Default: 4. */
  readonly partitions?: number
  /** Ends when all is relayed that was there when it began. */
  readonly once?: boolean
  /** Of an HTTP server on 127.0.0.1, with /metrics and /health; 0: a free one. Default: none. */
  readonly port?: number
}

export interface OutboxRelay {
  status(): OutboxStatus
  /** Of its HTTP server; null: it has none. */
  readonly port: number | null
  /** Resolves when it is closed, with `once` when all is relayed; rejects with what a person has to see to. */
  readonly ended: Promise<void>
  /** Commits what is under way. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const OWN = ['database', 'table', 'name', 'topic', 'rate', 'pollInterval', 'partitions', 'once', 'port'] as const
const OF_THE_LOG = ['brokers', 'stateDir', 'tls', 'sasl', 'world'] as const
const RATE_MAX = 1_000_000
const PARTITIONS_MAX = 1_024
const POLL_MS_MAX = 3_600_000
const PORT_MAX = 65_535

/** Begins to relay; resolves when the log is open. A database that is not there yet is waited for. */
export async function relayOutbox(options: OutboxOptions): Promise<OutboxRelay> {
  const known: readonly string[] = [...OWN, ...OF_THE_LOG]
  const odd = Object.keys(options).find((name) => !known.includes(name))
  if (odd !== undefined) throw refuse(`unknown option ${odd}${closest(odd, known)}`)
  const { brokers, once = false } = options
  if (typeof once !== 'boolean') throw refuse('once must be true or false')
  const name = checkName(options.name ?? TABLE, 'outbox')
  const world = options.world ?? systemWorld()
  const ofLog = Object.fromEntries(OF_THE_LOG.flatMap((one) => (options[one] === undefined ? [] : [[one, options[one]]])))
  const config = resolveConfig(name, ofLog)
  const rowsPerSecond = whole(options.rate ?? LIMITS.outboxRowsPerSecond, 'rate', RATE_MAX)
  const pollMs = options.pollInterval === undefined ? LIMITS.outboxPollMs : durationMs(options.pollInterval, 'pollInterval')
  if (pollMs < 1 || pollMs > POLL_MS_MAX) throw refuse('pollInterval must be from 1ms to 1h')
  const partitions = whole(options.partitions ?? LIMITS.embeddedPartitions, 'partitions', PARTITIONS_MAX)
  const port = options.port === undefined ? null : whole(options.port, 'port', PORT_MAX, 0)
  const source = sourceOf(options, world)
  const log = await openLog(config, world)
  const createPartitions = brokers === undefined ? partitions : null
  const relay = new Relay({ name, log, source, world, rowsPerSecond, pollMs, createPartitions, once })
  const server = port === null ? null : await serverOf(relay, port, world).catch((error: unknown) => stopped(relay, log, error))
  const ended = relay.ended.finally(async () => {
    await server?.close()
    await log.close()
  })
  ended.catch(() => {}) // told to whoever awaits it
  const close = async (): Promise<void> => {
    await relay.stop()
    await ended.catch(() => {})
  }
  return { status: () => relay.status(), port: server?.port ?? null, ended, close, [Symbol.asyncDispose]: close }
}

async function serverOf(relay: Relay, port: number, world: World): Promise<Listener> {
  const { openOutboxServer } = await import('../server/outbox.ts')
  const server = await openOutboxServer(port, () => relay.status(), world)
  world.logger.info({ port: server.port }, 'metrics and health')
  return server
}

async function stopped(relay: Relay, log: Log, error: unknown): Promise<never> {
  await relay.stop()
  await log.close()
  throw error
}

function sourceOf(options: OutboxOptions, world: World): OutboxSource {
  const { database, topic } = options
  if (typeof database !== 'string' || database === '')
    throw refuse('database must be postgres://user@host/database, or the path of an SQLite file')
  const common = {
    table: tableName(options.table ?? TABLE),
    topic: topic === undefined ? null : checkName(topic, 'topic'),
    world,
  }
  if (/^postgres(ql)?:\/\//.test(database)) return postgresSource({ url: database, ...common })
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(database)?.[1]
  if (scheme !== undefined) throw refuse(`database: ${scheme} is not known; it is postgres://..., or the path of an SQLite file`)
  return sqliteSource({ file: database, ...common })
}

function whole(value: unknown, what: string, max: number, min = 1): number {
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return value as number
  throw refuse(`${what} must be a whole number from ${min} to ${max}, not ${JSON.stringify(value)}`)
}

function refuse(what: string): MillraceError {
  return new MillraceError('STREAM_USAGE', what)
}
