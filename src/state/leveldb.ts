// Stores on disk: a provider that opens LevelDB stores in `<dir>/<task>/<store>/` and decides whether what lies there may be used.
// It never repairs, and deletes only what it is told to: what is in doubt is moved aside, and the caller restores from the changelog.
//
// Invariants
// 1. A store is created in an empty directory only (R7).
// 2. An existing store is handed out only if LevelDB opened it without dropping writes, its tables have sound checksums, and its
//    checkpoint row is there, sound, and of this boot of the machine or clean (R7, R8).
// 3. Files that another process holds are never moved.
import { readFileSync } from 'node:fs'
import { link, mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Level } from 'level'
import { MillraceError } from '../base/errors.ts'
import type { World } from '../base/ports.ts'
import { checkpointFault, DAMAGED_MARK, droppedWrites, lockedError, openFault, stillOpenError } from './damage.ts'
import { ignoreMissing, makeStoreDirectory, moveAside, storePath } from './directory.ts'
import { CHECKPOINT_KEY, readCheckpoint, USER_END } from './framing.ts'
import { type Database, levelStore } from './level-store.ts'
import { memoryProvider } from './memory.ts'
import type { Checkpoint, OpenedStore, StateStore, StoreProvider } from './store.ts'
import { tablesFault } from './tables.ts'

/** Who of several providers of one process may open a store's folder (and only with them: alone a provider knows by itself). */
export interface Claims {
  /** False: another one has it. */
  take(path: string): Promise<boolean>
  give(path: string): void
}

export interface LevelProviderOptions {
  /** `<stateDir>/<applicationId>`; made when missing. */
  readonly dir: string
  readonly world: World
  /** What names this boot of the machine; the kernel's when left out, '' where there is none (then power loss is not noticed). */
  readonly bootId?: string
  /** Check every block of a store's tables when it is opened (about 3 s a GB); true when left out. Without it a flipped bit in a key
   *  or an index goes unnoticed, one in a value does not. */
  readonly checkTables?: boolean
  readonly claims?: Claims
}

/** LevelDB's options, each with its reason (500,000 values of 150 bytes, two cores). */
export const LEVEL_OPTIONS = {
  keyEncoding: 'buffer',
  valueEncoding: 'buffer',
  // Random reads 1.3 to 1.5 times as fast (blocks come straight from the mapped file), writes the same, two to three times the disk.
  compression: false,
  // Two of these are held per store, and a process holds stores x partitions of them; 16 MiB brought no more writes.
  writeBufferSize: 4 * 1024 * 1024,
  // Uncompressed blocks are not cached here but mapped; 1 and 2 KiB blocks changed nothing beyond the noise.
  blockSize: 4096,
  cacheSize: 8 * 1024 * 1024,
} as const

/** Directories open in this process: the kernel's lock does not tell two stores of one process apart. */
const openPaths = new Set<string>()

export function kernelBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  } catch {
    return ''
  }
}

export function levelProvider(options: LevelProviderOptions): StoreProvider {
  const { dir, world, claims } = options
  const bootId = options.bootId ?? kernelBootId()
  const checkTables = options.checkTables ?? true
  const transient = memoryProvider()

  const openDisk = async (task: string, store: string): Promise<OpenedStore> => {
    const path = await makeStoreDirectory(dir, task, store)
    await take(path)
    try {
      const found = await tryOpen(path, bootId, checkTables)
      if ('db' in found) return { store: handOut(`${task}/${store}`, path, found), rebuilt: null }
      const aside = await moveAside(dir, task, store)
      world.logger.warn({ store: `${task}/${store}`, reason: found.reason, aside }, `store ${task}/${store} is set aside: ${found.reason}`)
      await makeStoreDirectory(dir, task, store)
      const fresh = await tryOpen(path, bootId, checkTables)
      if (!('db' in fresh)) throw surroundingsError(path, fresh.reason)
      return { store: handOut(`${task}/${store}`, path, fresh), rebuilt: found.reason }
    } catch (error) {
      give(path)
      throw error
    }
  }

  const take = async (path: string): Promise<void> => {
    if (openPaths.has(path)) throw lockedError(path)
    openPaths.add(path)
    if (claims === undefined || (await claims.take(path))) return
    openPaths.delete(path)
    throw stillOpenError(path)
  }

  const give = (path: string): void => {
    openPaths.delete(path)
    claims?.give(path)
  }

  const handOut = (name: string, path: string, sound: Sound): StateStore =>
    levelStore({ name, path, bootId, world, ...sound, onClosed: () => give(path) })

  return {
    async open(task, store, persistent) {
      storePath(dir, task, store)
      return persistent ? await openDisk(task, store) : await transient.open(task, store, false)
    },
    async setAside(task, store, reason, keep = true) {
      const path = storePath(dir, task, store)
      await take(path)
      try {
        await transient.setAside(task, store, reason)
        const aside = await moveAside(dir, task, store)
        if (aside !== null && !keep) await rm(aside, { recursive: true, force: true })
        else if (aside !== null)
          world.logger.warn({ store: `${task}/${store}`, reason, aside }, `store ${task}/${store} is set aside: ${reason}`)
      } finally {
        give(path)
      }
    },
  }
}

/** A store as it lies on disk, for looking at it: null where there is none, or why it could not be used. Makes nothing and moves nothing. */
export async function lookAtStore(
  { dir, world, bootId = kernelBootId(), checkTables = true }: LevelProviderOptions,
  task: string,
  store: string,
): Promise<StateStore | { readonly reason: string } | null> {
  const path = storePath(dir, task, store)
  const files = (await readdir(path).catch(ignoreMissing)) ?? []
  if (files.length === 0) return null
  if (openPaths.has(path)) throw lockedError(path)
  openPaths.add(path)
  const onClosed = (): void => void openPaths.delete(path)
  try {
    const found = await tryOpen(path, bootId, checkTables)
    if ('db' in found) return levelStore({ name: `${task}/${store}`, path, bootId, world, ...found, onClosed })
    onClosed()
    return found
  } catch (error) {
    onClosed()
    throw error
  }
}

interface Sound {
  readonly db: Database
  readonly checkpoint: Checkpoint | null
  readonly clean: boolean
}

/** An open database that may be used, or why not. Throws when it is locked or the machine is at fault. */
async function tryOpen(path: string, bootId: string, checkTables: boolean): Promise<Sound | { readonly reason: string }> {
  const files = await readdir(path)
  // All this before LevelDB sees the files: it would rename its LOG, and a damaged index can end the process.
  const before = await faultAtRest(path, files, checkTables)
  if (before !== null) {
    if (await heldElsewhere(path)) throw lockedError(path)
    return { reason: before }
  }
  const db: Database = new Level<Buffer, Buffer>(path, { ...LEVEL_OPTIONS, createIfMissing: files.length === 0 })
  try {
    await db.open()
  } catch (error) {
    const fault = openFault(error)
    if (fault.kind === 'locked') throw lockedError(path, error)
    if (fault.kind === 'surroundings') throw surroundingsError(path, fault.text)
    return { reason: `LevelDB can't open it: ${fault.text}` }
  }
  try {
    // The LOG of this open tells what its recovery has dropped.
    const state = (await droppedWrites(path)) ?? (await readState(db, bootId))
    if (typeof state !== 'string') return state
    await db.close()
    return { reason: state }
  } catch (error) {
    await db.close().catch(() => {})
    return { reason: `LevelDB can't read it: ${openFault(error).text}` }
  }
}

async function faultAtRest(path: string, files: readonly string[], checkTables: boolean): Promise<string | null> {
  if (files.length === 0) return null
  if (files.includes(DAMAGED_MARK)) return 'an earlier call failed on it'
  return (await droppedWrites(path)) ?? (checkTables ? await tablesFault(path) : null)
}

/** Whether another process has the store open, found out without opening the store: a database of nothing whose LOCK is the same file. */
async function heldElsewhere(path: string): Promise<boolean> {
  const probe = join(path, 'PROBE')
  await rm(probe, { recursive: true, force: true })
  await mkdir(probe, { mode: 0o700 })
  try {
    await link(join(path, 'LOCK'), join(probe, 'LOCK'))
    const db: Database = new Level<Buffer, Buffer>(probe, { ...LEVEL_OPTIONS, createIfMissing: true })
    await db.open()
    await db.close()
    return false
  } catch (error) {
    // No LOCK: nobody has it open. A file system without links: the lock of the state directory must do.
    return openFault(error).kind === 'locked'
  } finally {
    await rm(probe, { recursive: true, force: true })
  }
}

async function readState(db: Database, bootId: string): Promise<Sound | string> {
  const bytes = db.getSync(CHECKPOINT_KEY)
  const row = bytes === undefined ? undefined : readCheckpoint(bytes)
  const hasData = row === undefined && (await db.keys({ lt: USER_END, limit: 1 }).all()).length > 0
  const fault = checkpointFault(row, hasData, bootId)
  if (fault !== null) return fault
  if (row === undefined || row === null) return { db, checkpoint: null, clean: true }
  const { clean, bootId: _, ...checkpoint } = row
  return { db, checkpoint, clean }
}

function surroundingsError(path: string, text: string): MillraceError {
  return new MillraceError(
    'STREAM_STORE_DAMAGED',
    `store ${path} can't be opened: ${text}; see to the disk, its rights and the open-file limit`,
    {
      disposition: 'stop',
    },
  )
}
