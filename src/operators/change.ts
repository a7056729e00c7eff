// The bytes of a table's change on its way to another group: what to add, what to subtract. Written by a change sink; the source
// that `carries: 'changes'` reads them back, and pushes (group key, value, timestamp, old) to the table aggregate.
//
// Layout: flags (1: has a new value, 2: has an old one), with both uint32 length of the new, new, old.
import { MillraceError } from '../base/errors.ts'

const HAS_VALUE = 1
const HAS_OLD = 2

export interface Change {
  readonly value: Buffer | null
  readonly old: Buffer | null
}

export function encodeChange(value: Buffer | null, old: Buffer | null): Buffer {
  const flags = Buffer.of((value === null ? 0 : HAS_VALUE) | (old === null ? 0 : HAS_OLD))
  if (value === null) return old === null ? flags : Buffer.concat([flags, old])
  if (old === null) return Buffer.concat([flags, value])
  const length = Buffer.allocUnsafe(4)
  length.writeUInt32BE(value.length)
  return Buffer.concat([flags, length, value, old])
}

export function decodeChange(bytes: Buffer): Change {
  const flags = bytes[0]
  if (flags === HAS_VALUE) return { value: bytes.subarray(1), old: null }
  if (flags === HAS_OLD) return { value: null, old: bytes.subarray(1) }
  if (flags === 0 && bytes.length === 1) return { value: null, old: null }
  if (flags === (HAS_VALUE | HAS_OLD) && bytes.length >= 5) {
    const end = 5 + bytes.readUInt32BE(1)
    if (end <= bytes.length) return { value: bytes.subarray(5, end), old: bytes.subarray(end) }
  }
  throw new MillraceError('STREAM_SERDE', `${bytes.length} bytes are no change of a table; did something else write to the internal topic?`)
}
