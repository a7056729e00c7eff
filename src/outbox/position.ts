// How far a relay has come: one row in a compacted topic of its own, written in the transaction of the records that it tells of. Not the offsets of
// a group: those are forgotten a week after the last commit, and a quiet outbox would be relayed again.
//
// 1. The last committed row counts. It is found from the end: the topic may be long between two compactions.
// 2. A row tells which relay wrote it. Who reads another's name behind its own commit has been replaced.
import { MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { NO_HEADERS } from '../base/record.ts'
import type { Log, WhichOffset, Writer } from '../log/log.ts'

export interface Progress {
  /** The relay that wrote it. */
  readonly relay: string
  /** Whose rows: what the source's `open` answers. */
  readonly source: string
  /** Null: nothing was relayed yet. */
  readonly position: string | null
  /** Relayed so far, by all relays. */
  readonly rows: number
}

export const positionTopic = (name: string): string => `${name}-position`

const KEY = Buffer.from('position')
const TAIL_RECORDS = 64

export function appendProgress(writer: Writer, name: string, progress: Progress, timestamp: number): void {
  writer.append(positionTopic(name), 0, timestamp, KEY, Buffer.from(JSON.stringify(progress)), NO_HEADERS)
}

/** With 'settled' the caller has fenced whoever might write. Null: nothing was ever committed. */
export async function readProgress(log: Log, name: string, which: WhichOffset): Promise<Progress | null> {
  const place = { topic: positionTopic(name), partition: 0 }
  const [first] = (await log.offsets([place], 'earliest')) as [number]
  const [end] = (await log.offsets([place], which)) as [number]
  for (let back = TAIL_RECORDS; ; back *= 16) {
    const from = Math.max(first, end - back)
    const found = await lastBetween(log, place.topic, from, end)
    if (found !== null || from === first) return found
  }
}

async function lastBetween(log: Log, topic: string, from: number, end: number): Promise<Progress | null> {
  let last: Progress | null = null
  const reader = log.reader()
  try {
    reader.assign([{ topic, partition: 0, offset: from }])
    for (let position = from; position < end; ) {
      for (const chunk of await reader.poll(LIMITS.fetchWaitMs)) {
        position = chunk.position
        const value = chunk.records.at(-1)?.value
        if (value !== undefined && value !== null) last = decode(topic, value)
      }
    }
    return last
  } finally {
    await reader.close()
  }
}

function decode(topic: string, bytes: Buffer): Progress {
  try {
    const { relay, source, position, rows } = JSON.parse(bytes.toString('utf8')) as Progress
    const known = typeof relay === 'string' && typeof source === 'string' && Number.isSafeInteger(rows)
    if (known && (position === null || typeof position === 'string')) return { relay, source, position, rows }
  } catch {
    // said below
  }
  throw new MillraceError(
    'STREAM_LOG_DAMAGED',
    `topic ${topic} has a record that no relay wrote: how far the outbox was relayed is not known`,
  )
}
