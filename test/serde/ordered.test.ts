import fc from 'fast-check'
import { expect, test } from 'vitest'
import { keyText, prefixEnd } from '../../src/base/bytes.ts'
import { decodePair, encodePair, pairPrefix } from '../../src/serde/index.ts'
import { refusal } from './refusal.ts'

const small = fc.uint8Array({ maxLength: 4, max: 3 }).map((array) => Buffer.from(array))
const any = fc.oneof(
  small,
  fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
)

test('a pair is its two keys', () => {
  fc.assert(
    fc.property(any, any, (first, rest) => {
      const pair = encodePair(first, rest)
      expect(pair.readInt32BE(0)).toBe(first.length)
      expect(decodePair(pair)).toEqual({ first, rest })
      expect(Buffer.concat([pairPrefix(first), rest])).toEqual(pair)
    }),
  )
})

test('the range of a prefix holds the pairs of that first key, all of them and no others, in the order of the rest', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(small, small), { maxLength: 30 }), small, (pairs, wanted) => {
      const prefix = pairPrefix(wanted)
      const end = prefixEnd(prefix) as Buffer
      const inRange = pairs
        .map(([first, rest]) => encodePair(first, rest))
        .filter((pair) => pair.compare(prefix) >= 0 && pair.compare(end) < 0)
        .sort((a, b) => a.compare(b))
        .map((pair) => keyText(decodePair(pair).rest))
      const expected = pairs
        .filter(([first]) => first.equals(wanted))
        .map(([, rest]) => keyText(rest))
        .sort()
      expect(inRange).toEqual(expected)
    }),
    { numRuns: 500 },
  )
})

test('bytes that are no pair are refused', () => {
  for (const hex of ['', '000000', '00000001', '00000002aa', 'ffffffffaa', '80000000'])
    expect(refusal(() => decodePair(Buffer.from(hex, 'hex'))).message).toBe('key pair: the length is not that of the bytes')
})
