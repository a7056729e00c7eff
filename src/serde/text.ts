// string(): text as UTF-8, the bytes of Kafka's StringSerializer. Never replaces anything silently.
//
// Invariants
// 1. Malformed bytes are refused (Kafka's StringDeserializer puts U+FFFD there): two keys that differ stay different.
// 2. Text with half a surrogate pair is refused, for the same reason.
// 3. A byte order mark is part of the text, as in Kafka.
import { isUtf8 } from 'node:buffer'
import { asBuffer } from '../base/bytes.ts'
import { refuseBytes, refuseValue } from './refuse.ts'
import type { Serde } from './serde.ts'

// Twice as fast as toString on short values; Node has it, its types have not.
type Utf8Slice = Buffer & { utf8Slice(start: number, end: number): string }

/** The text of UTF-8 bytes, undefined when they are malformed. */
export function decodeUtf8(bytes: Buffer): string | undefined {
  const text = (bytes as Utf8Slice).utf8Slice(0, bytes.length)
  // The native decoder writes U+FFFD for what is malformed. The search costs nothing on text of one byte a character.
  return text.includes('\ufffd') && !isUtf8(bytes) ? undefined : text
}

function check(value: unknown): string {
  if (typeof value !== 'string') throw refuseValue('string()', 'a string', value)
  if (!value.isWellFormed()) throw refuseBytes('string()', 'the text has half a surrogate pair, which UTF-8 cannot hold')
  return value
}

const STRING: Serde<string> = Object.freeze({
  name: 'string',
  encode: (value: string) => Buffer.from(check(value), 'utf8'),
  decode(bytes: Uint8Array): string {
    const text = decodeUtf8(asBuffer(bytes))
    if (text === undefined) throw refuseBytes('string()', 'the bytes are not UTF-8')
    return text
  },
  toJson: (value: string) => value,
  fromJson: (json: unknown) => check(json),
})

/** Text as UTF-8. */
export function string(): Serde<string> {
  return STRING
}
