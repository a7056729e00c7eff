// bytes(): bytes as they are. Never copies: what is decoded is a view of the record's memory and must not be changed.
// As JSON: base64, with its padding.
import { asBuffer } from '../base/bytes.ts'
import { refuseBytes, refuseValue } from './refuse.ts'
import type { Serde } from './serde.ts'

function check(value: unknown): Buffer {
  if (!(value instanceof Uint8Array)) throw refuseValue('bytes()', 'a Buffer or Uint8Array', value)
  return asBuffer(value)
}

const BYTES: Serde<Buffer> = Object.freeze({
  name: 'bytes',
  encode: (value: Buffer) => check(value),
  decode: (bytes: Uint8Array) => asBuffer(bytes),
  toJson: (value: Buffer) => check(value).toString('base64'),
  fromJson(json: unknown): Buffer {
    if (typeof json !== 'string') throw refuseValue('bytes()', 'base64 text', json)
    const bytes = Buffer.from(json, 'base64')
    // Node skips what is not base64; whoever sent it meant something else.
    if (bytes.toString('base64') !== json) throw refuseBytes('bytes()', 'the text is not base64 (A-Z a-z 0-9 + /, padded with =)')
    return bytes
  },
})

/** Bytes as they are: no copy on either way. */
export function bytes(): Serde<Buffer> {
  return BYTES
}
