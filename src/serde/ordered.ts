// Two keys in one, so that all that share the first lie together in a store: int32 length of the first, the first, the rest.
// The length comes before, so no first key is the prefix of another. Used by foreign-key joins: (foreign key, left key).
import { asBuffer } from '../base/bytes.ts'
import { refuseBytes } from './refuse.ts'

/** What all pairs with this first key begin with, and nothing else. */
export function pairPrefix(first: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(4 + first.length)
  bytes.writeInt32BE(first.length, 0)
  bytes.set(first, 4)
  return bytes
}

export function encodePair(first: Uint8Array, rest: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(4 + first.length + rest.length)
  bytes.writeInt32BE(first.length, 0)
  bytes.set(first, 4)
  bytes.set(rest, 4 + first.length)
  return bytes
}

/** Views of the same memory. */
export function decodePair(bytes: Uint8Array): { readonly first: Buffer; readonly rest: Buffer } {
  const buffer = asBuffer(bytes)
  const length = buffer.length < 4 ? -1 : buffer.readInt32BE(0)
  if (length < 0 || length > buffer.length - 4) throw refuseBytes('key pair', 'the length is not that of the bytes')
  return { first: buffer.subarray(4, 4 + length), rest: buffer.subarray(4 + length) }
}
