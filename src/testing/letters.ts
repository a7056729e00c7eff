// Replays and drops the dead letters of a session, as `millrace dead-letter` does on a log.
import type { LogRecord } from '../base/record.ts'
import { dropping, originOf, placeOf, replayHeaders, returning, returnTopic } from '../control/letter.ts'
import type { OutputRecord, Session } from './session.ts'

export interface Letter extends OutputRecord {
  /** Partition and place in it. */
  readonly place: string
}

/** In the order written. */
export function lettersOf(outputs: readonly OutputRecord[]): Letter[] {
  const counts = new Map<number, number>()
  return outputs.map((record) => {
    const offset = counts.get(record.partition) ?? 0
    counts.set(record.partition, offset + 1)
    return { ...record, place: placeOf(record.partition, offset) }
  })
}

/** False: there is nowhere to go with it. */
export async function settleLetter(session: Session, letter: Letter, act: 'replay' | 'drop'): Promise<boolean> {
  const origin = originOf(letter.headers)
  if (origin === null) return false
  const record: LogRecord = { ...letter, offset: origin.offset }
  const { partition } = origin
  const back = returnTopic(record)
  if (back !== null) {
    const headers = act === 'drop' ? dropping(origin) : returning(origin, record, letter.place)
    await session.pipe({ topic: back, partition, key: letter.key, value: act === 'drop' ? null : letter.value, timestamp: 0, headers })
  } else if (act === 'replay') {
    const { key, value, timestamp } = letter
    await session.pipe({ topic: origin.topic, partition, key, value, timestamp, headers: replayHeaders(letter.headers, letter.place) })
  }
  return true
}
