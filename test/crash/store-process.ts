// Starts the other process of the store's crash tests, and waits for its lines.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const CHILD = fileURLToPath(new URL('./store-child.ts', import.meta.url))

export interface Child {
  readonly process: ChildProcess
  readonly lines: string[]
  /** The first line, or what the process said instead of it. */
  readonly first: Promise<string>
  /** Resolves when it is gone and every line has been read. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; stderr: string }>
}

/** `under`: a command that runs the process, such as one that sets a limit first. */
export function child(words: readonly string[], under: readonly string[] = []): Child {
  const [command, ...args] = [...under, process.execPath, CHILD, ...words] as [string, ...string[]]
  const started = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const lines: string[] = []
  let stderr = ''
  started.stderr.on('data', (bytes: Buffer) => {
    stderr += bytes.toString('utf8')
  })
  const reader = createInterface({ input: started.stdout })
  const closed = once(reader, 'close')
  const first = new Promise<string>((resolve, reject) => {
    reader.on('line', (line) => {
      lines.push(line)
      resolve(line)
    })
    reader.on('close', () => reject(new Error(`the child said nothing: ${stderr}`)))
  })
  first.catch(() => {})
  const exited = new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
    started.on('close', (code, signal) => resolve([code, signal])),
  )
  const ended = Promise.all([exited, closed]).then(([[code, signal]]) => ({ code, signal, stderr }))
  return { process: started, lines, first, ended }
}

/** Runs it to its end; throws when it did not say anything. */
export async function run(
  words: readonly string[],
  under: readonly string[] = [],
): Promise<{ lines: string[]; code: number | null; signal: NodeJS.Signals | null }> {
  const started = child(words, under)
  const { code, signal, stderr } = await started.ended
  if (started.lines.length === 0) throw new Error(`${words[0]} said nothing, ended with ${code ?? signal}: ${stderr}`)
  return { lines: started.lines, code, signal }
}
