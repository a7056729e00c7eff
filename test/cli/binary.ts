// Runs the binary as a user does: a process, bytes in, bytes and a status out.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))
export const node = join(root, 'node_modules/node/bin/node')
export const launcher = join(root, 'bin/millrace.js')

export interface Ended {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly out: string
  readonly err: string
}

export interface Started {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
}

export interface RunOptions {
  readonly input?: string | Buffer
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly node?: string
  readonly bin?: string
}

/** Without what the suites themselves are told by, which is no option of the binary. */
export function ownEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('MILLRACE_')))
}

export function start(args: readonly string[], options: RunOptions = {}): Started {
  const env = { ...ownEnvironment(), ...options.env }
  const child = spawn(options.node ?? node, [options.bin ?? launcher, ...args], { cwd: options.cwd ?? root, env, stdio: 'pipe' })
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => err.push(chunk))
  child.stdin?.on('error', () => {}) // it may have ended before it has read everything
  if (options.input !== undefined) child.stdin?.end(options.input)
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status, signal) =>
      resolve({ status, signal, out: Buffer.concat(out).toString('utf8'), err: Buffer.concat(err).toString('utf8') }),
    )
  })
  return { child, ended }
}

export const millrace = (args: readonly string[], options: RunOptions = {}): Promise<Ended> => start(args, { input: '', ...options }).ended

/** Whatever a test has left running: killed, and waited for. */
export async function endAll(running: readonly Started[]): Promise<void> {
  for (const { child } of running) child.kill('SIGKILL')
  await Promise.all(running.map(({ ended }) => ended))
}

export interface Scratch {
  readonly folder: string
  write(name: string, text: string): string
  remove(): void
}

export function scratch(): Scratch {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
  return {
    folder,
    write(name, text) {
      const path = join(folder, name)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, text)
      return path
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** Counts per key; `echo` passes JSON on as it is; `numbers` has int64 values. */
export const COUNT = `import { topology, string, int64, json } from 'millrace'
export default topology('count', (t) => {
  t.stream('in', { key: string(), value: string() }).groupByKey().count({ store: 'counts' }).toStream().to('out', { key: string(), value: int64() })
  t.stream('echo', { key: string(), value: json() }).to('echoed', { key: string(), value: json() })
  t.stream('numbers', { key: string(), value: int64() }).to('numbered', { key: string(), value: int64() })
})
`
