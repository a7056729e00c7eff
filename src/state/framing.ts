// How a store's rows lie on disk: keys, values with their checksum (R6), and the one checkpoint row. Pure; knows no LevelDB.
// It never changes a key or a value that it was handed, and never copies a key that does not need it.
//
// Invariants
// 1. Rows of our own begin with ff ff, a user's row never does: a user's key that begins with ff has 00 put behind that byte, every
//    other key is stored as it is. The order of keys stays the order of their bytes, our rows lie behind all of them.
// 2. A stored value is crc32 (4) | timestamp (8, float64) | value; the checksum covers timestamp, value and the user's key, so a value
//    that turns up under another key is damage too.
// 3. `readFrame` answers what `writeFrame` was given, or null: never something else.
import { crc32 } from 'node:zlib'
import type { Checkpoint, Stored } from './store.ts'

export const ESCAPE = 0xff
export const FRAME_BYTES = 12
const CHECKPOINT_FORMAT = 2
const CHECKPOINT_BYTES = 22
/** Without `caughtUpAtMs`. */
const FORMER_FORMAT = 1
const FORMER_BYTES = 14

/** The first key behind all user keys. */
export const USER_END: Buffer = Buffer.from([ESCAPE, ESCAPE])
export const CHECKPOINT_KEY: Buffer = Buffer.from([ESCAPE, ESCAPE, 0x63])

export function storedKey(key: Buffer): Buffer {
  if (key[0] !== ESCAPE) return key
  const escaped = Buffer.allocUnsafe(key.length + 1)
  escaped[0] = ESCAPE
  escaped[1] = 0
  key.copy(escaped, 2, 1)
  return escaped
}

/** The user's key behind a stored one, or null for a key that `storedKey` can't have made. */
export function userKey(stored: Buffer): Buffer | null {
  if (stored[0] !== ESCAPE) return stored
  if (stored[1] !== 0) return null
  const key = Buffer.allocUnsafe(stored.length - 1)
  key[0] = ESCAPE
  stored.copy(key, 1, 2)
  return key
}

/** Writes one frame to the front of `scratch`, which must hold FRAME_BYTES + value + key; answers a view of it. */
export function writeFrame(scratch: Buffer, key: Buffer, value: Buffer, timestamp: number): Buffer {
  const end = FRAME_BYTES + value.length
  scratch.writeDoubleBE(timestamp, 4)
  scratch.set(value, FRAME_BYTES)
  // The key lies behind the value only while the checksum is taken: one call instead of two.
  scratch.set(key, end)
  scratch.writeUInt32BE(crc32(scratch.subarray(4, end + key.length)), 0)
  return scratch.subarray(0, end)
}

export function readFrame(key: Buffer, frame: Buffer): Stored | null {
  if (frame.length < FRAME_BYTES) return null
  if (crc32(key, crc32(frame.subarray(4))) !== frame.readUInt32BE(0)) return null
  return { value: frame.subarray(FRAME_BYTES), timestamp: frame.readDoubleBE(4) }
}

/** What the checkpoint row holds. `clean`: written by a close, nothing came after it. */
export interface CheckpointRow extends Checkpoint {
  readonly clean: boolean
  readonly bootId: string
}

/** crc32 (4) | format (1) | clean (1) | offset (8, float64) | caught up at (8, float64, NaN: not known; from format 2 on) | boot id. */
export function writeCheckpoint(row: CheckpointRow): Buffer {
  const bootId = Buffer.from(row.bootId, 'utf8')
  const bytes = Buffer.allocUnsafe(CHECKPOINT_BYTES + bootId.length)
  bytes[4] = CHECKPOINT_FORMAT
  bytes[5] = row.clean ? 1 : 0
  bytes.writeDoubleBE(row.changelogOffset, 6)
  bytes.writeDoubleBE(row.caughtUpAtMs ?? Number.NaN, 14)
  bootId.copy(bytes, CHECKPOINT_BYTES)
  bytes.writeUInt32BE(crc32(bytes.subarray(4), crc32(CHECKPOINT_KEY)), 0)
  return bytes
}

/** Null for bytes that no `writeCheckpoint` of this format, or of the one before, made. */
export function readCheckpoint(bytes: Buffer): CheckpointRow | null {
  const headBytes = bytes[4] === FORMER_FORMAT ? FORMER_BYTES : CHECKPOINT_BYTES
  if (bytes.length < headBytes || (bytes[4] !== CHECKPOINT_FORMAT && bytes[4] !== FORMER_FORMAT)) return null
  if (crc32(bytes.subarray(4), crc32(CHECKPOINT_KEY)) !== bytes.readUInt32BE(0)) return null
  const caughtUpAtMs = bytes[4] === FORMER_FORMAT ? Number.NaN : bytes.readDoubleBE(14)
  return {
    changelogOffset: bytes.readDoubleBE(6),
    ...(Number.isNaN(caughtUpAtMs) ? {} : { caughtUpAtMs }),
    clean: bytes[5] === 1,
    bootId: bytes.toString('utf8', headBytes),
  }
}
