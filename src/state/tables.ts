// Checks every block of a store's live tables against LevelDB's own checksum, before LevelDB opens them. LevelDB never does: a flipped
// bit in a key loses the key without a word, in an index it can end the process by an assertion. The checksum of our values (R6)
// sees neither. It reads; it never writes and never repairs. About 1 GB/s, from the page cache.
//
// Invariants
// 1. `tableFault` answers null only if the blocks lie side by side from the first byte to the footer, each with a sound checksum: every
//    byte but the footer's padding is covered.
// 2. A file that is gone is no fault here: another process may own the store, then LevelDB's lock says so.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { maskedCrc32c } from './crc32c.ts'
import { ignoreMissing } from './directory.ts'
import { liveTables } from './manifest.ts'

const FOOTER_BYTES = 48
const TRAILER_BYTES = 5
const MAGIC = Buffer.from('57fb808b247547db', 'hex')

/** What is wrong with the first damaged table, or null. */
export async function tablesFault(path: string): Promise<string | null> {
  for (const { number, bytes } of (await liveTables(path)) ?? []) {
    const digits = String(number).padStart(6, '0')
    const table =
      (await readFile(join(path, `${digits}.ldb`)).catch(ignoreMissing)) ??
      (await readFile(join(path, `${digits}.sst`)).catch(ignoreMissing))
    if (table === null) continue
    const fault = table.length === bytes ? tableFault(table) : `it has ${table.length} bytes, not ${bytes}`
    if (fault !== null) return `table ${digits}.ldb is damaged: ${fault}`
  }
  return null
}

interface Handle {
  readonly from: number
  readonly bytes: number
}

/** What is wrong with a table's bytes, or null. */
export function tableFault(table: Buffer): string | null {
  const footer = table.length - FOOTER_BYTES
  if (footer < 0) return 'it is too short'
  if (!table.subarray(-MAGIC.length).equals(MAGIC)) return 'its end is not that of a table'
  try {
    const metaIndex = handleAt(table, footer)
    const index = handleAt(table, metaIndex.next)
    const blocks = [...handlesOf(table, index.handle), ...handlesOf(table, metaIndex.handle), metaIndex.handle, index.handle]
    blocks.sort((a, b) => a.from - b.from)
    let end = 0
    for (const { from, bytes } of blocks) {
      if (from !== end) return `a gap at byte ${end}`
      if (!soundBlock(table, { from, bytes })) return `a wrong checksum at byte ${from}`
      end = from + bytes + TRAILER_BYTES
    }
    return end === footer ? null : `a gap at byte ${end}`
  } catch (error) {
    return error instanceof RangeError ? `it can't be followed: ${error.message}` : String(error)
  }
}

function soundBlock(table: Buffer, { from, bytes }: Handle): boolean {
  const end = from + bytes
  return end + TRAILER_BYTES <= table.length && maskedCrc32c(table, from, end + 1) === table.readUInt32LE(end + 1)
}

/** The handles that an index block points at. The blocks of our stores are never compressed (LEVEL_OPTIONS). */
function handlesOf(table: Buffer, block: Handle): Handle[] {
  if (!soundBlock(table, block)) throw new RangeError(`a wrong checksum at byte ${block.from}`)
  const end = block.from + block.bytes
  if (table[end] !== 0) throw new RangeError('an index is compressed')
  const restarts = table.readUInt32LE(end - 4)
  const entriesEnd = end - 4 - restarts * 4
  const handles: Handle[] = []
  for (let at = block.from; at < entriesEnd; ) {
    // An entry: bytes shared with the key before, bytes of its own, bytes of the value, key, value.
    const shared = varint(table, at)
    const own = varint(table, shared.next)
    const value = varint(table, own.next)
    handles.push(handleAt(table, value.next + own.value).handle)
    at = value.next + own.value + value.value
  }
  return handles
}

function handleAt(table: Buffer, at: number): { readonly handle: Handle; readonly next: number } {
  const from = varint(table, at)
  const bytes = varint(table, from.next)
  return { handle: { from: from.value, bytes: bytes.value }, next: bytes.next }
}

function varint(table: Buffer, at: number): { readonly value: number; readonly next: number } {
  let value = 0
  for (let scale = 1, next = at; scale < 2 ** 53; scale *= 128) {
    const byte = table[next++]
    if (byte === undefined) break
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return { value, next }
  }
  throw new RangeError(`no number at byte ${at}`)
}
