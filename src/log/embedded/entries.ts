// Keys and values of the embedded log's database.
//
//   c                          the catalog: topics with their ids and partitions, ids whose records are still to be cleared
//   s                          the commit number, and how many offset entries there are
//   e topic partition          the end of what is committed
//   o group \0 topic \0 number a committed offset and its metadata
//   r topic partition base     a batch
//
// Every value begins with a CRC-32 of key and content: LevelDB does not check its blocks (R6), and a value under a wrong key is
// as bad as a wrong value. Numbers in keys are big endian, so that the order of the bytes is theirs.
import { crc32 } from 'node:zlib'
import { MillraceError } from '../../base/errors.ts'
import type { CommittedOffset, TopicSpec } from '../log.ts'

export const CRC_BYTES = 4
export const CATALOG_KEY: Buffer = Buffer.from('c')
export const COMMITS_KEY: Buffer = Buffer.from('s')

export interface CatalogTopic extends TopicSpec {
  readonly id: number
}

export interface Catalog {
  readonly format: 1
  readonly nextId: number
  readonly topics: readonly CatalogTopic[]
  /** Deleted topics whose batches may still be there. */
  readonly clearing: readonly number[]
}

export interface Commits {
  readonly commit: number
  readonly offsetEntries: number
}

export function damaged(dir: string, what: string, cause?: unknown): MillraceError {
  return new MillraceError(
    'STREAM_LOG_DAMAGED',
    `the log in ${dir} is damaged: ${what}; restore it from a backup, or move it away to begin anew`,
    { cause },
  )
}

/** Sets the CRC of a value that has its content behind the first 4 bytes. */
export function stamp(key: Buffer, value: Buffer): Buffer {
  value.writeUInt32LE(crc32(value.subarray(CRC_BYTES), crc32(key)), 0)
  return value
}

/** The content behind the CRC, or null when it does not match. */
export function content(key: Buffer, value: Buffer): Buffer | null {
  if (value.length < CRC_BYTES) return null
  const bytes = value.subarray(CRC_BYTES)
  return value.readUInt32LE(0) === crc32(bytes, crc32(key)) ? bytes : null
}

export function jsonValue(key: Buffer, json: unknown): Buffer {
  return stamp(key, Buffer.concat([Buffer.alloc(CRC_BYTES), Buffer.from(JSON.stringify(json))]))
}

export function endKey(topic: number, partition: number): Buffer {
  const key = Buffer.allocUnsafe(9)
  key[0] = 0x65
  key.writeUInt32BE(topic, 1)
  key.writeUInt32BE(partition, 5)
  return key
}

export function endValue(key: Buffer, end: number): Buffer {
  const value = Buffer.allocUnsafe(CRC_BYTES + 8)
  value.writeDoubleLE(end, CRC_BYTES)
  return stamp(key, value)
}

export function batchKey(topic: number, partition: number, base: number): Buffer {
  const key = Buffer.allocUnsafe(17)
  key[0] = 0x72
  key.writeUInt32BE(topic, 1)
  key.writeUInt32BE(partition, 5)
  key.writeUInt32BE(Math.floor(base / 0x1_0000_0000), 9)
  key.writeUInt32BE(base % 0x1_0000_0000, 13)
  return key
}

export function baseOf(key: Buffer): number {
  return key.readUInt32BE(9) * 0x1_0000_0000 + key.readUInt32BE(13)
}

export function offsetKey(groupId: string, topic: string, partition: number): Buffer {
  return Buffer.from(`o${groupId}\0${topic}\0${partition}`)
}

export function offsetValue(key: Buffer, offset: CommittedOffset): Buffer {
  const metadata = Buffer.from(offset.metadata)
  const value = Buffer.allocUnsafe(CRC_BYTES + 8 + metadata.length)
  value.writeDoubleLE(offset.offset, CRC_BYTES)
  metadata.copy(value, CRC_BYTES + 8)
  return stamp(key, value)
}

export function offsetOf(key: Buffer, bytes: Buffer): { readonly groupId: string; readonly offset: CommittedOffset } {
  const [groupId = '', topic = '', partition = ''] = key.toString('utf8', 1).split('\0')
  return { groupId, offset: { topic, partition: Number(partition), offset: bytes.readDoubleLE(0), metadata: bytes.toString('utf8', 8) } }
}
