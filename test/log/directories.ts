// Directories and child processes of the embedded log's tests.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemWorld } from '../../src/base/system.ts'
import { openEmbeddedLog } from '../../src/log/embedded/index.ts'
import type { LocalLog } from '../../src/log/local/log.ts'

export const world = systemWorld()

/** A directory that is gone when the callback has ended. */
export async function withDirectory<T>(use: (dir: string) => Promise<T>): Promise<T> {
  const root = mkdtempSync(join(tmpdir(), 'millrace-log-'))
  try {
    return await use(join(root, 'log'))
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

export async function withLog<T>(dir: string, use: (log: LocalLog) => Promise<T>, cacheBytesMax?: number): Promise<T> {
  const log = await openEmbeddedLog({ dir, world, ...(cacheBytesMax === undefined ? {} : { cacheBytesMax }) })
  try {
    return await use(log)
  } finally {
    await log.close()
  }
}

export interface Child {
  readonly process: ChildProcess
  /** What it has written, line by line. */
  readonly lines: string[]
  readonly ended: Promise<void>
}

/** `fileBlocksMax`: no file of the child grows beyond so many KiB, as on a full disk. */
export function child(script: string, args: readonly string[], fileBlocksMax?: number): Child {
  const path = fileURLToPath(new URL(`processes/${script}`, import.meta.url))
  const limit = fileBlocksMax === undefined ? '' : `ulimit -S -f ${fileBlocksMax}; `
  const started = spawn('bash', ['-c', `${limit}exec "$0" "$@"`, process.execPath, path, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines: string[] = []
  let rest = ''
  started.stdout.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts)
  })
  return { process: started, lines, ended: new Promise((resolve) => started.on('close', () => resolve())) }
}
