// One Produce request of ready batches, and its answer row by row. (The package's own parser makes up an error for a refused
// record, and throws away the good rows beside a code it does not know.)
import { type Connection, type Reader, Writer } from '@platformatic/kafka'

export interface ReadyBatch {
  readonly topic: string
  readonly partition: number
  readonly bytes: Buffer
}

export interface ProducedRow {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  readonly baseOffset: number
  readonly message: string | null
}

const ALL_REPLICAS = -1
const REPLICAS_TIMEOUT_MS = 30_000

/** At most one batch a partition (the broker's rule). 12 has the layout of 11; it tells the broker that we mean KIP-890. The batches
 *  are copied before this returns, and the connection keeps the order of calls. */
export function sendProduce(
  connection: Connection,
  transactionalId: string | null,
  batches: readonly ReadyBatch[],
  version: 11 | 12,
): Promise<readonly ProducedRow[]> {
  const topics = new Map<string, ReadyBatch[]>()
  for (const batch of batches) {
    const list = topics.get(batch.topic)
    if (list === undefined) topics.set(batch.topic, [batch])
    else list.push(batch)
  }
  const request = (): Writer =>
    Writer.create()
      .appendString(transactionalId)
      .appendInt16(ALL_REPLICAS)
      .appendInt32(REPLICAS_TIMEOUT_MS)
      .appendArray([...topics], (w, [topic, list]) => {
        w.appendString(topic).appendArray(list, (of, batch) => {
          of.appendInt32(batch.partition)
            .appendUnsignedVarInt(batch.bytes.length + 1)
            .append(batch.bytes)
        })
      })
      .appendTaggedFields()
  return new Promise((resolve, reject) => {
    connection.send<readonly ProducedRow[]>(0, version, request, parse, true, true, (error, rows) =>
      error === null || error === undefined ? resolve(rows ?? []) : reject(error),
    )
  })
}

function parse(_correlation: number, _key: number, _version: number, reader: Reader): readonly ProducedRow[] {
  const rows: ProducedRow[] = []
  reader.readArray((r) => {
    const topic = r.readString()
    r.readArray((of) => {
      const partition = of.readInt32()
      const errorCode = of.readInt16()
      const baseOffset = Number(of.readInt64())
      of.readInt64() // log append time
      of.readInt64() // log start offset
      const reasons: string[] = []
      of.readArray((record) => {
        record.readInt32()
        const reason = record.readNullableString()
        if (reason !== null) reasons.push(reason)
      })
      const message = of.readNullableString()
      rows.push({ topic, partition, errorCode, baseOffset, message: reasons[0] ?? message })
    })
  })
  return rows
}
