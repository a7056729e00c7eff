// bytes(): bytes as they are, copied on either way: callbacks change values in place, and the memory below is a store's row or a record
// on its way. As JSON: base64, with its padding.
import { asBuffer } from '../base/bytes.ts'
import { refuseBytes, refuseValue } from './refuse.ts'
import type { Serde } from './serde.ts'

function check(value: unknown): Buffer {
  if (!(value instanceof Uint8Array)) throw refuseValue('bytes()', 'a Buffer or Uint8Array', value)
  return asBuffer(value)
}

const BYTES: Serde<Buffer> = Object.freeze({
  name: 'bytes',
  encode: (value: Buffer) => Buffer.from(check(value)),
  decode: (bytes: Uint8Array) => Buffer.from(bytes),
  toJson: (value: Buffer) => check(value).toString('base64'),
  fromJson(json: unknown): Buffer {
    if (typeof json !== 'string') throw refuseValue('bytes()', 'base64 text', json)
    const bytes = Buffer.from(json, 'base64')
    // Node skips what is not base64; whoever sent it meant something else.
    if (bytes.toString('base64') !== json) throw refuseBytes('bytes()', 'the text is not base64 (A-Z a-z 0-9 + /, padded with =)')
    return bytes
  },
})

/** Bytes as they are. What is handed out may be changed: it is a copy. */
export function bytes(): Serde<Buffer> {
  return BYTES
}
