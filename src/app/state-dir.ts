// The state directory: who owns it, and the process id that it keeps, so that a restart settles its own predecessor's transaction (R4).
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { MillraceError } from '../base/errors.ts'
import type { World } from '../base/ports.ts'

export interface StateDir {
  readonly path: string
  /** The stores' directory of this application: `<path>/<applicationId>`. */
  readonly stores: string
  /** Kept for ever in this directory; part of the transactional id and of the static member id. */
  readonly processId: string
}

export function openStateDir(path: string, applicationId: string, world: World): StateDir {
  const stores = join(path, applicationId)
  try {
    makeDirectory(stores)
    chmodSync(stores, 0o700) // one that was unpacked from a backup
    return { path, stores, processId: processIdOf(path, world) }
  } catch (error) {
    throw new MillraceError('STREAM_USAGE', `state directory ${path} can't be used`, { cause: error })
  }
}

/** mkdir -p. Node's own never returns where a directory exists and takes no children, as in /proc. */
function makeDirectory(path: string): void {
  const whole = resolve(path)
  if (existsSync(whole)) return
  if (dirname(whole) !== whole) makeDirectory(dirname(whole))
  try {
    mkdirSync(whole, { mode: 0o700 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

function processIdOf(path: string, world: World): string {
  const file = join(path, 'process.id')
  try {
    const id = readFileSync(file, 'utf8').trim()
    if (/^[0-9a-f]{16}$/.test(id)) return id
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const id = world.random.hex(8)
  writeFileSync(file, `${id}\n`, { mode: 0o600 })
  return id
}

/** Ids of the tasks that have stores here, in order. */
export function storedTasks(stores: string): string[] {
  return readdirSync(stores, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && /^\d+_\d+$/.test(entry.name))
    .map((entry) => entry.name)
    .sort((a, b) => {
      const [aSub = 0, aPartition = 0] = a.split('_').map(Number)
      const [bSub = 0, bPartition = 0] = b.split('_').map(Number)
      return aSub - bSub || aPartition - bPartition
    })
}

/** Bytes of their files, by task; what can't be looked at is left out. */
export function storedBytes(stores: string): Readonly<Record<string, number>> {
  const bytes: Record<string, number> = {}
  for (const task of storedTasks(stores)) {
    try {
      const files = readdirSync(join(stores, task), { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile())
      // what was set aside as damaged lies beside the store
      const sound = files.filter(({ parentPath }) => !/\.damaged(-\d+)?(\/|$)/.test(parentPath))
      bytes[task] = sound.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0)
    } catch {}
  }
  return bytes
}
