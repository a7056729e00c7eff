// Which tables a LevelDB directory is made of: CURRENT names the MANIFEST, the MANIFEST is a log of edits. Read only, and only enough
// of the format to know the live tables: LevelDB leaves dead and half-written ones behind at a kill, those prove nothing.
// It answers null for whatever it can't follow: to judge a MANIFEST is LevelDB's own business, it checks every record of it at an open.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

const BLOCK_BYTES = 32 * 1024
const HEADER_BYTES = 7

export interface LiveTable {
  readonly number: number
  readonly bytes: number
}

interface Cursor {
  readonly bytes: Buffer
  at: number
}

/** The live tables by their number, or null when CURRENT or the MANIFEST can't be followed. */
export async function liveTables(path: string): Promise<LiveTable[] | null> {
  try {
    const current = (await readFile(join(path, 'CURRENT'), 'latin1')).trim()
    if (!/^MANIFEST-\d+$/.test(current)) return null
    return replay(await readFile(join(path, current)))
  } catch {
    return null
  }
}

function replay(manifest: Buffer): LiveTable[] {
  const live = new Map<number, LiveTable>()
  for (const edit of logRecords(manifest)) {
    const cursor: Cursor = { bytes: edit, at: 0 }
    while (cursor.at < edit.length) applyField(live, cursor)
  }
  return [...live.values()].sort((a, b) => a.number - b.number)
}

function applyField(live: Map<number, LiveTable>, cursor: Cursor): void {
  switch (varint(cursor)) {
    case 1: // comparator
      skipText(cursor)
      return
    case 2: // log number
    case 3: // next file number
    case 4: // last sequence
    case 9: // previous log number
      varint(cursor)
      return
    case 5: // compaction pointer: level, key
      varint(cursor)
      skipText(cursor)
      return
    case 6: // table removed: level, number
      varint(cursor)
      live.delete(varint(cursor))
      return
    case 7: {
      // table added: level, number, size, smallest key, largest key
      varint(cursor)
      const number = varint(cursor)
      live.set(number, { number, bytes: varint(cursor) })
      skipText(cursor)
      skipText(cursor)
      return
    }
    default:
      throw new RangeError('an edit of an unknown kind')
  }
}

/** The records of LevelDB's log format, fragments joined. Stops at a torn end, as LevelDB does. */
function logRecords(log: Buffer): Buffer[] {
  const records: Buffer[] = []
  let fragments: Buffer[] = []
  let at = 0
  while (at + HEADER_BYTES <= log.length) {
    const left = BLOCK_BYTES - (at % BLOCK_BYTES)
    if (left < HEADER_BYTES) {
      at += left
      continue
    }
    const bytes = log.readUInt16LE(at + 4)
    const kind = log[at + 6] as number
    if (at + HEADER_BYTES + bytes > log.length) break
    const fragment = log.subarray(at + HEADER_BYTES, at + HEADER_BYTES + bytes)
    at += HEADER_BYTES + bytes
    // 1: whole, 2: first, 3: middle, 4: last
    if (kind < 1 || kind > 4) throw new RangeError('a log record of an unknown kind')
    fragments = kind < 3 ? [fragment] : [...fragments, fragment]
    if (kind === 1 || kind === 4) records.push(Buffer.concat(fragments))
  }
  return records
}

/** Multiplied, not shifted: sequence numbers need more than 32 bits. */
function varint(cursor: Cursor): number {
  let value = 0
  for (let scale = 1; ; scale *= 128) {
    const byte = cursor.bytes[cursor.at++]
    if (byte === undefined) throw new RangeError('an edit ends early')
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return value
  }
}

function skipText(cursor: Cursor): void {
  const bytes = varint(cursor)
  cursor.at += bytes
}
