// The options of a processor: their names, defaults and bounds, checked in one place. `options` in, `Config` out, or STREAM_USAGE
// that names the option. Reads no environment and no file (cli/options.ts does); opens nothing.
//
// 1. An option that is not known is refused by its name, at every level.
// 2. Passwords and tokens are `Secret`s from here on; a Config may be logged.
// 3. What this version cannot do is refused, not ignored.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isLoopback } from './base/address.ts'
import { type ByteSize, sizeBytes } from './base/byte-size.ts'
import { type Duration, durationMs } from './base/duration.ts'
import { ERROR_POLICIES, type ErrorPolicy } from './base/error-policy.ts'
import { MillraceError } from './base/errors.ts'
import { LIMITS } from './base/limits.ts'
import { checkName } from './base/names.ts'
import type { World } from './base/ports.ts'
import { Secret } from './base/secret.ts'
import { closest } from './base/suggest.ts'

export type Policy = ErrorPolicy

export interface OnError {
  readonly deserialization?: Policy
  readonly callback?: Policy
  readonly production?: Policy
  /** Behind a dead letter the later records of its key wait, until it is replayed or dropped; at most so many in one task (100,000), then the
   *  input of that partition waits. It adds a store and an internal topic to each source. */
  readonly blockKey?: boolean | { readonly maxRecords?: number }
}

export interface TlsOptions {
  /** PEM texts. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly servername?: string
  /** Takes any certificate. For tests; warned of at each start. */
  readonly insecure?: boolean
}

export interface SaslOptions {
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER'
  readonly username?: string
  readonly password?: string | Secret
  /** OAUTHBEARER. */
  readonly token?: string | Secret
  /** Sends PLAIN or a token over a connection without TLS. */
  readonly insecure?: boolean
}

/** The HTTP server; without it no port is opened. */
export interface ServerOptions {
  /** 0: a free one. */
  readonly port: number
  /** Default: 127.0.0.1. Another than loopback needs a token. */
  readonly host?: string
  /** 32 bytes or more; every request must then bring it. */
  readonly token?: string | Secret
  /** `host:port`, or a host, by which the other processes reach this one: they pass queries of its keys on to it. Default: the host (bound to
   *  all addresses, the name of the machine) and the port. */
  readonly advertise?: string
  /** Stores that may be read; default: all. */
  readonly stores?: readonly string[]
}

export interface ProcessorOptions {
  /** Default: the topology's name. */
  readonly applicationId?: string
  /** `host:port`. None: the embedded log in `stateDir`. */
  readonly brokers?: readonly string[]
  /** Default: `.millrace/<applicationId>`. */
  readonly stateDir?: string
  /** What the stores of one task may have on disk, such as '10GiB'; one that has more ends the processor (STREAM_QUOTA) before the disk is
   *  full. Default: no bound. */
  readonly stateQuota?: ByteSize
  readonly guarantee?: 'exactly_once' | 'at_least_once'
  readonly commitInterval?: Duration
  /** Event loops, each in a thread of its own when there are several; they need `brokers` and `module`. Default: 1. */
  readonly workers?: number
  /** URL or path of the file whose default export is the topology: threads import it again. `import.meta.url` where it is this file. */
  readonly module?: string | URL
  /** How many other processes keep the stores of each task current, so that one of them goes on without a restore. On the embedded log,
   *  where there are no others, it does nothing. */
  readonly standbys?: number
  /** A name that this process keeps over restarts, its own in the group. With it the process keeps its tasks when it is closed, for the
   *  session timeout: a restart moves nothing. Without it a closed process leaves, and others have its tasks at once. */
  readonly instanceId?: string
  readonly tls?: boolean | TlsOptions
  readonly sasl?: SaslOptions
  readonly server?: ServerOptions
  readonly onError?: Policy | OnError
  /** How long a task waits for an empty input, so that records of several inputs go by their times. Default: 0, only for one that is known
   *  to have more. -1: not at all. */
  readonly maxIdle?: Duration
  /** Where a group without committed offsets begins, for sources that do not say it themselves. */
  readonly offsetReset?: 'earliest' | 'latest'
  /** Spans of OpenTelemetry, where the package `@opentelemetry/api` is there and the process has registered a provider. Default: true. */
  readonly tracing?: boolean
  /** Time, timers, chance and the logger; for tests. */
  readonly world?: World
}

export interface Config {
  readonly applicationId: string
  /** Empty: the embedded log. */
  readonly brokers: readonly string[]
  readonly stateDir: string
  /** Of one task; null: no bound. */
  readonly stateQuotaBytes: number | null
  readonly guarantee: 'exactly_once' | 'at_least_once'
  readonly commitIntervalMs: number
  readonly workers: number
  /** A file URL; null: not told. */
  readonly module: string | null
  readonly standbys: number
  /** Null: the process leaves the group when it is closed. */
  readonly instanceId: string | null
  readonly tls: TlsOptions | null
  readonly sasl: (Omit<SaslOptions, 'password' | 'token'> & { readonly password: Secret | null; readonly token: Secret | null }) | null
  readonly server: {
    readonly port: number
    readonly host: string
    readonly token: Secret | null
    readonly advertise: string | null
    readonly stores: readonly string[] | null
  } | null
  readonly onError: {
    readonly deserialization: Policy
    readonly callback: Policy
    readonly production: Policy
    /** Left out: dead letters keep no key waiting. */
    readonly blockKey?: { readonly maxRecords: number }
  }
  /** -1: an empty input is not waited for. */
  readonly maxIdleMs: number
  readonly offsetReset: 'earliest' | 'latest'
  readonly tracing: boolean
}

export const OPTION_NAMES = [
  'applicationId',
  'brokers',
  'stateDir',
  'stateQuota',
  'guarantee',
  'commitInterval',
  'workers',
  'module',
  'standbys',
  'instanceId',
  'tls',
  'sasl',
  'server',
  'onError',
  'maxIdle',
  'offsetReset',
  'tracing',
  'world',
] as const satisfies readonly (keyof ProcessorOptions)[]

const GUARANTEES = ['exactly_once', 'at_least_once'] as const
const RESETS = ['earliest', 'latest'] as const
const MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'] as const
const COMMIT_INTERVAL_MS_MAX = 30_000
const TOKEN_BYTES_MIN = 32
const HOST_AND_PORT = /^(\[[0-9A-Fa-f:.]+\]|[^\s:/@[\]]+)(?::(\d{1,5}))?$/

export function resolveConfig(topologyName: string, given: ProcessorOptions = {}): Config {
  const options = fields(given, 'options', OPTION_NAMES) as ProcessorOptions
  const applicationId = checkName(options.applicationId ?? topologyName, 'application')
  return Object.freeze({
    applicationId,
    brokers: Object.freeze(brokers(options.brokers)),
    stateDir: text(options.stateDir, 'stateDir') ?? join('.millrace', applicationId),
    stateQuotaBytes: options.stateQuota === undefined ? null : stateQuota(options.stateQuota),
    guarantee: oneOf(options.guarantee ?? 'exactly_once', GUARANTEES, 'guarantee'),
    commitIntervalMs: commitInterval(options.commitInterval),
    workers: whole(options.workers ?? 1, 'workers', 1, LIMITS.workersMax),
    module: moduleUrl(options.module),
    standbys: whole(options.standbys ?? 0, 'standbys', 0, LIMITS.standbysMax),
    instanceId: options.instanceId === undefined ? null : checkName(options.instanceId, 'instance'),
    tls: tls(options.tls),
    sasl: sasl(options.sasl, options.tls),
    server: server(options.server),
    onError: policies(options.onError),
    maxIdleMs: options.maxIdle === -1 ? -1 : durationMs(options.maxIdle ?? 0, 'maxIdle'),
    offsetReset: oneOf(options.offsetReset ?? 'earliest', RESETS, 'offsetReset'),
    tracing: options.tracing === undefined || flag(options.tracing, 'tracing'),
  })
}

function refuse(what: string): MillraceError {
  return new MillraceError('STREAM_USAGE', what)
}

/** The object itself, all of its names known. */
function fields(value: unknown, what: string, known: readonly string[]): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refuse(`${what} must be an object`)
  const odd = Object.keys(value).find((name) => !known.includes(name))
  if (odd !== undefined) throw refuse(`unknown option ${what === 'options' ? '' : `${what}.`}${odd}${closest(odd, known)}`)
  return value as Record<string, unknown>
}

function text(value: unknown, what: string): string | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'string' || value === '' || value.includes('\0')) throw refuse(`${what} must be text that is not empty`)
  return value
}

function oneOf<T extends string>(value: unknown, known: readonly T[], what: string): T {
  if (known.includes(value as T)) return value as T
  throw refuse(`${what} must be one of ${known.join(', ')}, not ${JSON.stringify(value)}`)
}

function flag(value: unknown, what: string): boolean {
  if (value === undefined || typeof value === 'boolean') return value ?? false
  throw refuse(`${what} must be true or false`)
}

function whole(value: unknown, what: string, min: number, max: number): number {
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return value as number
  throw refuse(`${what} must be a whole number from ${min} to ${max}, not ${JSON.stringify(value)}`)
}

function brokers(value: unknown): readonly string[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) throw refuse("brokers must be a list of 'host:port'")
  if (value.length === 0) throw refuse("brokers is an empty list: name at least one 'host:port', or leave it out for the embedded log")
  return value.map((broker: unknown) => {
    const match = typeof broker === 'string' ? HOST_AND_PORT.exec(broker.trim()) : null
    if (match === null || Number(match[2] ?? 1) > 65_535 || Number(match[2] ?? 1) < 1)
      throw refuse(`broker ${JSON.stringify(broker)} is no 'host:port'`)
    return `${match[1]}:${match[2] ?? 9092}`
  })
}

function commitInterval(value: Duration | undefined): number {
  const ms = value === undefined ? LIMITS.commitIntervalMs : durationMs(value, 'commitInterval')
  if (ms < 1 || ms > COMMIT_INTERVAL_MS_MAX)
    throw refuse(`commitInterval must be from 1ms to ${COMMIT_INTERVAL_MS_MAX / 1000}s, not ${JSON.stringify(value)}`)
  return ms
}

function stateQuota(value: unknown): number {
  const bytes = sizeBytes(value, 'stateQuota')
  if (bytes < LIMITS.stateQuotaBytesMin)
    throw refuse(`stateQuota must be ${LIMITS.stateQuotaBytesMin} bytes or more: an empty store has some`)
  return bytes
}

function moduleUrl(value: unknown): string | null {
  if (value === undefined) return null
  const url = value instanceof URL ? value.href : (text(value, 'module') as string)
  if (url.startsWith('file:')) return url
  if (/^[a-z]{2,}:/.test(url)) throw refuse(`module ${JSON.stringify(url)} is no file: give import.meta.url, or a path`)
  return pathToFileURL(url).href
}

function tls(value: unknown): TlsOptions | null {
  if (value === undefined || value === false) return null
  if (value === true) return {}
  const given = fields(value, 'tls', ['ca', 'cert', 'key', 'servername', 'insecure'])
  for (const name of ['ca', 'cert', 'key', 'servername']) text(given[name], `tls.${name}`)
  flag(given.insecure, 'tls.insecure')
  if ((given.cert === undefined) !== (given.key === undefined)) throw refuse('tls.cert and tls.key go together')
  return given as TlsOptions
}

function secret(value: unknown, what: string): Secret | null {
  if (value === undefined || value instanceof Secret) return value ?? null
  return new Secret(text(value, what) as string)
}

function sasl(value: unknown, tlsGiven: unknown): Config['sasl'] {
  if (value === undefined) return null
  const given = fields(value, 'sasl', ['mechanism', 'username', 'password', 'token', 'insecure'])
  const mechanism = oneOf(given.mechanism, MECHANISMS, 'sasl.mechanism')
  const password = secret(given.password, 'sasl.password')
  const token = secret(given.token, 'sasl.token')
  const username = text(given.username, 'sasl.username')
  if (mechanism === 'OAUTHBEARER') {
    if (token === null) throw refuse('sasl.token is missing for OAUTHBEARER')
  } else if (username === undefined || password === null) throw refuse(`sasl.username and sasl.password are needed for ${mechanism}`)
  const insecure = flag(given.insecure, 'sasl.insecure')
  const open = tlsGiven === undefined || tlsGiven === false
  if (open && !insecure && !mechanism.startsWith('SCRAM'))
    throw refuse(`sasl.mechanism ${mechanism} shows the password to the network: use tls, SCRAM-SHA-512, or sasl.insecure`)
  return { mechanism, ...(username === undefined ? {} : { username }), password, token, insecure }
}

function server(value: unknown): Config['server'] {
  if (value === undefined) return null
  const given = fields(value, 'server', ['port', 'host', 'token', 'advertise', 'stores'])
  const port = whole(given.port, 'server.port', 0, 65_535)
  const host = text(given.host, 'server.host') ?? '127.0.0.1'
  const token = secret(given.token, 'server.token')
  if (token !== null && Buffer.byteLength(token.reveal()) < TOKEN_BYTES_MIN)
    throw refuse(`server.token must have ${TOKEN_BYTES_MIN} bytes or more`)
  if (token === null && !isLoopback(host))
    throw refuse(
      `server.host ${host} can be reached from outside: give a token of ${TOKEN_BYTES_MIN} bytes or more (MILLRACE_TOKEN or --token-file), or use 127.0.0.1`,
    )
  return { port, host, token, advertise: advertise(given.advertise), stores: names(given.stores) }
}

function advertise(value: unknown): string | null {
  const address = text(value, 'server.advertise')
  if (address === undefined) return null
  const match = HOST_AND_PORT.exec(address)
  if (match === null || Number(match[2] ?? 1) > 65_535 || Number(match[2] ?? 1) < 1)
    throw refuse(`server.advertise ${JSON.stringify(address)} is no 'host:port'`)
  return address
}

function names(value: unknown): readonly string[] | null {
  if (value === undefined) return null
  if (!Array.isArray(value)) throw refuse('server.stores must be a list of store names')
  return value.map((name: unknown) => checkName(name, 'store'))
}

function policies(value: unknown): Config['onError'] {
  if (value === undefined) return { deserialization: 'deadLetter', callback: 'deadLetter', production: 'deadLetter' }
  if (typeof value === 'string') {
    const policy = oneOf(value, ERROR_POLICIES, 'onError')
    return { deserialization: policy, callback: policy, production: policy }
  }
  const given = fields(value, 'onError', ['deserialization', 'callback', 'production', 'blockKey'])
  const of = (name: string): Policy => oneOf(given[name] ?? 'deadLetter', ERROR_POLICIES, `onError.${name}`)
  const chosen = { deserialization: of('deserialization'), callback: of('callback'), production: of('production') }
  const blockKey = blocking(given.blockKey)
  if (blockKey === null) return chosen
  if (!Object.values(chosen).includes('deadLetter'))
    throw refuse("onError.blockKey keeps keys waiting behind dead letters, and no policy is 'deadLetter'")
  return { ...chosen, blockKey }
}

function blocking(value: unknown): { readonly maxRecords: number } | null {
  if (value === undefined || value === false) return null
  const { maxRecords } = value === true ? {} : fields(value, 'onError.blockKey', ['maxRecords'])
  return { maxRecords: whole(maxRecords ?? LIMITS.parkedRecordsMax, 'onError.blockKey.maxRecords', 1, Number.MAX_SAFE_INTEGER) }
}
