// The few bytes that go along with a committed input position: the partition's time, then the task's timers, where it has some.
// `1700000000000` or `1700000000000;1xk2.0:lx8f2a`.
import { MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'

export interface PositionNote {
  /** Greatest timestamp processed; -1: none. */
  readonly partitionTime: number
  readonly timers: string
}

/** A broker would refuse a longer one, and with it the epoch, again and again. */
export function writePositionNote({ partitionTime, timers }: PositionNote): string {
  const note = timers === '' ? String(partitionTime) : `${partitionTime};${timers}`
  if (note.length <= LIMITS.positionNoteBytesMax) return note
  throw new MillraceError(
    'STREAM_USAGE',
    `the times of the timers of a task are ${note.length} bytes, ${LIMITS.positionNoteBytesMax} can be committed; let suppliers set fewer timers`,
    { disposition: 'stop' },
  )
}

export function readPositionNote(text: string): PositionNote {
  const [time = '', timers = ''] = text.split(';')
  const partitionTime = time === '' ? Number.NaN : Number(time)
  return { partitionTime: Number.isSafeInteger(partitionTime) ? partitionTime : -1, timers }
}
