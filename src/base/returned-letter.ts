// What a dead letter that keeps its key waiting says of where it has to come back, and what it says when it does: which record it was,
// and whether it is to be processed or was dropped. Two headers, and nothing else of a record.
import { MillraceError } from './errors.ts'
import type { Headers } from './record.ts'

/** On a letter: the topic that it has to come back by. */
export const RETURNS_TO = '__millrace.errors.returns.to'
/** On what comes back: the record that it was. Shorter than the headers of a trouble. */
export const RETURN_OF = '__millrace.return.of'

export interface Return {
  /** Where the record was read; the partition is that in which it comes back. */
  readonly topic: string
  readonly offset: number
  /** Of the record. What comes back has 0: it must not move stream time by when it was written. */
  readonly timestamp: number
  /** Nothing is to be processed: its key goes on. */
  readonly dropped: boolean
}

export function writeReturn({ topic, offset, timestamp, dropped }: Return): Headers[number] {
  return [RETURN_OF, Buffer.from(`${dropped ? 'drop' : 'run'}:${offset}:${timestamp}:${topic}`)]
}

export function readReturn(headers: Headers): Return {
  const text = headers.findLast(([name]) => name === RETURN_OF)?.[1]?.toString('utf8') ?? ''
  const found = /^(drop|run):(\d{1,15}):(-?\d{1,16}):(.+)$/.exec(text)
  if (found === null) throw new MillraceError('STREAM_SERDE', `no dead letter comes back with ${text === '' ? 'no header' : text}`)
  const [, act, offset, timestamp, topic] = found
  return { topic: topic as string, offset: Number(offset), timestamp: Number(timestamp), dropped: act === 'drop' }
}
