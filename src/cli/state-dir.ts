// What the binary keeps in a state directory for the commands that reach it later: which topology it is of.
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const NAME = 'topology.json'

export interface Remembered {
  /** Absolute path of the topology file. */
  readonly file: string
  readonly applicationId: string
}

/** Keys and values may be personal data: whatever this process makes is for its owner only, LevelDB's files too. */
export function keepPrivate(): void {
  process.umask(0o077)
}

export function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

export function remember(stateDir: string, file: string, applicationId: string): void {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 })
  const next = join(stateDir, `${NAME}.next`)
  writeFileSync(next, `${JSON.stringify({ file: resolve(file), applicationId })}\n`, { mode: 0o600 })
  renameSync(next, join(stateDir, NAME))
}

/** Null: nothing was remembered here, or nothing that can be read. */
export function recall(stateDir: string): Remembered | null {
  try {
    const found = JSON.parse(readFileSync(join(stateDir, NAME), 'utf8')) as Partial<Remembered>
    return typeof found.file === 'string' && typeof found.applicationId === 'string'
      ? { file: found.file, applicationId: found.applicationId }
      : null
  } catch {
    return null
  }
}
