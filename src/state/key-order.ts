// The order in which rows in columns go into LevelDB: about that of their keys. Its memtable is a list that is searched for each row; when
// neighbours come one after the other, what is looked at on the way is in the processor's cache still (a million shuffled rows in four
// stores: LevelDB's threads took 1.8 instead of 2.7 CPU s, the sorting 0.1).
//
// Invariants
// 1. Every row once; rows of one key stay in their order.
// 2. Keys are compared by the five bytes behind what all of them begin with, no further: the rest is left as it came.
import type { RecordColumns } from '../base/columns.ts'

const INDEX_VALUES = 4096 // 12 bits, behind 40 of the key: a safe integer
const KEY_BYTES = 5

/** Answers indices into columns of at most `ORDERED_MAX` rows, until its next call; no key may be null. */
export type KeyOrder = (columns: RecordColumns) => Uint16Array
export const ORDERED_MAX = INDEX_VALUES

export function keyOrder(): KeyOrder {
  const packed = new Float64Array(ORDERED_MAX)
  const order = new Uint16Array(ORDERED_MAX)
  return (columns) => {
    const { bytes, count, keyAts, keyLengths } = columns
    const skipped = commonPrefix(columns)
    for (let i = 0; i < count; i++) {
      const at = (keyAts[i] as number) + skipped
      const end = (keyAts[i] as number) + (keyLengths[i] as number)
      let n = 0
      for (let b = at; b < at + KEY_BYTES; b++) n = n * 256 + (b < end ? (bytes[b] as number) : 0)
      packed[i] = n * INDEX_VALUES + i
    }
    const sorted = packed.subarray(0, count).sort()
    for (let i = 0; i < count; i++) order[i] = (sorted[i] as number) % INDEX_VALUES
    return order.subarray(0, count)
  }
}

function commonPrefix({ bytes, count, keyAts, keyLengths }: RecordColumns): number {
  const first = keyAts[0] as number
  let length = count === 0 ? 0 : (keyLengths[0] as number)
  for (let i = 1; i < count && length > 0; i++) {
    const at = keyAts[i] as number
    const most = Math.min(length, keyLengths[i] as number)
    length = 0
    while (length < most && bytes[at + length] === bytes[first + length]) length++
  }
  return length
}
