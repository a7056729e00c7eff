// CRC-32C (Castagnoli), the checksum in LevelDB's tables and MANIFEST; node:zlib has only the other one. Eight bytes a step, about
// 1 GB/s. Pure.

const POLYNOMIAL = 0x82f63b78
const LEVELDB_MASK = 0xa282ead8

/** Eight tables of 256: what a byte does to the checksum when 0 to 7 further bytes follow in the same step. */
const TABLES = ((): Uint32Array => {
  const tables = new Uint32Array(8 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
    tables[byte] = crc
  }
  for (let i = 256; i < tables.length; i++) {
    const before = tables[i - 256] as number
    tables[i] = (tables[before & 0xff] as number) ^ (before >>> 8)
  }
  return tables
})()

/** Of the bytes from `from` up to `to`. */
export function crc32c(bytes: Uint8Array, from: number, to: number): number {
  const t = TABLES
  const b = bytes
  let crc = -1
  let i = from
  for (; i + 8 <= to; i += 8) {
    crc ^= b[i]! | (b[i + 1]! << 8) | (b[i + 2]! << 16) | (b[i + 3]! << 24)
    crc =
      t[1792 + (crc & 0xff)]! ^
      t[1536 + ((crc >>> 8) & 0xff)]! ^
      t[1280 + ((crc >>> 16) & 0xff)]! ^
      t[1024 + (crc >>> 24)]! ^
      t[768 + b[i + 4]!]! ^
      t[512 + b[i + 5]!]! ^
      t[256 + b[i + 6]!]! ^
      t[b[i + 7]!]!
  }
  for (; i < to; i++) crc = t[(crc ^ b[i]!) & 0xff]! ^ (crc >>> 8)
  return (crc ^ -1) >>> 0
}

/** LevelDB stores checksums rotated and shifted, so that a checksum of bytes that hold checksums stays a good one. */
export function maskedCrc32c(bytes: Uint8Array, from: number, to: number): number {
  const crc = crc32c(bytes, from, to)
  return (((crc >>> 15) | (crc << 17)) + LEVELDB_MASK) >>> 0
}
