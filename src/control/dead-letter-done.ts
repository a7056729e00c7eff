// Which dead letters are done with, replayed or dropped: one row a partition of the dead-letter topic, in a compacted topic of its own. Not
// the offsets of a group: those are forgotten a week after the last commit, dead letters are kept for ever.
//
// 1. A row is written in the transaction of what it tells of. Who has it knows; who has not, nothing of it has happened.
// 2. What stands in a row is done. What lies between two offsets that are done with no record between them may count as done or not.
// 3. A row of a topic that was deleted and made anew says nothing of the new one.
import { MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { Log, WhichOffset } from '../log/log.ts'

/** Offsets below `before`, and those of the ranges: from the first, below the second, ascending. */
export interface Done {
  readonly before: number
  readonly ranges: readonly (readonly [number, number])[]
}

const NOTHING: Done = { before: 0, ranges: [] }

export function isDone({ before, ranges }: Done, offset: number): boolean {
  if (offset < before) return true
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ranges[middle] as readonly [number, number])[1] <= offset) low = middle + 1
    else high = middle
  }
  const range = ranges[low]
  return range !== undefined && range[0] <= offset
}

/** Walks the records of a partition in order, from the first that is not done; what it has not come to stays as it was. */
export interface Walk {
  done(offset: number): void
  open(offset: number): void
  now(): Done
}

export function walk(former: Done): Walk {
  let { before } = former
  let position = before
  let anyOpen = false
  let lastDone = false
  const ranges: [number, number][] = []
  return {
    done(offset) {
      position = offset + 1
      if (!anyOpen) before = position
      else if (lastDone) (ranges.at(-1) as [number, number])[1] = position
      else ranges.push([offset, position])
      lastDone = true
    },
    open(offset) {
      position = offset + 1
      anyOpen = true
      lastDone = false
    },
    now() {
      const rest = former.ranges.flatMap(([from, to]) => (to > position ? [[Math.max(from, position), to] as const] : []))
      return { before, ranges: [...ranges, ...rest] }
    },
  }
}

/** By partition. The id is that of the dead-letter topic, where the log has ids. */
export type DoneRows = (partition: number) => Done

export function encodeDone(done: Done, topicId: string | undefined): Buffer {
  const bytes = Buffer.from(JSON.stringify({ ...(topicId === undefined ? {} : { topicId }), ...done }))
  if (bytes.length <= LIMITS.recordBytesMax) return bytes
  throw new MillraceError(
    'STREAM_RECORD_TOO_LARGE',
    `what is done lies in ${done.ranges.length} pieces, more than can be remembered: replay or drop the earliest dead letters first`,
    { disposition: 'stop' },
  )
}

/** With 'settled' the caller has fenced whoever might write. No topic: nothing was done yet. */
export async function readDone(log: Log, topic: string, topicId: string | undefined, which: WhichOffset): Promise<DoneRows> {
  const rows = new Map<number, Done>()
  if ((await log.topics([topic])).has(topic)) {
    const place = { topic, partition: 0 }
    const [from] = (await log.offsets([place], 'earliest')) as [number]
    const [end] = (await log.offsets([place], which)) as [number]
    const reader = log.reader()
    try {
      reader.assign([{ ...place, offset: from }])
      for (let position = from; position < end; ) {
        for (const chunk of await reader.poll(LIMITS.fetchWaitMs)) {
          position = chunk.position
          for (const { key, value } of chunk.records) {
            const row = value === null ? null : decodeDone(topic, value)
            if (row !== null && (row.topicId === undefined || topicId === undefined || row.topicId === topicId))
              rows.set(Number(key?.toString('utf8')), row)
            else rows.delete(Number(key?.toString('utf8')))
          }
        }
      }
    } finally {
      await reader.close()
    }
  }
  return (partition) => rows.get(partition) ?? NOTHING
}

function decodeDone(topic: string, bytes: Buffer): Done & { readonly topicId?: string } {
  try {
    const row = JSON.parse(bytes.toString('utf8')) as Done & { readonly topicId?: string }
    if (Number.isSafeInteger(row.before) && Array.isArray(row.ranges)) return row
  } catch {
    // said below
  }
  throw new MillraceError('STREAM_LOG_DAMAGED', `topic ${topic} has a row that is none of millrace: what was replayed is not known`)
}
