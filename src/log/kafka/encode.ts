// Builds one record batch (magic 2) in one flat buffer: no object and no promise per record.
//
// Invariants
// 1. What `finish` returns is valid until the next `append` or `reset`; the package copies it when it is sent.
// 2. Timestamp deltas are exact to 2^51 ms, not to 2^31 (the package's own encoder wraps after 24.8 days).
import { compressionsAlgorithms, crc32c, Writer } from '@platformatic/kafka'
import type { Headers } from '../../base/record.ts'

export type Compression = 'none' | 'lz4' | 'zstd'

/** Base offset, length, leader epoch, magic, crc, attributes, last offset delta, two timestamps, producer, count. */
export const BATCH_HEADER_BYTES = 61

export class BatchBuilder {
  count = 0
  /** Bytes so far, header included. */
  size = BATCH_HEADER_BYTES
  #buffer: Buffer
  #firstTimestamp = 0
  #maxTimestamp = 0

  constructor(initialBytes = 4096) {
    this.#buffer = Buffer.allocUnsafe(initialBytes)
  }

  get capacity(): number {
    return this.#buffer.length
  }

  reset(): void {
    this.size = BATCH_HEADER_BYTES
    this.count = 0
  }

  append(timestamp: number, key: Buffer | null, value: Buffer | null, headers: Headers): void {
    if (this.count === 0) this.#firstTimestamp = this.#maxTimestamp = timestamp
    else if (timestamp > this.#maxTimestamp) this.#maxTimestamp = timestamp
    const delta = timestamp - this.#firstTimestamp
    const keyLength = key === null ? -1 : key.length
    const valueLength = value === null ? -1 : value.length
    const body =
      1 +
      varlongSize(delta) +
      varintSize(this.count) +
      varintSize(keyLength) +
      Math.max(keyLength, 0) +
      varintSize(valueLength) +
      Math.max(valueLength, 0) +
      (headers.length === 0 ? 1 : headersSize(headers))
    if (this.size + body + 5 > this.#buffer.length) this.#grow(body + 5)
    const b = this.#buffer
    let at = writeVarint(b, this.size, body)
    b[at++] = 0 // a record's attributes: unused by the protocol
    at = writeVarlong(b, at, delta)
    at = writeVarint(b, at, this.count)
    at = writeVarint(b, at, keyLength)
    if (keyLength > 0) at += (key as Buffer).copy(b, at)
    at = writeVarint(b, at, valueLength)
    if (valueLength > 0) at += (value as Buffer).copy(b, at)
    if (headers.length === 0) b[at++] = 0
    else at = writeHeaders(b, at, headers)
    this.size = at
    this.count++
  }

  finish(producerId: bigint, epoch: number, sequence: number, transactional: boolean, compression: Compression): Buffer {
    let b = this.#buffer
    let end = this.size
    let attributes = transactional ? 0x10 : 0
    if (compression !== 'none') {
      const packed = compressionsAlgorithms[compression].compressSync(b.subarray(BATCH_HEADER_BYTES, end)) as Buffer
      attributes |= compressionsAlgorithms[compression].bitmask
      b = Buffer.concat([Buffer.allocUnsafe(BATCH_HEADER_BYTES), packed])
      end = b.length
    }
    b.writeBigInt64BE(0n, 0) // base offset: the broker's to give
    b.writeInt32BE(end - 12, 8)
    b.writeInt32BE(-1, 12) // leader epoch: likewise
    b[16] = 2 // magic
    b.writeInt16BE(attributes, 21)
    b.writeInt32BE(this.count - 1, 23)
    b.writeBigInt64BE(BigInt(this.#firstTimestamp), 27)
    b.writeBigInt64BE(BigInt(this.#maxTimestamp), 35)
    b.writeBigInt64BE(producerId, 43)
    b.writeInt16BE(epoch, 51)
    b.writeInt32BE(sequence, 53)
    b.writeInt32BE(this.count, 57)
    b.writeUInt32BE(checksum(b.subarray(21, end)), 17)
    return b.subarray(0, end)
  }

  #grow(bytes: number): void {
    const bigger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.size + bytes))
    this.#buffer.copy(bigger, 0, 0, this.size)
    this.#buffer = bigger
  }
}

/** CRC-32C of a Buffer without the copy that the package's crc32c(Buffer) makes (1 MiB: 0.3 ms against 3 ms). */
export function checksum(bytes: Buffer): number {
  return crc32c(Writer.create().append(bytes).dynamicBuffer)
}

/** The most bytes a record with these parts takes in a batch. */
export function recordSize(key: Buffer | null, value: Buffer | null, headers: Headers): number {
  return 32 + (key === null ? 0 : key.length) + (value === null ? 0 : value.length) + (headers.length === 0 ? 0 : headersSize(headers))
}

function headersSize(headers: Headers): number {
  let size = varintSize(headers.length)
  for (let i = 0; i < headers.length; i++) {
    const [name, value] = headers[i] as Headers[number]
    const nameLength = Buffer.byteLength(name, 'utf8')
    size += varintSize(nameLength) + nameLength + (value === null ? 1 : varintSize(value.length) + value.length)
  }
  return size
}

function writeHeaders(b: Buffer, start: number, headers: Headers): number {
  let at = writeVarint(b, start, headers.length)
  for (let i = 0; i < headers.length; i++) {
    const [name, value] = headers[i] as Headers[number]
    at = writeVarint(b, at, Buffer.byteLength(name, 'utf8'))
    at += b.write(name, at, 'utf8')
    at = writeVarint(b, at, value === null ? -1 : value.length)
    if (value !== null) at += value.copy(b, at)
  }
  return at
}

function varintSize(value: number): number {
  const n = ((value << 1) ^ (value >> 31)) >>> 0
  return n < 128 ? 1 : n < 16_384 ? 2 : n < 2_097_152 ? 3 : n < 268_435_456 ? 4 : 5
}

function writeVarint(b: Buffer, start: number, value: number): number {
  let at = start
  let n = ((value << 1) ^ (value >> 31)) >>> 0
  while (n > 127) {
    b[at++] = (n & 127) | 128
    n >>>= 7
  }
  b[at++] = n
  return at
}

// Beyond 31 bits shifts wrap, so these divide: exact while 2 * delta is a safe integer.
function varlongSize(value: number): number {
  let n = value < 0 ? -2 * value - 1 : 2 * value
  let size = 1
  while (n > 127) {
    n = Math.floor(n / 128)
    size++
  }
  return size
}

function writeVarlong(b: Buffer, start: number, value: number): number {
  let at = start
  let n = value < 0 ? -2 * value - 1 : 2 * value
  while (n > 127) {
    b[at++] = (n % 128) | 128
    n = Math.floor(n / 128)
  }
  b[at++] = n
  return at
}
