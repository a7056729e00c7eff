// Numbers, text and bytes in one row. Layout: the numbers as float64, then each field: int32 length (-1: null), its bytes.
import { MillraceError } from '../base/errors.ts'

export type Field = Buffer | null

export interface Packed {
  readonly numbers: readonly number[]
  readonly fields: readonly Field[]
}

export function pack(numbers: readonly number[], fields: readonly Field[]): Buffer {
  let size = 8 * numbers.length + 4 * fields.length
  for (const field of fields) size += field?.length ?? 0
  const bytes = Buffer.allocUnsafe(size)
  let at = 0
  for (const number of numbers) at = bytes.writeDoubleBE(number, at)
  for (const field of fields) {
    at = bytes.writeInt32BE(field?.length ?? -1, at)
    at += field?.copy(bytes, at) ?? 0
  }
  return bytes
}

/** Views of the same memory. `count`: how many numbers there are. */
export function unpack(bytes: Buffer, count: number): Packed {
  const numbers: number[] = []
  const fields: Field[] = []
  let at = 8 * count
  if (bytes.length < at) refuse(bytes)
  for (let i = 0; i < count; i++) numbers.push(bytes.readDoubleBE(8 * i))
  while (at < bytes.length) {
    if (at + 4 > bytes.length) refuse(bytes)
    const length = bytes.readInt32BE(at)
    at += 4
    if (length > bytes.length - at) refuse(bytes)
    fields.push(length < 0 ? null : bytes.subarray(at, at + length))
    at += Math.max(0, length)
  }
  return { numbers, fields }
}

function refuse(bytes: Buffer): never {
  throw new MillraceError('STREAM_STORE_DAMAGED', `${bytes.length} bytes are no row of parked records; the store needs to be restored`)
}
