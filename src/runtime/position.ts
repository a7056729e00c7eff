// The few bytes that go along with a committed input position: the partition's time, then the task's timers, where it has some, then whether
// a store has its rows from there. `1700000000000`, `1700000000000;1xk2.0:lx8f2a`, `1700000000000;;rows`.
import { MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'

export interface PositionNote {
  /** Greatest timestamp processed; -1: none. */
  readonly partitionTime: number
  readonly timers: string
  /** The topic is the changelog of a table: what is committed of it is in no other. */
  readonly feeds: boolean
}

const FEEDS = 'rows'

/** A broker would refuse a longer one, and with it the epoch, again and again. */
export function writePositionNote({ partitionTime, timers, feeds }: PositionNote): string {
  const note = feeds ? `${partitionTime};${timers};${FEEDS}` : timers === '' ? String(partitionTime) : `${partitionTime};${timers}`
  if (note.length <= LIMITS.positionNoteBytesMax) return note
  throw new MillraceError(
    'STREAM_USAGE',
    `the times of the timers of a task are ${note.length} bytes, ${LIMITS.positionNoteBytesMax} can be committed; let suppliers set fewer timers`,
    { disposition: 'stop' },
  )
}

export function readPositionNote(text: string): PositionNote {
  const [time = '', timers = '', rows = ''] = text.split(';')
  const partitionTime = time === '' ? Number.NaN : Number(time)
  return { partitionTime: Number.isSafeInteger(partitionTime) ? partitionTime : -1, timers, feeds: rows === FEEDS }
}
