// The directories of stores on disk: `<dir>/<task>/<store>/`, made with 0700 from validated names, set aside as `<store>.damaged`.
// It never follows a symbolic link below `dir`, never deletes a store's files but the oldest set-aside ones, and never opens a LOCK
// file: closing any descriptor of it would drop this process's own lock on it.
import { lstat, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { MillraceError } from '../base/errors.ts'
import { checkName } from '../base/names.ts'

/** Set-aside copies kept for a person to look at; the oldest goes first. */
const ASIDE_MAX = 3
const ASIDE = /\.damaged(?:-(\d+))?$/

export function checkStoreName(store: string): string {
  if (ASIDE.test(checkName(store, 'store'))) {
    throw new MillraceError('STREAM_NAME', `store name "${store}" is not allowed: names that end in ".damaged" are for stores set aside`)
  }
  return store
}

export function storePath(dir: string, task: string, store: string): string {
  return join(dir, checkName(task, 'task'), checkStoreName(store))
}

async function ownDirectory(path: string, recursive: boolean): Promise<void> {
  await mkdir(path, { recursive, mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  const found = await lstat(path)
  if (!found.isDirectory()) {
    const what = found.isSymbolicLink() ? 'a symbolic link' : 'no directory'
    throw new MillraceError('STREAM_USAGE', `state directory ${path} is ${what}: remove it, or name another state directory`)
  }
}

/** Makes what is missing; answers the store's directory. */
export async function makeStoreDirectory(dir: string, task: string, store: string): Promise<string> {
  const path = storePath(dir, task, store)
  await ownDirectory(dir, true)
  await ownDirectory(join(dir, task), false)
  await ownDirectory(path, false)
  return path
}

/** Renames the store's directory; answers the new name, or null when there was none. */
export async function moveAside(dir: string, task: string, store: string): Promise<string | null> {
  const path = storePath(dir, task, store)
  const parent = join(dir, task)
  const names = await readdir(parent).catch(ignoreMissing)
  if (names === null || !names.includes(store)) return null
  const taken = names.filter((name) => ASIDE.test(name) && name.replace(ASIDE, '') === store)
  const numbered = taken.map((name) => ({ name, number: Number(ASIDE.exec(name)?.[1] ?? 1) })).sort((a, b) => a.number - b.number)
  const number = (numbered.at(-1)?.number ?? 0) + 1
  const target = number === 1 ? `${store}.damaged` : `${store}.damaged-${number}`
  await rename(path, join(parent, target))
  for (const old of numbered.slice(0, Math.max(0, numbered.length + 1 - ASIDE_MAX))) {
    await rm(join(parent, old.name), { recursive: true, force: true })
  }
  return join(parent, target)
}

export async function directoryBytes(path: string): Promise<number> {
  let bytes = 0
  for (const name of await readdir(path)) bytes += (await stat(join(path, name)).catch(ignoreMissing))?.size ?? 0
  return bytes
}

/** Makes every write-ahead log of the directory, and the directory itself, safe against power loss. */
export async function syncWriteAheadLogs(path: string): Promise<void> {
  const logs = (await readdir(path)).filter((name) => name.endsWith('.log')).map((name) => join(path, name))
  for (const name of [...logs, path]) {
    // LevelDB may remove a log that it has just compacted away.
    const file = await open(name, 'r').catch(ignoreMissing)
    if (file === null) continue
    try {
      await file.sync()
    } finally {
      await file.close()
    }
  }
}

/** For `catch`: null when the file is not there. */
export function ignoreMissing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null
  throw error
}
