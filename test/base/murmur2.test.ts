// The partitioner against Kafka's: hashes that test/base/java/Murmur2Vectors.java printed with kafka-clients 4.3.0 (Java 17).
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { murmur2, partitionOf } from '../../src/base/murmur2.ts'

// key as hex, Utils.murmur2, toPositive % 7, toPositive % 48
const VECTORS = `
 275646681 2 9
61 -1563381124 5 28
6162 316155434 0 26
616263 479470107 4 27
61626364 -1323649548 5 20
6162636465 461995741 4 13
616263646566 1870650108 5 12
61626364656667 -346467175 4 25
3231 -973932308 3 12
666f6f626172 -790332482 0 30
612d6c6974746c652d6269742d6c6f6e672d737472696e67 -985981536 1 32
612d6c6974746c652d6269742d6c6f6e6765722d737472696e67 -1486304829 0 35
6c6b6a683233346c68396669756839307932336f697568736166756a6861646f66323239706872396831396838396838 -58897971 3 29
70726f647563742d31 368172123 4 27
63617465676f72792d3737 -979086851 1 45
c3bcc39fe282ac 1555320969 6 9
f09f9880 131881617 0 33
30 971027396 3 20
00 375494588 0 44
00000000 850957120 6 16`

const SHA256_OF_20_000 = 'bce67d6b754493cfd317b80ecb192b3170a8c5c3351784b70fad4fdcd43adcb2'

test.each(
  VECTORS.slice(1)
    .split('\n')
    .map((line) => line.split(' ') as [string, string, string, string]),
)('murmur2 of %s is %s', (hex, hash, of7, of48) => {
  const key = Buffer.from(hex, 'hex')
  expect(murmur2(key)).toBe(Number(hash))
  expect(partitionOf(key, 7)).toBe(Number(of7))
  expect(partitionOf(key, 48)).toBe(Number(of48))
})

test('20,000 keys of 0 to 96 bytes hash as in Java', () => {
  let state = 2463534242 | 0
  const next = (): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state
  }
  const sha256 = createHash('sha256')
  const hash = Buffer.alloc(4)
  for (let i = 0; i < 20_000; i++) {
    const key = Buffer.alloc((next() >>> 0) % 97)
    for (let j = 0; j < key.length; j++) key[j] = next() & 0xff
    hash.writeInt32BE(murmur2(key), 0)
    sha256.update(hash)
  }
  expect(sha256.digest('hex')).toBe(SHA256_OF_20_000)
})

test('a partition is always one of the topic, and a view hashes as its bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.integer({ min: 1, max: 1000 }), (bytes, partitions) => {
      const partition = partitionOf(Buffer.from(bytes), partitions)
      expect(Number.isInteger(partition) && partition >= 0 && partition < partitions).toBe(true)
      const shifted = Buffer.concat([Buffer.from([7]), bytes]).subarray(1)
      expect(partitionOf(shifted, partitions)).toBe(partition)
    }),
  )
})
