// Stores without a changelog of their own: their rows are the records of the topic that the table reads (`StoreSpec.source`), so they are
// brought up from there.
//
// Invariants
// 1. Never past what the group has committed of the topic: what lies behind is still to be processed, and its rows would be of the future.
// 2. A record gives the row that processing it gives: none without a key, with a time that is none, or with bytes that the serdes refuse
//    or could not write; a null value deletes, and what the serdes read as null counts as null (json's `null`). A record that became a dead letter further down gives its row all the same (`toTable`).
// 3. How far the store goes (its checkpoint) is a position of the topic.
import { asBuffer } from '../base/bytes.ts'
import { LIMITS } from '../base/limits.ts'
import { NotYet, whenThere } from '../base/not-yet.ts'
import type { LogRecord, TopicPartition } from '../base/record.ts'
import type { Log } from '../log/log.ts'
import type { RestoreChunk } from '../state/restore.ts'
import type { StoreSpec } from '../topology/node.ts'
import type { Plan } from '../topology/plan-types.ts'
import { isTime } from './letting-go.ts'

/** Up to where the topic's rows count; null: nothing is committed there yet. */
export async function committedEnd(log: Log, groupId: string, at: TopicPartition): Promise<number | null> {
  const [committed] = await log.committed(groupId, [at])
  return committed?.offset ?? null
}

/** The portions of a topic as those of a changelog would be. */
export async function* rowPortions(chunks: AsyncIterable<RestoreChunk>, spec: StoreSpec, end: number): AsyncIterable<RestoreChunk> {
  for await (const chunk of chunks) yield await rowsOf(chunk, spec, end)
}

export async function rowsOf({ records, position }: RestoreChunk, spec: StoreSpec, end: number): Promise<RestoreChunk> {
  const rows = await whenThere(() => records.flatMap((record) => (record.offset < end ? (rowOf(record, spec) ?? []) : [])))
  return { records: rows, position: Math.min(position, end) }
}

/** Null: it gives none. */
function rowOf(record: LogRecord, spec: StoreSpec): LogRecord | null {
  const { key, value, timestamp } = record
  if (key === null || !isTime(timestamp)) return null
  try {
    // A key keeps the bytes that it came with, but under a serde that reads other forms than it writes.
    const read: unknown = spec.key.decode(key)
    const held: unknown = value === null ? null : spec.value.decode(value)
    if (read === null) return null
    const row = {
      ...record,
      key: spec.key.rewrites === true ? asBuffer(spec.key.encode(read)) : key,
      value: held === null ? null : asBuffer(spec.value.encode(held)),
    }
    return row.key.length + (row.value?.length ?? 0) > LIMITS.recordBytesMax ? null : row
  } catch (error) {
    if (error instanceof NotYet) throw error
    return null
  }
}

/** Topics that are changelogs of tables. */
export function feedingTopics(plan: Plan): ReadonlySet<string> {
  return new Set(plan.subTopologies.flatMap(({ stores }) => stores.flatMap(({ source }) => source ?? [])))
}
