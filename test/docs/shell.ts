// Types a document's commands into a shell, in a copy of the repository's root: what they write stays there.
//
// 1. `npx millrace` and `millrace` are the launcher of this repository, without npm's half second in front of it.
// 2. A `millrace run` goes on in the background, as in a terminal of its own, until the shell is closed; then it has to exit with 0.
// 3. What asks a running topology is asked again until it answers what the document shows, or `PATIENCE_MS` are over.
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { launcher, node, root } from '../cli/binary.ts'
import { type Block, commandsOf, looksLike } from './blocks.ts'

const PATIENCE_MS = 20_000
const OWN = ['.git', 'topologies', '.millrace', 'shared']

export interface Shell {
  readonly folder: string
  /** Runs the commands that are not `left out`; throws for a status or an output that the document does not show. */
  type(block: Block, leftOut?: (command: string) => boolean, change?: (command: string) => string): Promise<void>
  close(): Promise<void>
}

interface Said {
  readonly status: number | null
  readonly text: string
}

export function openShell(): Shell {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-docs-'))
  for (const entry of readdirSync(root)) if (!OWN.includes(entry)) symlinkSync(join(root, entry), join(folder, entry))
  cpSync(join(root, 'topologies'), join(folder, 'topologies'), { recursive: true })
  const bin = join(folder, '.bin')
  mkdirSync(bin)
  writeFileSync(join(bin, 'millrace'), `#!/bin/sh\nexec '${node}' '${launcher}' "$@"\n`)
  writeFileSync(join(bin, 'npx'), `#!/bin/sh\n[ "$1" = millrace ] || { echo "npx $1: only millrace is here" >&2; exit 1; }\nexec "$@"\n`)
  for (const name of ['millrace', 'npx']) chmodSync(join(bin, name), 0o755)
  const env: NodeJS.ProcessEnv = { ...process.env, PATH: `${bin}:${dirname(node)}:${process.env.PATH}` }
  for (const name of Object.keys(env)) if (name.startsWith('MILLRACE_') || name.startsWith('npm_')) delete env[name]

  const running: { readonly command: string; readonly child: ChildProcess; readonly ended: Promise<Said> }[] = []
  const begin = (command: string): { child: ChildProcess; said: () => string; ended: Promise<Said> } => {
    const child = spawn('bash', ['-o', 'pipefail', '-c', command], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
    }
    const ended = new Promise<Said>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (status) => resolve({ status, text }))
    })
    return { child, said: () => text, ended }
  }

  const background = async (command: string): Promise<Said> => {
    const { child, said, ended } = begin(`exec ${command}`)
    running.push({ command, child, ended })
    const giveUp = Date.now() + PATIENCE_MS
    while (!/"stateDir":.*"msg":"running"/.test(said())) {
      if (child.exitCode !== null || Date.now() > giveUp) throw new Error(`${command}: does not run\n${said()}`)
      await sleep(20)
    }
    return { status: 0, text: '' }
  }

  return {
    folder,
    async type(block, leftOut = () => false, change = (command) => command) {
      const commands = commandsOf(block).flatMap(({ text }) => (leftOut(text) ? [] : [change(text)]))
      const said: Said[] = []
      for (const command of commands) said.push(runs(command) ? await background(command) : await begin(command).ended)
      const giveUp = Date.now() + PATIENCE_MS
      for (;;) {
        const wrong = judge(block, commands, said)
        if (wrong === null) return
        if (!commands.some(asks) || Date.now() > giveUp) throw new Error(`line ${block.line}: ${wrong}`)
        await sleep(50)
        for (const [i, command] of commands.entries()) if (asks(command)) said[i] = await begin(command).ended
      }
    },
    async close() {
      const wrong: string[] = []
      for (const { child } of running) child.kill('SIGTERM')
      for (const { command, ended } of running) {
        const { status, text } = await ended
        if (status !== 0) wrong.push(`${command}: status ${status} after SIGTERM\n${text}`)
      }
      rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
      if (wrong.length > 0) throw new Error(wrong.join('\n'))
    },
  }
}

const runs = (command: string): boolean => /^npx millrace (run|dev) /.test(command)
const asks = (command: string): boolean => /^(npx millrace (query|consume|dead-letter list)|curl) /.test(command)

/** A block that shows a refusal ends with another status than 0; every other command with 0. */
function judge(block: Block, commands: readonly string[], said: readonly Said[]): string | null {
  const printed = said.map(({ text }) => text).join('')
  const refusal = block.shown?.startsWith('millrace: ') === true
  const bad = said.findIndex(({ status }, i) => (status === 0) === (refusal && i === said.length - 1))
  if (bad >= 0) return `${commands[bad]}: status ${said[bad]?.status}\n${printed}`
  if (block.shown === null || commands.length === 0 || looksLike(block.shown, printed)) return null
  return `shown is\n${block.shown}\nand it printed\n${printed}`
}
