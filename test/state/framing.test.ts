import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  CHECKPOINT_KEY,
  FRAME_BYTES,
  readCheckpoint,
  readFrame,
  storedKey,
  USER_END,
  userKey,
  writeCheckpoint,
  writeFrame,
} from '../../src/state/framing.ts'

const bytes = (maxLength: number): fc.Arbitrary<Buffer> => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array))
/** Keys of few different bytes, so that escapes and shared prefixes are the rule. */
const keys = fc.array(fc.constantFrom(0, 1, 0x63, 0xfe, 0xff), { maxLength: 5 }).map((array) => Buffer.from(array))
const frameOf = (key: Buffer, value: Buffer, timestamp: number): Buffer =>
  Buffer.from(writeFrame(Buffer.alloc(FRAME_BYTES + key.length + value.length), key, value, timestamp))

test('stored keys come back, keep their order, and lie before every row of our own', () => {
  fc.assert(
    fc.property(keys, keys, (a, b) => {
      expect(userKey(storedKey(a))).toEqual(a)
      expect(Math.sign(Buffer.compare(storedKey(a), storedKey(b)))).toBe(Math.sign(Buffer.compare(a, b)))
      expect(Buffer.compare(storedKey(a), USER_END)).toBeLessThan(0)
    }),
    { numRuns: 2_000 },
  )
  expect(Buffer.compare(CHECKPOINT_KEY, USER_END)).toBeGreaterThan(0)
  expect(userKey(CHECKPOINT_KEY)).toBeNull()
})

test('a key without the escape byte is not copied', () => {
  const key = Buffer.from('customer')
  expect(storedKey(key)).toBe(key)
  expect(userKey(key)).toBe(key)
})

test('frames come back; under another key, or with any bit flipped, they are refused', () => {
  fc.assert(
    fc.property(bytes(20), bytes(60), fc.double({ noNaN: true }), fc.nat(), (key, value, timestamp, bit) => {
      const frame = frameOf(key, value, timestamp)
      expect(readFrame(key, frame)).toEqual({ value, timestamp })
      expect(readFrame(Buffer.concat([key, Buffer.from([0])]), frame)).toBeNull()
      const at = bit % (frame.length * 8)
      frame[at >> 3] = (frame[at >> 3] as number) ^ (1 << (at & 7))
      expect(readFrame(key, frame)).toBeNull()
      expect(readFrame(key, frame.subarray(0, 11))).toBeNull()
    }),
  )
})

test('the checkpoint row comes back; with any bit flipped it is refused', () => {
  const row = { changelogOffset: 2 ** 53 - 1, caughtUpAtMs: 1_700_000_000_000, clean: true, bootId: '6a6f2c3e-boot' }
  const written = writeCheckpoint(row)
  expect(readCheckpoint(written)).toEqual(row)
  expect(readCheckpoint(writeCheckpoint({ changelogOffset: -1, clean: false, bootId: '' }))).toEqual({
    changelogOffset: -1,
    clean: false,
    bootId: '',
  })
  for (let bit = 0; bit < written.length * 8; bit++) {
    const flipped = Buffer.from(written)
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7))
    expect(readCheckpoint(flipped), `bit ${bit}`).toBeNull()
  }
  for (let length = 0; length < written.length; length++) expect(readCheckpoint(written.subarray(0, length))).toBeNull()
})

test('a checkpoint row of the format before, without a time, is read', () => {
  const bytes = Buffer.concat([Buffer.alloc(4), Buffer.of(1, 0), Buffer.alloc(8), Buffer.from('boot')])
  bytes.writeDoubleBE(42, 6)
  bytes.writeUInt32BE(crc32(bytes.subarray(4), crc32(CHECKPOINT_KEY)), 0)
  expect(readCheckpoint(bytes)).toEqual({ changelogOffset: 42, clean: false, bootId: 'boot' })
  expect(readCheckpoint(bytes)).not.toHaveProperty('caughtUpAtMs')
})
