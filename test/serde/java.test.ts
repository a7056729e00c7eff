// The bytes that Kafka's Java serializers gave (kafka-clients 4.3.0): topics are shared with Java programs.
import { expect, test } from 'vitest'
import { type AnySerde, boolean, float64, int32, int64, string } from '../../src/serde/index.ts'

const CASES: readonly (readonly [AnySerde, unknown, string])[] = [
  [int32(), 0, '00000000'],
  [int32(), 1, '00000001'],
  [int32(), -1, 'ffffffff'],
  [int32(), 255, '000000ff'],
  [int32(), -256, 'ffffff00'],
  [int32(), 2147483647, '7fffffff'],
  [int32(), -2147483648, '80000000'],
  [int32(), 1234567, '0012d687'],
  [int64(), 0, '0000000000000000'],
  [int64(), 1, '0000000000000001'],
  [int64(), -1, 'ffffffffffffffff'],
  [int64(), 4294967296, '0000000100000000'],
  [int64(), -4294967297, 'fffffffeffffffff'],
  [int64(), 9007199254740991, '001fffffffffffff'],
  [int64(), -9007199254740991, 'ffe0000000000001'],
  [int64(), 9007199254740992n, '0020000000000000'],
  [int64(), 9007199254740993n, '0020000000000001'],
  [int64(), 9223372036854775807n, '7fffffffffffffff'],
  [int64(), -9223372036854775808n, '8000000000000000'],
  [int64(), 1700000000123, '0000018bcfe5687b'],
  [float64(), 0, '0000000000000000'],
  [float64(), -0, '8000000000000000'],
  [float64(), 1.5, '3ff8000000000000'],
  [float64(), -1e300, 'fe37e43c8800759c'],
  [float64(), Number.MIN_VALUE, '0000000000000001'],
  [float64(), Number.MAX_VALUE, '7fefffffffffffff'],
  [float64(), Number.NaN, '7ff8000000000000'],
  [float64(), Number.POSITIVE_INFINITY, '7ff0000000000000'],
  [float64(), Math.PI, '400921fb54442d18'],
  [boolean(), true, '01'],
  [boolean(), false, '00'],
  [string(), '', ''],
  [string(), 'ü€', 'c3bce282ac'],
  [string(), '😀', 'f09f9880'],
  [string(), '\0', '00'],
  [string(), '\ufeffx', 'efbbbf78'],
]

test.each(CASES.map(([serde, value, hex]) => [serde.name, value, hex, serde] as const))(
  '%s writes and reads %s as %s',
  (_, value, hex, serde) => {
    expect(Buffer.from(serde.encode(value)).toString('hex')).toBe(hex)
    expect(Object.is(serde.decode(Buffer.from(hex, 'hex')), value)).toBe(true)
    // Users hand in plain arrays too, and views that do not begin at 0 of their memory.
    expect(Object.is(serde.decode(new Uint8Array(Buffer.from(`aa${hex}`, 'hex')).subarray(1)), value)).toBe(true)
  },
)
