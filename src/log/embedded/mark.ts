// The mark: the number of the last acknowledged commit, in a small file beside the database. LevelDB takes the torn end of its
// write-ahead log for a write that was never finished and drops it without a word; the mark tells such a loss from a crash.
//
// Invariants
// 1. It is written after the commit is synced and before it is acknowledged, so the database is never behind it.
// 2. It is not synced itself: it outlives a killed process, and after a power loss it may be older, which is no harm.
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'

const FILE = 'mark'
const BYTES = 12

export interface Mark {
  /** -1: none yet, or unreadable. */
  readonly commit: number
  write(commit: number): void
  close(): void
}

export function openMark(dir: string): Mark {
  const file = openSync(join(dir, FILE), 'a+', 0o600)
  const bytes = Buffer.alloc(BYTES)
  const read = readSync(file, bytes, 0, BYTES, 0)
  closeSync(file)
  const whole = read === BYTES && bytes.readUInt32LE(8) === crc32(bytes.subarray(0, 8))
  // 'a' would put every write at the end
  const target = openSync(join(dir, FILE), 'r+')
  return {
    commit: whole ? bytes.readDoubleLE(0) : -1,
    write(commit) {
      bytes.writeDoubleLE(commit, 0)
      bytes.writeUInt32LE(crc32(bytes.subarray(0, 8)), 8)
      writeSync(target, bytes, 0, BYTES, 0)
    },
    close() {
      closeSync(target)
    },
  }
}
