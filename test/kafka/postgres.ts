// A real PostgreSQL for tests, of the machine's packages: a server of its own on a free port, with a fresh data directory.
//
// 1. initdb and the server refuse root: as root they run as the user postgres, or as nobody.
// 2. What is started here is ended by its process id; the data directory goes with it.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { freePorts } from './ports.ts'

const PACKAGES = '/usr/lib/postgresql'
const VERSION_MIN = 13
const START_TIMEOUT_MS = 30_000
const NOBODY = 65_534

/** The folder of the newest server's programs; null: there is none. */
export function postgresBin(): string | null {
  const versions = existsSync(PACKAGES) ? readdirSync(PACKAGES).map(Number) : []
  const [newest] = versions.filter((version) => version >= VERSION_MIN).sort((a, b) => b - a)
  const bin = newest === undefined ? null : join(PACKAGES, String(newest), 'bin')
  return bin !== null && existsSync(join(bin, 'initdb')) ? bin : null
}

export const POSTGRES = postgresBin() !== null
if (!POSTGRES)
  console.warn(
    `SKIPPED: tests against a real PostgreSQL. There is no server of version ${VERSION_MIN} or newer in ${PACKAGES}: apt-get install postgresql`,
  )

export interface RunningPostgres {
  readonly url: string
  output(): string
  connect(): Promise<pg.Client>
  /** As if the machine had lost power. */
  kill(): Promise<void>
  restart(): Promise<void>
  stop(): Promise<void>
}

export async function startPostgres(): Promise<RunningPostgres> {
  const bin = postgresBin()
  if (bin === null) throw new Error('there is no PostgreSQL')
  const who: { readonly uid?: number; readonly gid?: number } = process.getuid?.() === 0 ? unprivileged() : {}
  const home = mkdtempSync(join(tmpdir(), 'millrace-postgres-'))
  if (who.uid !== undefined && who.gid !== undefined) chownSync(home, who.uid, who.gid)
  const data = join(home, 'data')
  const env = { PATH: process.env.PATH, LC_ALL: 'C.UTF-8' }
  execFileSync(join(bin, 'initdb'), ['-D', data, '-U', 'app', '-A', 'trust', '--no-sync'], { ...who, env, cwd: home, stdio: 'pipe' })
  const [port = 0] = await freePorts(1)
  const url = `postgres://app@127.0.0.1:${port}/postgres`
  let child: ChildProcess | undefined
  let output = ''
  const start = async (): Promise<void> => {
    const settings = ['-c', 'fsync=off', '-c', 'listen_addresses=127.0.0.1', '-c', `unix_socket_directories=${home}`]
    const started = spawn(join(bin, 'postgres'), ['-D', data, '-p', String(port), ...settings], {
      ...who,
      env,
      cwd: home,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child = started
    for (const stream of [started.stdout, started.stderr])
      stream.on('data', (bytes: Buffer) => {
        output = (output + bytes.toString()).slice(-20_000)
      })
    const deadline = performance.now() + START_TIMEOUT_MS
    for (;;) {
      if (started.exitCode !== null || performance.now() > deadline) throw new Error(`PostgreSQL does not answer:\n${output}`)
      const client = await connect().catch(() => null)
      await client?.end()
      if (client !== null) return
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: url })
    client.on('error', () => {}) // the server is killed in tests; the next query tells
    await client.connect()
    return client
  }
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const ending = child
    child = undefined
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return
    const gone = new Promise<void>((resolve) => ending.once('exit', () => resolve()))
    ending.kill(signal)
    await gone
  }
  const last = (): void => void child?.kill('SIGQUIT') // a test run that dies must not leave a server behind
  process.once('exit', last)
  const stop = async (): Promise<void> => {
    process.removeListener('exit', last)
    await end('SIGINT')
    rmSync(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
  }
  try {
    await start()
  } catch (error) {
    await stop()
    throw error
  }
  return { url, output: () => output, connect, stop, kill: () => end('SIGQUIT'), restart: start }
}

function unprivileged(): { readonly uid: number; readonly gid: number } {
  const id = (flag: string): number => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8', stdio: 'pipe' }))
  try {
    return { uid: id('-u'), gid: id('-g') }
  } catch {
    return { uid: NOBODY, gid: NOBODY }
  }
}
