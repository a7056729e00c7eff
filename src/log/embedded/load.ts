// Reads committed batches back, in chunks, and checks that none is missing.
//
// Invariants
// 1. What is answered was committed, byte for byte: CRC of each batch, each chained to the end of the one before it, the last
//    reaching as far as was asked. Anything else is STREAM_LOG_DAMAGED.
import { MillraceError } from '../../base/errors.ts'
import type { LogRecord } from '../../base/record.ts'
import type { Partition, Slice } from '../local/partition.ts'
import { type Batch, decodeBatch } from './batch.ts'
import type { Database } from './database.ts'
import { baseOf, batchKey, content, damaged } from './entries.ts'

/** Batches asked for at a time; the high water mark bounds their bytes. */
const READ_AHEAD = 256

export interface Place {
  readonly database: Database
  readonly dir: string
  readonly topicId: number
  readonly partition: Partition
}

/** Committed records from an offset below `residentFrom` on. */
export async function load(place: Place, from: number, bytesMax: number): Promise<Slice> {
  try {
    return await read(place, from, bytesMax)
  } catch (error) {
    throw error instanceof MillraceError
      ? error
      : damaged(place.dir, `${place.partition.name} cannot be read from offset ${from} on`, error)
  }
}

async function read(place: Place, from: number, bytesMax: number): Promise<Slice> {
  const { database, partition, topicId } = place
  const limit = partition.residentFrom
  const first = batchKey(topicId, partition.index, 0)
  const [below] = await database.keys({ gte: first, lte: batchKey(topicId, partition.index, from), reverse: true, limit: 1 }).all()
  const iterator = database.iterator({
    gte: below ?? first,
    lt: batchKey(topicId, partition.index, limit),
    highWaterMarkBytes: bytesMax,
    fillCache: false,
  })
  const parts: (readonly LogRecord[])[] = []
  let bytes = 0
  // what the next batch has to be chained to; unknown for the batch that `from` lies in
  let chained = below === undefined ? 0 : -1
  try {
    while (bytes < bytesMax && chained < limit) {
      const entries = await iterator.nextv(READ_AHEAD)
      if (entries.length === 0) throw damaged(place.dir, `${partition.name} ends at offset ${Math.max(chained, 0)} instead of ${limit}`)
      for (const [key, value] of entries) {
        const batch = checked(place, key, value)
        if (chained >= 0 && batch.previousEnd !== chained) {
          throw damaged(place.dir, `${partition.name} lacks the records from offset ${chained} on, before ${batch.base}`)
        }
        chained = batch.base + batch.records.length
        if (chained <= from) continue
        parts.push(from > batch.base ? batch.records.slice(from - batch.base) : batch.records)
        bytes += value.length
        if (bytes >= bytesMax) break
      }
    }
  } finally {
    await iterator.close()
  }
  return {
    records: parts.length === 1 ? (parts[0] as readonly LogRecord[]) : ([] as LogRecord[]).concat(...parts),
    bytes,
    position: chained,
  }
}

function checked(place: Place, key: Buffer, value: Buffer): Batch {
  const base = baseOf(key)
  const bytes = content(key, value)
  if (bytes === null) throw damaged(place.dir, `the batch of ${place.partition.name} at offset ${base} does not match its checksum`)
  const batch = decodeBatch(bytes, base)
  if (batch === null)
    throw damaged(place.dir, `the batch of ${place.partition.name} at offset ${base} has a form this version does not know`)
  return batch
}
