// Opens the database of the embedded log, or says in one line why not.
//
// Invariants
// 1. A database is created only where none was (R7): a lost CURRENT never makes a new, empty log out of an old one.
// 2. What LevelDB dropped while it recovered (its LOG says so, and only once) is remembered in the file `damaged`, so that a
//    second try does not succeed with a hole.
// 3. LevelDB's lock is held from here on until `close`.
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Level } from 'level'
import { MillraceError } from '../../base/errors.ts'
import { damaged } from './entries.ts'
import { locked, type ProcessIdentity, refuseWhenOwned, removeOwner, writeOwner } from './owner.ts'

export type Database = Level<Buffer, Buffer>

const WRITE_BUFFER_BYTES = 4 * 1024 * 1024

export async function openDatabase(dir: string, self: ProcessIdentity): Promise<Database> {
  prepare(dir)
  refuseWhenOwned(dir, self)
  const note = join(dir, 'damaged')
  if (existsSync(note)) throw damaged(dir, readFileSync(note, 'utf8').trim())
  const files = readdirSync(dir)
  const current = files.includes('CURRENT')
  if (!current && files.some((file) => file === 'mark' || file.endsWith('.ldb'))) throw damaged(dir, 'its file CURRENT is missing')
  const database: Database = new Level<Buffer, Buffer>(dir, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    createIfMissing: !current,
    writeBufferSize: WRITE_BUFFER_BYTES,
    maxFileSize: WRITE_BUFFER_BYTES,
    cacheSize: 1024 * 1024,
  })
  try {
    await database.open()
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
    if ((cause as { code?: unknown }).code === 'LEVEL_LOCKED') throw locked(dir, cause)
    throw damaged(dir, 'it does not open', cause)
  }
  try {
    writeOwner(dir, self)
    for (const file of readdirSync(dir)) keepPrivate(join(dir, file))
    const dropped = recoveryLosses(dir)
    if (dropped !== null) {
      writeFileSync(note, `committed data was lost in its write-ahead log (${dropped})\n`, { mode: 0o600 })
      throw damaged(dir, `committed data was lost in its write-ahead log (${dropped})`)
    }
  } catch (error) {
    await closeDatabase(database, dir)
    throw error
  }
  return database
}

export async function closeDatabase(database: Database, dir: string): Promise<void> {
  removeOwner(dir)
  await database.close()
}

function prepare(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    chmodSync(dir, 0o700)
  } catch (error) {
    throw new MillraceError('STREAM_USAGE', `the log directory ${dir} cannot be used; check its path and permissions`, { cause: error })
  }
}

/** LevelDB compacts from the moment it is open: a file that was there may be gone. */
function keepPrivate(file: string): void {
  try {
    chmodSync(file, 0o600)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

/** What LevelDB says that it left out while it recovered. */
function recoveryLosses(dir: string): string | null {
  const line = readFileSync(join(dir, 'LOG'), 'utf8')
    .split('\n')
    .find((of) => /dropping|ignoring error/i.test(of))
  return line === undefined ? null : line.replace(/^\S+ \S+ /, '').trim()
}
