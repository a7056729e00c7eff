import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type AnySerde, boolean, bytes, float64, int32, int64, json, type Serde, string } from '../../src/serde/index.ts'
import { refusal } from './refusal.ts'

const throughJson = <T>(serde: Serde<T>, value: T): T =>
  (serde.fromJson as (json: unknown) => T)(JSON.parse(JSON.stringify(serde.toJson?.(value))))

test('serdes without options are one object each', () => {
  for (const make of [string, bytes, int32, int64, float64, boolean, json]) expect(make()).toBe(make())
  expect([string, bytes, int32, int64, float64, boolean, json].map((make) => make().name)).toEqual([
    'string',
    'bytes',
    'int32',
    'int64',
    'float64',
    'boolean',
    'json',
  ])
})

describe('round trips, as bytes and as JSON', () => {
  const roundTrips = <T>(name: string, serde: Serde<T>, values: fc.Arbitrary<T>) =>
    test(name, () => {
      fc.assert(
        fc.property(values, (value) => {
          expect(serde.decode(serde.encode(value))).toEqual(value)
          expect(throughJson(serde, value)).toEqual(value)
        }),
        { numRuns: 500 },
      )
    })
  roundTrips('string', string(), fc.string({ unit: 'binary', maxLength: 40 }))
  roundTrips(
    'bytes',
    bytes(),
    fc.uint8Array().map((array) => Buffer.from(array)),
  )
  roundTrips('int32', int32(), fc.integer())
  roundTrips(
    'int64, safe',
    int64(),
    fc.maxSafeInteger().map((n) => n + 0),
  )
  roundTrips('int64, beyond', int64<bigint>(), fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }))
  roundTrips('int64, below', int64<bigint>(), fc.bigInt({ min: -(2n ** 63n), max: -(2n ** 53n) }))
  roundTrips(
    'float64',
    float64(),
    fc.double().map((n) => n + 0),
  ) // JSON has no -0
  roundTrips('boolean', boolean(), fc.boolean())
})

test('int64 reads whatever 8 bytes hold, exactly: a number when that is safe, else a bigint', () => {
  const nearTheEdge = fc
    .integer({ min: -40, max: 40 })
    .chain((by) => fc.constantFrom(2n ** 53n + BigInt(by), -(2n ** 53n) + BigInt(by), BigInt(by)))
  fc.assert(
    fc.property(fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), nearTheEdge), (value) => {
      const raw = Buffer.alloc(8)
      raw.writeBigInt64BE(value)
      const read = int64<number | bigint>().decode(raw)
      expect(BigInt(read)).toBe(value)
      expect(typeof read).toBe(Number.isSafeInteger(Number(value)) ? 'number' : 'bigint')
      expect(Buffer.from(int64<number | bigint>().encode(value)).equals(raw)).toBe(true)
      expect(Buffer.from(int64<number | bigint>().encode(read)).equals(raw)).toBe(true)
    }),
    { numRuns: 1000 },
  )
})

test('int64 as JSON: numbers while they are exact, then digits', () => {
  const serde = int64<number | bigint>()
  expect(serde.toJson?.(5n)).toBe(5)
  expect(serde.toJson?.(2n ** 53n)).toBe('9007199254740992')
  expect(serde.fromJson?.('5')).toBe(5)
  expect(serde.fromJson?.('-9223372036854775808')).toBe(-(2n ** 63n))
  expect(refusal(() => serde.fromJson?.(JSON.parse('9007199254740993'))).message).toBe(
    'int64(): the number is beyond 2^53 - 1 and may be rounded: give a bigint (as JSON: digits as text)',
  )
  for (const text of [
    '',
    ' 1',
    '1.0',
    '0x10',
    '1e3',
    '01',
    '-',
    '+1',
    '9223372036854775808',
    '-9223372036854775809',
    '99999999999999999999999999',
  ])
    expect(refusal(() => serde.fromJson?.(text)).code).toBe('STREAM_SERDE')
})

describe('a value of the wrong kind is refused, by name and kind', () => {
  const LONG_SECRET = 'a secret that must not be in any message'
  const cases: readonly (readonly [AnySerde, unknown, string])[] = [
    [string(), 5, 'string(): expected a string, got number'],
    [string(), { secret: LONG_SECRET }, 'string(): expected a string, got object'],
    [string(), `${LONG_SECRET}\ud800`, 'string(): the text has half a surrogate pair, which UTF-8 cannot hold'],
    [bytes(), LONG_SECRET, 'bytes(): expected a Buffer or Uint8Array, got string'],
    [bytes(), [1, 2], 'bytes(): expected a Buffer or Uint8Array, got array'],
    [int32(), LONG_SECRET, 'int32(): expected a whole number, got string'],
    [int32(), 1.5, 'int32(): expected a whole number, got number with a fraction'],
    [int32(), Number.NaN, 'int32(): expected a whole number, got NaN'],
    [int32(), 2 ** 31, 'int32(): the number is outside -2^31 .. 2^31 - 1'],
    [int32(), -(2 ** 31) - 1, 'int32(): the number is outside -2^31 .. 2^31 - 1'],
    [int32(), 1n, 'int32(): expected a whole number, got bigint'],
    [int64(), 1.5, 'int64(): expected a whole number or a bigint, got number with a fraction'],
    [int64(), '5', 'int64(): expected a whole number or a bigint, got string'],
    [int64(), 2 ** 53, 'int64(): the number is beyond 2^53 - 1 and may be rounded: give a bigint (as JSON: digits as text)'],
    [int64(), 2n ** 63n, 'int64(): the bigint is outside -2^63 .. 2^63 - 1'],
    [int64(), -(2n ** 63n) - 1n, 'int64(): the bigint is outside -2^63 .. 2^63 - 1'],
    [int64(), null, 'int64(): expected a whole number or a bigint, got null'],
    [float64(), '1', 'float64(): expected a number, got string'],
    [float64(), undefined, 'float64(): expected a number, got undefined'],
    [boolean(), 1, 'boolean(): expected a boolean, got number'],
    [boolean(), Buffer.from([1]), 'boolean(): expected a boolean, got Buffer'],
  ]
  test.each(cases.map(([serde, value, message]) => [message, serde, value] as const))('%s', (message, serde, value) => {
    expect(refusal(() => serde.encode(value))).toEqual({ code: 'STREAM_SERDE', message, explained: message })
  })
})

test('text for JSON of the wrong kind is refused', () => {
  const cases: readonly (readonly [AnySerde, unknown])[] = [
    [string(), 5],
    [string(), null],
    [int32(), '5'],
    [int32(), 0.5],
    [float64(), '1.5'],
    [float64(), 'nan'],
    [float64(), null],
    [boolean(), 'true'],
    [boolean(), 0],
    [int64(), 1n],
    [int64(), true],
    [bytes(), 5],
    [bytes(), 'QQ'],
    [bytes(), 'Q Q='],
    [bytes(), 'QR=='],
    [bytes(), 'Q_Q='],
    [bytes(), 'QUI=QUI='],
  ]
  for (const [serde, value] of cases) expect(refusal(() => serde.fromJson?.(value)).code).toBe('STREAM_SERDE')
})

test('bytes of another length are refused', () => {
  for (const [serde, length] of [
    [int32(), 4],
    [int64(), 8],
    [float64(), 8],
    [boolean(), 1],
  ] as readonly (readonly [AnySerde, number])[])
    for (let given = 0; given <= 12; given++)
      if (given !== length)
        expect(refusal(() => serde.decode(Buffer.alloc(given))).message).toBe(
          `${serde.name}(): expected ${length} byte${length === 1 ? '' : 's'}, got ${given}`,
        )
  expect(refusal(() => boolean().decode(Buffer.from([2]))).message).toBe('boolean(): expected a byte 0 or 1, got 2')
})

test('string refuses exactly the bytes that are not UTF-8', () => {
  const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  const valid = fc.string({ unit: 'binary', maxLength: 12 }).map((text) => Buffer.from(text))
  const pieces = fc.array(fc.oneof(valid, fc.uint8Array({ maxLength: 3 }), fc.constant(Buffer.from('\ufffd'))), { maxLength: 5 })
  fc.assert(
    fc.property(pieces, (parts) => {
      const raw = Buffer.concat(parts)
      let text: string | undefined
      try {
        text = strict.decode(raw)
      } catch {}
      if (text === undefined) expect(refusal(() => string().decode(raw)).message).toBe('string(): the bytes are not UTF-8')
      else expect(string().decode(raw)).toBe(text)
    }),
    { numRuns: 1000 },
  )
})

test('bytes copies: what is handed in and out may be changed', () => {
  const mine = Buffer.from([1, 2])
  const written = bytes().encode(mine)
  mine[0] = 9
  expect([...written]).toEqual([1, 2])
  const handed = bytes().decode(written)
  handed[0] = 9
  expect([...written]).toEqual([1, 2])
})

test('int64 fits where the DSL wants a Serde of the value', () => {
  const to = <V>(_value: V, serde: Serde<NoInfer<V>>): string | undefined => serde.name
  expect(to(5, int64())).toBe('int64')
  expect(to(5n, int64())).toBe('int64')
  expect(to(5n as number | bigint, int64())).toBe('int64')
  // @ts-expect-error text is no number
  expect(to('5', int64())).toBe('int64')
})
