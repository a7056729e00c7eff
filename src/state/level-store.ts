// One open store on LevelDB. It never retries a failed call, never writes after an error, and never answers bytes whose checksum
// is wrong. Opening, and the decision what may be opened, is leveldb.ts.
//
// Invariants
// 1. Entries and checkpoint are one LevelDB batch (R1); batches reach LevelDB one at a time, in the order of the calls.
// 2. The first error from LevelDB, and the first wrong checksum, poisons the store: it marks its directory, refuses every later
//    call, and `close` writes nothing (R5).
// 3. The clean flag is set by `close` alone, with sync, after every older write is on the disk; the first `apply` clears it (R8).
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Level } from 'level'
import { explain, type MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'
import { closedError, DAMAGED_MARK, damagedError } from './damage.ts'
import { directoryBytes, syncWriteAheadLogs } from './directory.ts'
import { CHECKPOINT_KEY, readFrame, storedKey, USER_END, userKey, writeCheckpoint } from './framing.ts'
import { framePlace } from './frame-place.ts'
import { type LevelBatch, levelLoader } from './level-loader.ts'
import type { Checkpoint, ScanRange, StateStore, Stored, Write } from './store.ts'

export type Database = Level<Buffer, Buffer>

/** LevelDB serves reads from any thread: one half of a long getMany runs beside the other (130,000 -> 280,000 keys/s, two cores). */
const LANE_KEYS_MIN = 128
/** A batch is filled on the event loop; every so many writes the loop gets a turn. */
const TURN_WRITES = 20_000
/** The native iterator's own limit on a chunk; its default of 16 KiB makes a thousand entries ten calls. */
const SCAN_BYTES = 1024 * 1024
const CLOSED_CODES: ReadonlySet<string> = new Set(['LEVEL_DATABASE_NOT_OPEN', 'LEVEL_ITERATOR_NOT_OPEN'])

export interface LevelStoreOptions {
  readonly name: string
  readonly path: string
  readonly db: Database
  readonly checkpoint: Checkpoint | null
  /** The row on disk says "clean" already. */
  readonly clean: boolean
  readonly bootId: string
  readonly world: World
  /** Called once, when nothing of the store is open any more. */
  readonly onClosed: () => void
}

export function levelStore(options: LevelStoreOptions): StateStore {
  const { name, path, db, bootId, world } = options
  let checkpoint = options.checkpoint
  let clean = options.clean
  let closing: Promise<void> | null = null
  let damage: MillraceError | null = null
  let marked: Promise<void> = Promise.resolve()
  let lastWrite: Promise<unknown> = Promise.resolve()
  const place = framePlace()

  const assertUsable = (): void => {
    if (damage !== null) throw damage
    if (closing !== null) throw closedError(name)
  }

  const poison = (what: string, cause?: unknown): MillraceError => {
    if (damage !== null) return damage
    // A read or a scan that `close` has overtaken.
    if (closing !== null && CLOSED_CODES.has((cause as { code?: string } | undefined)?.code ?? '')) return closedError(name)
    damage = damagedError(name, what, cause)
    world.logger.error({ store: name, err: cause }, damage.message)
    // Best effort: on a full disk it may fail too, then LevelDB's own LOG is what tells.
    marked = writeFile(join(path, DAMAGED_MARK), `${what}\n`, { mode: 0o600 }).catch(() => {})
    return damage
  }

  const unframe = (key: Buffer, frame: Buffer): Stored => {
    const stored = readFrame(key, frame)
    if (stored === null) throw poison('a value has a wrong checksum')
    return stored
  }

  const fill = async (batch: LevelBatch, writes: readonly Write[]): Promise<void> => {
    for (let i = 0; i < writes.length; i++) {
      const { key, value, timestamp } = writes[i] as Write
      place.put(batch, key, 0, key.length, value, 0, value === null ? -1 : value.length, timestamp)
      if (i % TURN_WRITES === TURN_WRITES - 1) await world.timers.sleep(0)
    }
  }

  const newBatch = (): LevelBatch => db.batch() as unknown as LevelBatch

  /** `loaded`: a batch that has its rows, and is its owner's to close. */
  const write = async (writes: readonly Write[], next: Checkpoint, isClean: boolean, loaded?: LevelBatch): Promise<void> => {
    if (damage !== null) throw damage
    try {
      const batch = loaded ?? newBatch()
      await fill(batch, writes)
      batch._put(CHECKPOINT_KEY, writeCheckpoint({ ...next, clean: isClean, bootId }))
      await batch._write({ sync: isClean })
      if (loaded === undefined) await batch.close()
    } catch (error) {
      throw poison(`a write failed: ${explain(error)}`, error)
    }
    checkpoint = next
    clean = isClean
  }

  /** One at a time, in the order of the calls. */
  const inTurn = async (work: () => Promise<void>): Promise<void> => {
    const done = lastWrite.then(work)
    lastWrite = done.catch(() => {})
    await done
  }

  const finish = async (): Promise<void> => {
    await lastWrite
    if (damage === null && checkpoint !== null && !clean) {
      try {
        // A log of an earlier memtable may be unsynced yet: a clean flag must not outlive the writes before it.
        await syncWriteAheadLogs(path)
        await write([], checkpoint, true)
      } catch (error) {
        world.logger.warn({ store: name, err: error }, `store ${name} could not be marked as cleanly closed`)
      }
    }
    try {
      await db.close()
    } finally {
      await marked
      options.onClosed()
    }
  }

  return {
    name,
    durable: true,
    get damaged() {
      return damage === null ? null : damage.message
    },
    checkpoint() {
      assertUsable()
      return checkpoint
    },
    getSync(key) {
      assertUsable()
      let frame: Buffer | undefined
      try {
        frame = db.getSync(storedKey(key))
      } catch (error) {
        throw poison(`a read failed: ${explain(error)}`, error)
      }
      return frame === undefined ? undefined : unframe(key, frame)
    },
    async getMany(keys) {
      assertUsable()
      const stored = keys.map(storedKey)
      let frames: (Buffer | undefined)[]
      try {
        if (stored.length < LANE_KEYS_MIN) frames = await db.getMany(stored)
        else {
          const half = stored.length >>> 1
          const lanes = await Promise.all([db.getMany(stored.slice(0, half)), db.getMany(stored.slice(half))])
          frames = lanes[0].concat(lanes[1])
        }
      } catch (error) {
        throw poison(`a read failed: ${explain(error)}`, error)
      }
      return frames.map((frame, i) => (frame === undefined ? undefined : unframe(keys[i] as Buffer, frame)))
    },
    scan(range) {
      assertUsable()
      return scanOf(db, range, unframe, (error) => poison(`a scan failed: ${explain(error)}`, error), assertUsable)
    },
    async apply(writes, next) {
      assertUsable()
      await inTurn(() => write(writes, next, false))
    },
    loader() {
      assertUsable()
      return levelLoader({
        place,
        batch() {
          assertUsable()
          return newBatch()
        },
        async write(batch, next) {
          assertUsable()
          await inTurn(() => write([], next, false, batch))
        },
      })
    },
    async sizeBytes() {
      assertUsable()
      return await directoryBytes(path)
    },
    close() {
      closing ??= finish()
      return closing
    },
  }
}

type Chunk = readonly (readonly [key: Buffer, stored: Stored])[]

function scanOf(
  db: Database,
  range: ScanRange,
  unframe: (key: Buffer, frame: Buffer) => Stored,
  failed: (error: unknown) => Error,
  assertUsable: () => void,
): AsyncIterable<Chunk> {
  // LevelDB takes its snapshot when the iterator is made: here, not at the first chunk.
  const from = range.from === null || range.from.length === 0 ? {} : { gte: storedKey(range.from) }
  const to = range.to === null ? { lt: USER_END } : range.toExclusive === true ? { lt: storedKey(range.to) } : { lte: storedKey(range.to) }
  const iterator = db.iterator({ ...from, ...to, reverse: range.reverse === true, highWaterMarkBytes: SCAN_BYTES })
  let ended = false
  const end = async (): Promise<IteratorReturnResult<undefined>> => {
    ended = true
    await iterator.close()
    return { done: true, value: undefined }
  }
  const next = async (): Promise<IteratorResult<Chunk, undefined>> => {
    if (ended) return { done: true, value: undefined }
    try {
      assertUsable()
      const rows = await iterator.nextv(LIMITS.scanChunkEntries).catch((error: unknown) => {
        throw failed(error)
      })
      if (rows.length === 0) return await end()
      const chunk = rows.map(([stored, frame]) => {
        const key = userKey(stored)
        if (key === null) throw failed(new Error('a row is neither a user key nor one of ours'))
        return [key, unframe(key, frame)] as const
      })
      return { done: false, value: chunk }
    } catch (error) {
      if (!ended) await end()
      throw error
    }
  }
  return { [Symbol.asyncIterator]: () => ({ next, return: end }) }
}
