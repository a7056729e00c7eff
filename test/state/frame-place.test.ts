import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type BytesBatch, framePlace } from '../../src/state/frame-place.ts'
import { FRAME_BYTES, storedKey, writeFrame } from '../../src/state/framing.ts'

const textOf = (key: Uint8Array, frame: Uint8Array | null): string =>
  `${Buffer.from(key).toString('latin1')} ${frame === null ? 'deleted' : Buffer.from(frame).toString('latin1')}`
const frameOf = (key: Buffer, value: Buffer, timestamp: number): Buffer =>
  writeFrame(Buffer.alloc(FRAME_BYTES + key.length + value.length), key, value, timestamp)

/** As LevelDB's: what it is given is its own from then on. */
function copying(): BytesBatch & { readonly rows: string[] } {
  const rows: string[] = []
  return { rows, _put: (key, value) => void rows.push(textOf(key, value)), _del: (key) => void rows.push(textOf(key, null)) }
}

const around = (bytes: Buffer): fc.Arbitrary<{ readonly bytes: Buffer; readonly at: number }> =>
  fc.tuple(fc.nat(5), fc.nat(5)).map(([before, behind]) => ({
    bytes: Buffer.concat([Buffer.alloc(before, 0xff), bytes, Buffer.alloc(behind, 0xee)]),
    at: before,
  }))
const key = fc.oneof(
  fc.array(fc.constantFrom(0, 1, 0xfe, 0xff), { maxLength: 4 }).map((array) => Buffer.from(array)),
  fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array)),
  fc.constantFrom(1_024, 1_025, 5_000).map((length) => Buffer.alloc(length, 7)),
)
const value = fc.oneof(
  fc.constant(null),
  fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array)),
  fc.constantFrom(16_372, 16_373, 40_000).map((length) => Buffer.alloc(length, 9)),
)
const row = fc.record({ key, value, timestamp: fc.oneof(fc.maxSafeInteger(), fc.constant(0.5)) })
const placed = row.chain(({ key: k, value: v, timestamp }) =>
  fc.record({
    key: fc.constant(k),
    value: fc.constant(v),
    timestamp: fc.constant(timestamp),
    keyIn: around(k),
    valueIn: around(v ?? Buffer.alloc(0)),
  }),
)

test('property: the rows that reach the batch are those of storedKey and writeFrame, wherever their bytes lie', () => {
  fc.assert(
    fc.property(fc.array(placed, { maxLength: 12 }), (rows) => {
      const place = framePlace()
      const batch = copying()
      for (const { key: k, value: v, timestamp, keyIn, valueIn } of rows)
        place.put(
          batch,
          keyIn.bytes,
          keyIn.at,
          k.length,
          v === null ? null : valueIn.bytes,
          valueIn.at,
          v === null ? -1 : v.length,
          timestamp,
        )
      const wanted = rows.map(({ key: k, value: v, timestamp }) => textOf(storedKey(k), v === null ? null : frameOf(k, v, timestamp)))
      expect(batch.rows).toEqual(wanted)
    }),
    { numRuns: 100 },
  )
})

test('more pairs of lengths than views are kept', () => {
  const place = framePlace()
  const batch = copying()
  const bytes = Buffer.alloc(200, 3)
  const wanted: string[] = []
  for (const round of [1, 2]) {
    for (let keyLength = 1; keyLength <= 40; keyLength++) {
      for (let valueLength = 0; valueLength <= 40; valueLength++) {
        place.put(batch, bytes, 0, keyLength, bytes, 0, valueLength, round)
        const [k, v] = [bytes.subarray(0, keyLength), bytes.subarray(0, valueLength)]
        wanted.push(textOf(k, frameOf(k, v, round)))
      }
    }
  }
  expect(batch.rows).toEqual(wanted)
})
