// Where a command's options come from: flags, the environment (MILLRACE_*), a config file, in this order of weight. Gathers them
// into ProcessorOptions; config.ts judges them.
//
// 1. A flag beats the environment, the environment beats the file. Lists and objects are replaced whole, but for `server`, `tls` and
//    `sasl`, whose parts come one by one.
// 2. A variable MILLRACE_* that is not known is refused: a typo in MILLRACE_BROKERS must not start the embedded log. Those that Kubernetes makes
//    of a service called millrace are not ours.
import { readFileSync } from 'node:fs'
import { extname } from 'node:path'
import { MillraceError } from '../base/errors.ts'
import { Secret } from '../base/secret.ts'
import { closest } from '../base/suggest.ts'
import { OPTION_NAMES, type ProcessorOptions, resolveConfig, type ServerOptions } from '../config.ts'
import { loadDefault } from './load.ts'

/** What commander hands over. */
export interface Flags {
  readonly applicationId?: string
  readonly brokers?: string
  readonly stateDir?: string
  readonly guarantee?: string
  readonly commitInterval?: string
  readonly workers?: string
  readonly standbys?: string
  readonly instanceId?: string
  readonly port?: string
  readonly host?: string
  readonly tokenFile?: string
  readonly advertise?: string
  readonly config?: string
}

type Environment = Readonly<Record<string, string | undefined>>

/** Variable -> path of the option. */
const VARIABLES: Readonly<Record<string, readonly [string, string?]>> = {
  MILLRACE_APPLICATION_ID: ['applicationId'],
  MILLRACE_BROKERS: ['brokers'],
  MILLRACE_STATE_DIR: ['stateDir'],
  MILLRACE_STATE_QUOTA: ['stateQuota'],
  MILLRACE_GUARANTEE: ['guarantee'],
  MILLRACE_COMMIT_INTERVAL: ['commitInterval'],
  MILLRACE_WORKERS: ['workers'],
  MILLRACE_STANDBYS: ['standbys'],
  MILLRACE_INSTANCE_ID: ['instanceId'],
  MILLRACE_OFFSET_RESET: ['offsetReset'],
  MILLRACE_MAX_IDLE: ['maxIdle'],
  MILLRACE_ON_ERROR: ['onError'],
  MILLRACE_TRACING: ['tracing'],
  MILLRACE_TLS: ['tls'],
  MILLRACE_SASL_MECHANISM: ['sasl', 'mechanism'],
  MILLRACE_SASL_USERNAME: ['sasl', 'username'],
  MILLRACE_SASL_PASSWORD: ['sasl', 'password'],
  MILLRACE_SASL_TOKEN: ['sasl', 'token'],
  MILLRACE_PORT: ['server', 'port'],
  MILLRACE_HOST: ['server', 'host'],
  MILLRACE_TOKEN: ['server', 'token'],
  MILLRACE_ADVERTISE: ['server', 'advertise'],
}
const OTHER_VARIABLES = ['MILLRACE_CONFIG', 'MILLRACE_TOKEN_FILE', 'MILLRACE_DATABASE']
const NUMBERS = ['workers', 'standbys', 'port']
const SECRETS = ['password', 'token']

type Layer = Record<string, unknown>

/** `portOtherwise`: of a command that has a port where none is named. */
export async function gatherOptions(
  flags: Flags,
  environment: Environment,
  portOtherwise?: (host: string) => Promise<number>,
): Promise<ProcessorOptions> {
  refuseUnknown(environment)
  const file = flags.config ?? environment.MILLRACE_CONFIG
  const merged = merge(merge(file === undefined ? {} : await configFile(file), fromEnvironment(environment)), fromFlags(flags))
  const tokenFile = flags.tokenFile ?? environment.MILLRACE_TOKEN_FILE
  const server = { ...(merged.server as Layer | undefined) }
  // Of two ways to give a token in one layer the file is the one that was meant; a flag beats a variable as always.
  if (tokenFile !== undefined && (flags.tokenFile !== undefined || environment.MILLRACE_TOKEN === undefined))
    server.token = readToken(tokenFile)
  if (server.port === undefined && portOtherwise !== undefined)
    server.port = await portOtherwise(String(server.host ?? flags.host ?? '127.0.0.1'))
  // A token or a host alone opens no port: MILLRACE_TOKEN may be set for good.
  if (server.port === undefined) {
    delete merged.server
    // Whoever types a host means one; without a token it would be refused with a port too.
    if (flags.host !== undefined) resolveConfig('host', { server: { ...server, host: flags.host, port: 0 } as ServerOptions })
  } else merged.server = server
  return merged as ProcessorOptions
}

function merge(under: Layer, over: Layer): Layer {
  const merged: Layer = { ...under }
  for (const [name, value] of Object.entries(over)) {
    const parts = ['server', 'tls', 'sasl'].includes(name) && isLayer(merged[name]) && isLayer(value)
    merged[name] = parts ? { ...(merged[name] as Layer), ...(value as Layer) } : value
  }
  return merged
}

const isLayer = (value: unknown): value is Layer => typeof value === 'object' && value !== null && !Array.isArray(value)

async function configFile(file: string): Promise<Layer> {
  let content: unknown
  if (extname(file) === '.json') {
    try {
      content = JSON.parse(readText(file))
    } catch (error) {
      if (error instanceof MillraceError) throw error
      throw new MillraceError('STREAM_USAGE', `${file}: it is not JSON`, { cause: error })
    }
  } else content = await loadDefault(file, 'a config file', 'export default { ... }')
  if (!isLayer(content)) throw new MillraceError('STREAM_USAGE', `${file}: it must hold one object of options`)
  for (const name of Object.keys(content)) {
    if (!(OPTION_NAMES as readonly string[]).includes(name))
      throw new MillraceError('STREAM_USAGE', `${file}: unknown option ${name}${closest(name, OPTION_NAMES)}`)
  }
  return content
}

function fromEnvironment(environment: Environment): Layer {
  const layer: Layer = {}
  for (const [variable, [name, part]] of Object.entries(VARIABLES)) {
    const text = environment[variable]
    if (text === undefined || text === '' || isKubernetesLink(variable, text)) continue
    put(layer, name, part, text, variable)
  }
  return layer
}

function fromFlags(flags: Flags): Layer {
  const layer: Layer = {}
  for (const name of [
    'applicationId',
    'brokers',
    'stateDir',
    'guarantee',
    'commitInterval',
    'workers',
    'standbys',
    'instanceId',
  ] as const) {
    if (flags[name] !== undefined) put(layer, name, undefined, flags[name], `--${name.replaceAll(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`)
  }
  if (flags.port !== undefined) put(layer, 'server', 'port', flags.port, '--port')
  if (flags.host !== undefined) put(layer, 'server', 'host', flags.host, '--host')
  if (flags.advertise !== undefined) put(layer, 'server', 'advertise', flags.advertise, '--advertise')
  return layer
}

function put(layer: Layer, name: string, part: string | undefined, text: string, origin: string): void {
  if (part === undefined) layer[name] = value(name, text, origin)
  else layer[name] = { ...(layer[name] as Layer | undefined), [part]: value(part, text, origin) }
}

function value(name: string, text: string, origin: string): unknown {
  if (name === 'brokers') return text.split(',').map((broker) => broker.trim())
  if (SECRETS.includes(name)) return new Secret(text)
  if (NUMBERS.includes(name)) {
    if (!/^\d{1,9}$/.test(text)) throw new MillraceError('STREAM_USAGE', `${origin} must be a whole number, not ${JSON.stringify(text)}`)
    return Number(text)
  }
  if (name === 'maxIdle' && text === '-1') return -1
  if (name === 'stateQuota' && /^\d{1,16}$/.test(text)) return Number(text)
  if (name === 'tls' || name === 'tracing') {
    if (text !== 'true' && text !== 'false')
      throw new MillraceError('STREAM_USAGE', `${origin} must be true or false, not ${JSON.stringify(text)}`)
    return text === 'true'
  }
  return text
}

/** The token for a process that is asked; null: none is given. */
export function tokenOf({ tokenFile }: Flags, environment: Environment): Secret | null {
  const { MILLRACE_TOKEN: token, MILLRACE_TOKEN_FILE: file } = environment
  if (tokenFile !== undefined) return readToken(tokenFile)
  if (token !== undefined && token !== '') return new Secret(token)
  return file === undefined || file === '' ? null : readToken(file)
}

/** The first line of the file, or all of it: editors end files with a line feed. */
function readToken(file: string): Secret {
  return new Secret(readText(file).trim())
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    throw new MillraceError('STREAM_USAGE', `${file}: it cannot be read (${code})`, { cause: error })
  }
}

/** Every variable that is read, for the documents and for completion. */
export const VARIABLE_NAMES: readonly string[] = [...Object.keys(VARIABLES), ...OTHER_VARIABLES]

function refuseUnknown(environment: Environment): void {
  for (const [name, text = ''] of Object.entries(environment)) {
    if (!name.startsWith('MILLRACE_') || VARIABLE_NAMES.includes(name) || isKubernetesLink(name, text)) continue
    throw new MillraceError('STREAM_USAGE', `the environment has ${name}, which is not known${closest(name, VARIABLE_NAMES)}`)
  }
}

/** What Kubernetes puts into each container for a service whose name begins with ours. */
function isKubernetesLink(name: string, text: string): boolean {
  if (name.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(text)) return true
  return /^MILLRACE_(\w+_)?(SERVICE_(HOST|PORT)(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/.test(name)
}
