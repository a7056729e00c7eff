// One Fetch request (version 17, no fetch session) and a parser that leaves the records alone: it answers ranges of the one
// contiguous response buffer. A bad partition is an errorCode in its row, never an exception for the healthy ones.
import { type Connection, fetchV17, type Reader } from '@platformatic/kafka'
import type { AbortedTransaction } from './decode.ts'
import { BATCH_HEADER_BYTES } from './encode.ts'
import { BrokerAnswer } from './errors.ts'

export interface Want {
  readonly topicId: string
  readonly partition: number
  readonly offset: number
}

export interface FetchedRow {
  readonly topicId: string
  readonly partition: number
  readonly errorCode: number
  readonly highWatermark: number
  readonly lastStableOffset: number
  readonly logStartOffset: number
  readonly aborted: readonly AbortedTransaction[] | null
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
}

export interface FetchBounds {
  readonly waitMs: number
  readonly bytesMax: number
  readonly partitionBytesMax: number
  readonly committedOnly: boolean
}

/** All wants must be led by this connection's broker. A paused partition is simply left out. */
export function sendFetch(connection: Connection, wants: readonly Want[], bounds: FetchBounds): Promise<readonly FetchedRow[]> {
  const topics = new Map<
    string,
    { partition: number; currentLeaderEpoch: number; fetchOffset: bigint; lastFetchedEpoch: number; partitionMaxBytes: number }[]
  >()
  for (const want of wants) {
    const row = {
      partition: want.partition,
      currentLeaderEpoch: -1,
      fetchOffset: BigInt(want.offset),
      lastFetchedEpoch: -1,
      partitionMaxBytes: bounds.partitionBytesMax,
    }
    const list = topics.get(want.topicId)
    if (list === undefined) topics.set(want.topicId, [row])
    else list.push(row)
  }
  const list = [...topics].map(([topicId, partitions]) => ({ topicId, partitions }))
  const request = () => fetchV17.createRequest(bounds.waitMs, 1, bounds.bytesMax, bounds.committedOnly ? 1 : 0, 0, -1, list, [], '')
  return new Promise((resolve, reject) => {
    connection.send<readonly FetchedRow[]>(1, 17, request, parse, true, true, (error, rows) =>
      error === null || error === undefined ? resolve(rows ?? []) : reject(error),
    )
  })
}

/** Where the next fetch begins: behind the last whole batch of the range. */
export function endOfBatches(b: Buffer, start: number, end: number, from: number): number {
  let position = from
  for (let at = start; end - at >= BATCH_HEADER_BYTES; ) {
    const next = at + 12 + b.readInt32BE(at + 8)
    if (next > end) break
    position = Math.max(position, Number(b.readBigInt64BE(at)) + b.readInt32BE(at + 23) + 1)
    at = next
  }
  return position
}

function parse(_correlation: number, _key: number, _version: number, reader: Reader): readonly FetchedRow[] {
  const b: Buffer = reader.buffer.buffer // makes one of the socket's chunks, once
  let at = 4 // throttle time
  const error = b.readInt16BE(at)
  if (error !== 0) throw new BrokerAnswer('Fetch', error)
  at += 6 // error code, session id
  const uvarint = (): number => {
    let n = 0
    for (let shift = 0; ; shift += 7) {
      const byte = b[at++] as number
      n |= (byte & 127) << shift
      if (byte < 128) return n >>> 0
    }
  }
  const int64 = (): number => {
    const n = Number(b.readBigInt64BE(at))
    at += 8
    return n
  }
  const skipTags = (): void => {
    for (let n = uvarint(); n > 0; n--) {
      uvarint()
      const size = uvarint()
      at += size
    }
  }
  const rows: FetchedRow[] = []
  for (let topics = uvarint() - 1; topics > 0; topics--) {
    const hex = b.toString('hex', at, at + 16)
    at += 16
    const topicId = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
    for (let partitions = uvarint() - 1; partitions > 0; partitions--) {
      const partition = b.readInt32BE(at)
      const errorCode = b.readInt16BE(at + 4)
      at += 6
      const highWatermark = int64()
      const lastStableOffset = int64()
      const logStartOffset = int64()
      const abortedCount = uvarint()
      const aborted: AbortedTransaction[] = []
      for (let i = 1; i < abortedCount; i++) {
        const producerId = b.readBigInt64BE(at)
        at += 8
        aborted.push({ producerId, firstOffset: int64() })
        skipTags()
      }
      at += 4 // preferred read replica
      const size = Math.max(0, uvarint() - 1)
      rows.push({
        topicId,
        partition,
        errorCode,
        highWatermark,
        lastStableOffset,
        logStartOffset,
        aborted: abortedCount > 0 ? aborted : null,
        buffer: b,
        start: at,
        end: at + size,
      })
      at += size
      skipTags()
    }
    skipTags()
  }
  return rows
}
