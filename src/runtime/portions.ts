// What a restore reads of a changelog, in portions, the event loop's turn between two of them: other tasks go on beside it. It knows no
// store, and reads past `end` what its log hands out in one piece with what is before.
import { MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'
import type { LogRecord } from '../base/record.ts'
import type { ColumnChunk, Reader } from '../log/log.ts'
import type { RestoreChunk, RestoreColumns } from '../state/restore.ts'

export interface Reading {
  readonly world: World
  readonly reader: Reader
  /** Where the reader stands. */
  readonly from: number
  readonly end: number
  /** True ends it, with STREAM_CLOSED. */
  readonly ended: () => boolean
}

export async function* portionsUntil({ world, reader, from, end, ended }: Reading): AsyncIterable<RestoreChunk> {
  for (let position = from; position < end; ) {
    refuseEnded(ended)
    for (const chunk of await reader.poll(LIMITS.fetchWaitMs)) {
      for (let at = 0; at < chunk.records.length; at += LIMITS.restorePortionRecords) {
        const records = chunk.records.slice(at, at + LIMITS.restorePortionRecords)
        yield { records, position: (records.at(-1) as LogRecord).offset + 1 }
        await world.timers.turn()
        refuseEnded(ended)
      }
      position = chunk.position
      yield { records: [], position }
    }
  }
}

/** The same without an object a record; null: the log has no such way. */
export function columnsUntil(reading: Reading): AsyncIterable<RestoreColumns> | null {
  const { reader } = reading
  return reader.pollColumns === undefined ? null : columnsOf(reading, reader.pollColumns.bind(reader))
}

async function* columnsOf(
  { world, from, end, ended }: Reading,
  poll: (waitMs: number) => Promise<readonly ColumnChunk[]>,
): AsyncIterable<RestoreColumns> {
  let records = 0
  for (let position = from; position < end; ) {
    refuseEnded(ended)
    for (const chunk of await poll(LIMITS.fetchWaitMs)) {
      yield chunk
      position = chunk.position
      records += chunk.columns.count
      // Compressed batches come one by one, however small they are.
      if (records < LIMITS.taskBatchRecords) continue
      records = 0
      await world.timers.turn()
    }
  }
}

function refuseEnded(ended: () => boolean): void {
  if (ended()) throw closedWhileRestoring()
}

export function closedWhileRestoring(): MillraceError {
  return new MillraceError('STREAM_CLOSED', 'closed while restoring')
}
