// Real `millrace` processes: a `run` that can be killed, and the commands that read and write its log. For tests and the demo.
//
// 1. Whatever is started here is ended by its process id; it does not outlive the process that started it.
// 2. `kill` is SIGKILL: the process has no say.
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath, pathToFileURL } from 'node:url'

const BIN = fileURLToPath(new URL('../../bin/millrace.js', import.meta.url))
const ROOT = fileURLToPath(new URL('../..', import.meta.url))

const alive = new Set<ChildProcess>()
process.once('exit', endAll)

/** Ends every process that was started here and still runs. */
export function endAll(): void {
  for (const child of alive) child.kill('SIGKILL')
}

function start(words: readonly string[], { imports = [], env = {} }: StartOptions = {}): ChildProcess {
  const node = imports.map((file) => `--import=${pathToFileURL(file)}`)
  const child = spawn(process.execPath, [...node, BIN, ...words], {
    cwd: ROOT,
    // What the suites are told by is no option of the binary.
    env: { ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('MILLRACE_'))), ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  alive.add(child)
  child.once('exit', () => alive.delete(child))
  child.stdin?.on('error', () => {}) // it ended before it had read everything: its status tells
  return child
}

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Processor {
  readonly pid: number
  /** Resolves when its tasks run; rejects with what it said when it ends before. */
  readonly ready: Promise<void>
  readonly ended: Promise<Ended>
  /** The last of its log, for the message of a test that failed. */
  said(): string
  kill(): Promise<Ended>
  /** SIGTERM. */
  stop(): Promise<Ended>
}

export interface StartOptions {
  /** Modules that are loaded before the command: they may shorten a limit or stop the process at a chosen place. */
  readonly imports?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Each line of its log. */
  readonly onLine?: (line: string) => void
}

/** `millrace run` with these words. */
export function startProcessor(...words: readonly string[]): Processor {
  return startProcessorWith({}, ...words)
}

export function startProcessorWith(options: StartOptions, ...words: readonly string[]): Processor {
  const child = start(['run', ...words, '--json'], options)
  let said = ''
  const { promise: ready, resolve, reject } = Promise.withResolvers<void>()
  ready.catch(() => {})
  child.stdout?.resume()
  createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (line) => {
    said = `${said}${line}\n`.slice(-10_000)
    options.onLine?.(line)
    // The line of `run`: all of its stores are restored. The worker tells of its tasks before that, as they come.
    if (line.includes('"stateDir":') && line.includes('"msg":"running"')) resolve()
  })
  const ended = new Promise<Ended>((done) =>
    child.once('close', (code, signal) => {
      reject(new Error(`millrace run ended (${signal ?? code}) before it was ready: ${said}`))
      done({ code, signal })
    }),
  )
  const end = (signal: NodeJS.Signals): Promise<Ended> => {
    child.kill(signal)
    return ended
  }
  return { pid: child.pid as number, ready, ended, said: () => said, kill: () => end('SIGKILL'), stop: () => end('SIGTERM') }
}

export interface Command {
  readonly pid: number
  readonly ended: Promise<Ended>
  /** Resolves when its log has these words; rejects when it ends without. */
  said(words: string): Promise<void>
  kill(): Promise<Ended>
  /** SIGTERM. */
  stop(): Promise<Ended>
}

/** Any command, to be killed. */
export function startCommand(words: readonly string[], options: StartOptions = {}): Command {
  const child = start(words, options)
  child.stdout?.resume()
  let log = ''
  const listening = new Set<() => void>()
  child.stderr?.on('data', (part: Buffer) => {
    log += part.toString()
    for (const listen of listening) listen()
  })
  const ended = new Promise<Ended>((resolve) => child.once('close', (code, signal) => resolve({ code, signal })))
  const end = (signal: NodeJS.Signals): Promise<Ended> => {
    child.kill(signal)
    return ended
  }
  return {
    pid: child.pid as number,
    ended,
    said: (sought) =>
      new Promise((resolve, reject) => {
        const listen = (): void => {
          if (!log.includes(sought)) return
          listening.delete(listen)
          resolve()
        }
        listening.add(listen)
        listen() // it may have said so already
        void ended.then(({ code, signal }) => reject(new Error(`millrace ${words.join(' ')} ended (${signal ?? code}): ${log}`)))
      }),
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  }
}

export interface Answer extends Ended {
  readonly out: string
  readonly errors: string
}

/** Any command to its end, with these lines on its stdin. */
export async function millrace(words: readonly string[], lines: Iterable<string> = []): Promise<Answer> {
  const child = start(words)
  const [out, errors] = [child.stdout, child.stderr].map((stream) => {
    const parts: Buffer[] = []
    stream?.on('data', (part: Buffer) => parts.push(part))
    return parts
  }) as [Buffer[], Buffer[]]
  child.stdin?.end([...lines].map((line) => `${line}\n`).join(''))
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) =>
      resolve({ code, signal, out: Buffer.concat(out).toString('utf8'), errors: Buffer.concat(errors).toString('utf8') }),
    )
  })
}

/** The same, but status 0 is a must: its output. */
export async function succeed(words: readonly string[], lines: Iterable<string> = []): Promise<string> {
  const { code, signal, out, errors } = await millrace(words, lines)
  if (code !== 0) throw new Error(`millrace ${words.join(' ')} ended with ${signal ?? code}: ${errors}`)
  return out
}

/** The lines of `consume` as objects. */
export async function consumed<K, V>(topic: string, stateDir: string): Promise<{ key: K; value: V | null; timestamp: number }[]> {
  const out = await succeed(['consume', topic, '--state-dir', stateDir])
  return out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { key: K; value: V | null; timestamp: number })
}
