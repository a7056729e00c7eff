// The header of Avro's single-object encoding: C3 01 and the CRC-64-AVRO fingerprint of the schema. Computed once a schema.
// As in the Avro specification ("Schema Fingerprints"): the CRC runs over the parsing canonical form, and goes out little-endian.
const EMPTY = 0xc15d213aa4d7a795n

function step(fingerprint: bigint): bigint {
  return (fingerprint & 1n) === 1n ? (fingerprint >> 1n) ^ EMPTY : fingerprint >> 1n
}

/** CRC-64-AVRO, unsigned. */
export function crc64Avro(bytes: Uint8Array): bigint {
  let fingerprint = EMPTY
  for (const byte of bytes) {
    let low = (fingerprint ^ BigInt(byte)) & 0xffn
    for (let bit = 0; bit < 8; bit++) low = step(low)
    fingerprint = (fingerprint >> 8n) ^ low
  }
  return fingerprint
}

/** The 10 bytes before a value; `canonical` is the schema's parsing canonical form. */
export function singleObjectHeader(canonical: string): Buffer {
  const header = Buffer.alloc(10)
  header[0] = 0xc3
  header[1] = 0x01
  header.writeBigUInt64LE(crc64Avro(Buffer.from(canonical, 'utf8')), 2)
  return header
}
