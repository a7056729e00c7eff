// Kafka's partitioner: murmur2 of the key's bytes, as in org.apache.kafka.common.utils.Utils and the default partitioner of the
// Java producer, so that topics are shared with Java programs. Pure; never sees a record without a key.
const SEED = 0x9747b28c | 0
const M = 0x5bd1e995

/** A signed 32-bit hash, as Java's `Utils.murmur2`. */
export function murmur2(bytes: Buffer): number {
  const length = bytes.length
  const tail = length & ~3
  let h = SEED ^ length
  for (let i = 0; i < tail; i += 4) {
    let k = (bytes[i] as number) | ((bytes[i + 1] as number) << 8) | ((bytes[i + 2] as number) << 16) | ((bytes[i + 3] as number) << 24)
    k = Math.imul(k, M)
    k ^= k >>> 24
    h = Math.imul(h, M) ^ Math.imul(k, M)
  }
  const rest = length - tail
  if (rest > 0) {
    if (rest === 3) h ^= (bytes[tail + 2] as number) << 16
    if (rest >= 2) h ^= (bytes[tail + 1] as number) << 8
    h = Math.imul(h ^ (bytes[tail] as number), M)
  }
  h ^= h >>> 13
  h = Math.imul(h, M)
  return h ^ (h >>> 15)
}

/** The partition of a key, 0 <= p < partitions: `toPositive(murmur2(key)) % partitions`. */
export function partitionOf(key: Buffer, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions
}
