// A place in memory where rows are framed one after the other, as framing.ts says they lie on disk, from bytes that lie anywhere, and
// handed to LevelDB's batch, which copies at once. It makes no object for a row: views of the place are kept and found again by where they
// begin and end.
//
// Invariants
// 1. The frame ends, and the key begins, at one fixed middle: so the checksum is taken of one piece, and a view's ends depend on lengths
//    alone.
// 2. What reaches the batch is what `storedKey` and `writeFrame` make of the same row.
import { crc32 } from 'node:zlib'
import { ESCAPE, FRAME_BYTES, storedKey } from './framing.ts'

/** The package's own way to take bytes that need no encoding: what it does around it (options, hooks, events, all unused here) costs
 *  more than LevelDB's copy. */
export interface BytesBatch {
  _put(key: Uint8Array, value: Uint8Array): void
  _del(key: Uint8Array): void
}

export interface FramePlace {
  /** As `Loader.put`. */
  put(
    batch: BytesBatch,
    key: Buffer,
    keyAt: number,
    keyLength: number,
    value: Buffer | null,
    valueAt: number,
    valueLength: number,
    timestamp: number,
  ): void
}

const FRAME_ROOM_BYTES = 16 * 1024
const KEY_ROOM_BYTES = 1024
/** Views that are kept: lengths of keys, of values, and both together, repeat. A power of two. */
const VIEWS = 1024
/** Up to here a loop copies faster than a call. */
const LOOP_BYTES = 24

export function framePlace(): FramePlace {
  let middle = FRAME_ROOM_BYTES
  let bytes = new Uint8Array(middle + KEY_ROOM_BYTES)
  let numbers = new DataView(bytes.buffer)
  const begins = new Int32Array(VIEWS).fill(-1)
  const ends = new Int32Array(VIEWS)
  const views = new Array<Uint8Array>(VIEWS).fill(bytes)

  const grow = (frameBytes: number, keyBytes: number): void => {
    const keyRoom = Math.max(bytes.length - middle, 2 * keyBytes)
    middle = Math.max(middle, 2 * frameBytes)
    bytes = new Uint8Array(middle + keyRoom)
    numbers = new DataView(bytes.buffer)
    begins.fill(-1)
  }

  const view = (begin: number, end: number): Uint8Array => {
    const at = (Math.imul(begin, 31) + end) & (VIEWS - 1)
    if (begins[at] === begin && ends[at] === end) return views[at] as Uint8Array
    begins[at] = begin
    ends[at] = end
    const made = bytes.subarray(begin, end)
    views[at] = made
    return made
  }

  const copy = (from: Buffer, at: number, length: number, to: number): void => {
    if (length > LOOP_BYTES) from.copy(bytes, to, at, at + length)
    else for (let i = 0; i < length; i++) bytes[to + i] = from[at + i] as number
  }

  return {
    put(batch, key, keyAt, keyLength, value, valueAt, valueLength, timestamp) {
      const frameBytes = FRAME_BYTES + (value === null ? 0 : valueLength)
      if (frameBytes > middle || keyLength > bytes.length - middle) grow(frameBytes, keyLength)
      copy(key, keyAt, keyLength, middle)
      const escaped = keyLength > 0 && bytes[middle] === ESCAPE
      const stored = escaped ? storedKey(key.subarray(keyAt, keyAt + keyLength)) : view(middle, middle + keyLength)
      if (value === null) {
        batch._del(stored)
        return
      }
      const begin = middle - frameBytes
      copy(value, valueAt, valueLength, begin + FRAME_BYTES)
      numbers.setFloat64(begin + 4, timestamp)
      numbers.setUint32(begin, crc32(view(begin + 4, middle + keyLength)))
      batch._put(stored, view(begin, middle))
    },
  }
}
