// int32(), int64(), float64(), boolean(): the bytes of Kafka's IntegerSerializer, LongSerializer, DoubleSerializer and
// BooleanSerializer (big-endian). Never rounds.
//
// Invariants
// 1. Only bytes of exactly the right length are read.
// 2. An int64 is a number when that is exact (Number.isSafeInteger), else a bigint. As JSON: a number, else digits as text.
// 3. A number beyond 2^53 - 1 is refused, for it may have been rounded already; the bigint or the digits are what to give.
import { asBuffer } from '../base/bytes.ts'
import { refuseBytes, refuseLength, refuseValue } from './refuse.ts'
import type { Serde } from './serde.ts'

const TWO_32 = 0x1_0000_0000
const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n
const DIGITS = /^-?(?:0|[1-9][0-9]{0,18})$/

function sized(serde: string, bytes: Uint8Array, length: number): Buffer {
  if (bytes.length !== length) throw refuseLength(serde, length, bytes.length)
  return asBuffer(bytes)
}

function checkInt32(value: unknown): number {
  if (typeof value !== 'number' || !Number.isInteger(value)) throw refuseValue('int32()', 'a whole number', value)
  if (value < -0x8000_0000 || value > 0x7fff_ffff) throw refuseBytes('int32()', 'the number is outside -2^31 .. 2^31 - 1')
  return value
}

const INT32: Serde<number> = Object.freeze({
  name: 'int32',
  encode(value: number): Buffer {
    const bytes = Buffer.allocUnsafe(4)
    bytes.writeInt32BE(checkInt32(value), 0)
    return bytes
  },
  decode: (bytes: Uint8Array) => sized('int32()', bytes, 4).readInt32BE(0),
  toJson: (value: number) => checkInt32(value),
  fromJson: (json: unknown) => checkInt32(json),
})

function checkInt64(value: unknown): number | bigint {
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) return value
    if (Number.isInteger(value))
      throw refuseBytes('int64()', 'the number is beyond 2^53 - 1 and may be rounded: give a bigint (as JSON: digits as text)')
  } else if (typeof value === 'bigint') {
    if (value >= INT64_MIN && value <= INT64_MAX) return value
    throw refuseBytes('int64()', 'the bigint is outside -2^63 .. 2^63 - 1')
  }
  throw refuseValue('int64()', 'a whole number or a bigint', value)
}

function exact(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

const INT64: Serde<number | bigint> = Object.freeze({
  name: 'int64',
  encode(value: number | bigint): Buffer {
    const checked = checkInt64(value)
    const bytes = Buffer.allocUnsafe(8)
    if (typeof checked === 'bigint') bytes.writeBigInt64BE(checked, 0)
    else {
      const high = Math.floor(checked / TWO_32)
      bytes.writeInt32BE(high, 0)
      bytes.writeUInt32BE(checked - high * TWO_32, 4)
    }
    return bytes
  },
  decode(bytes: Uint8Array): number | bigint {
    const buffer = sized('int64()', bytes, 8)
    // Whatever lies beyond 2^53 - 1 stays beyond it when this rounds, so the test below is never wrong.
    const number = buffer.readInt32BE(0) * TWO_32 + buffer.readUInt32BE(4)
    return Number.isSafeInteger(number) ? number : buffer.readBigInt64BE(0)
  },
  toJson(value: number | bigint): number | string {
    const checked = checkInt64(value)
    const shown = typeof checked === 'bigint' ? exact(checked) : checked
    return typeof shown === 'bigint' ? shown.toString() : shown
  },
  fromJson(json: unknown): number | bigint {
    if (typeof json === 'bigint') throw refuseValue('int64()', 'a whole number or digits as text', json)
    if (typeof json !== 'string') return checkInt64(json)
    if (!DIGITS.test(json)) throw refuseBytes('int64()', 'the text is not the digits of a whole number')
    return exact(checkInt64(BigInt(json)) as bigint)
  },
})

const SPECIAL: ReadonlyMap<unknown, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
])

function checkFloat64(value: unknown): number {
  if (typeof value !== 'number') throw refuseValue('float64()', 'a number', value)
  return value
}

const FLOAT64: Serde<number> = Object.freeze({
  name: 'float64',
  encode(value: number): Buffer {
    const bytes = Buffer.allocUnsafe(8)
    bytes.writeDoubleBE(checkFloat64(value), 0)
    return bytes
  },
  decode: (bytes: Uint8Array) => sized('float64()', bytes, 8).readDoubleBE(0),
  // JSON has no NaN and no infinities (JSON.stringify writes null, which would read as a tombstone): text for these three.
  toJson: (value: number) => (Number.isFinite(checkFloat64(value)) ? value : String(value)),
  fromJson: (json: unknown) => SPECIAL.get(json) ?? checkFloat64(json),
})

function checkBoolean(value: unknown): boolean {
  if (typeof value !== 'boolean') throw refuseValue('boolean()', 'a boolean', value)
  return value
}

const BOOLEAN: Serde<boolean> = Object.freeze({
  name: 'boolean',
  encode: (value: boolean) => Buffer.from([checkBoolean(value) ? 1 : 0]),
  decode(bytes: Uint8Array): boolean {
    const byte = sized('boolean()', bytes, 1)[0] as number
    if (byte > 1) throw refuseBytes('boolean()', `expected a byte 0 or 1, got ${byte}`)
    return byte === 1
  },
  toJson: (value: boolean) => checkBoolean(value),
  fromJson: (json: unknown) => checkBoolean(json),
})

/** A whole number of 32 bits. */
export function int32(): Serde<number> {
  return INT32
}

/**
 * A whole number of 64 bits. A value beyond 2^53 - 1 is read as a bigint (which throws when it is mixed with numbers, so nothing is
 * rounded silently); where such values are expected, say so in the type: `int64<number | bigint>()`. Both are written.
 */
export function int64<T extends number | bigint = number>(): Serde<T> {
  return INT64 as Serde<any> as Serde<T>
}

/** A double. As JSON: a number, or 'NaN', 'Infinity', '-Infinity'. */
export function float64(): Serde<number> {
  return FLOAT64
}

/** One byte, 1 or 0. */
export function boolean(): Serde<boolean> {
  return BOOLEAN
}
