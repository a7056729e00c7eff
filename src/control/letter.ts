// One dead letter: where it came from, how it is shown, and the record that it was.
import type { World } from '../base/ports.ts'
import { LIMITS } from '../base/limits.ts'
import { type Headers, type LogRecord, partitionName, recordBytes, type TopicPartition } from '../base/record.ts'
import type { Log } from '../log/log.ts'
import { RETURN_OF, RETURNS_TO, writeReturn } from '../base/returned-letter.ts'
import { ERROR_HEADERS, LEFT_OUT } from '../runtime/dead-letter.ts'
import type { TopicSerdes } from './serdes.ts'
import { jsonText, shown } from './serdes.ts'

/** Partition and offset of the dead letter that a record is a replay of. Shorter than the headers of a trouble: what fitted into the dead
 *  letter fits into its replay. */
export const REPLAY_HEADER = '__millrace.replay.of'

/** Headers of ours that no record goes on with. */
const OURS: readonly string[] = [LEFT_OUT, REPLAY_HEADER, RETURNS_TO, RETURN_OF]

export interface Origin extends TopicPartition {
  readonly offset: number
}

/** The last one of a name counts, as for readers of headers. */
export function headerText(headers: Headers, name: string): string | null {
  return headers.findLast(([of]) => of === name)?.[1]?.toString('utf8') ?? null
}

/** Null: it does not say. */
export function originOf(headers: Headers): Origin | null {
  const topic = headerText(headers, `${ERROR_HEADERS}topic`)
  const partition = headerText(headers, `${ERROR_HEADERS}partition`)
  const offset = headerText(headers, `${ERROR_HEADERS}offset`)
  if (topic === null || topic === '' || !/^\d{1,9}$/.test(partition ?? '') || !/^\d{1,15}$/.test(offset ?? '')) return null
  return { topic, partition: Number(partition), offset: Number(offset) }
}

/** As `list` shows it and `--key` takes it; null: there is none. */
export function keyText(key: Buffer | null, serdes: TopicSerdes | null): string | null {
  if (key === null) return null
  const view = shown(key, serdes?.key)
  return typeof view === 'string' ? view : jsonText(view)
}

export function showLetter(place: string, record: LogRecord, serdes: TopicSerdes | null, done: boolean): string {
  const { headers } = record
  const line: Record<string, unknown> = {
    offset: place,
    from: originOf(headers),
    error: headerText(headers, `${ERROR_HEADERS}exception`),
    message: headerText(headers, `${ERROR_HEADERS}message`),
    key: shown(record.key, serdes?.key),
    value: shown(record.value, serdes?.value),
    timestamp: record.timestamp,
  }
  const leftOut = headerText(headers, LEFT_OUT)
  if (leftOut !== null) line.leftOut = leftOut
  const replayOf = headerText(headers, REPLAY_HEADER)
  if (replayOf !== null) line.replayOf = replayOf
  if (!done && headerText(headers, RETURNS_TO) !== null) line.blocksKey = true
  if (done) line.done = true
  return jsonText(line)
}

export function replayHeaders(headers: Headers, place: string): Headers {
  const own = headers.filter(([name]) => !name.startsWith(ERROR_HEADERS) && !OURS.includes(name))
  return [...own, [REPLAY_HEADER, Buffer.from(place)]]
}

/** How the record of a letter that keeps its key waiting comes back: to its task, in the place where it stood. */
export function returning(origin: Origin, record: LogRecord, place: string): Headers {
  return [...replayHeaders(record.headers, place), writeReturn({ ...origin, timestamp: record.timestamp, dropped: false })]
}

/** That such a letter was dropped: its key goes on. */
export function dropping(origin: Origin): Headers {
  return [writeReturn({ ...origin, timestamp: 0, dropped: true })]
}

/** What the row in which it waits has beside the record. */
export function waitingBytes({ topic }: Origin, { key, value }: LogRecord, headers: Headers): number {
  return recordBytes(key, value, headers) + (key?.length ?? 0) + 2 * Buffer.byteLength(topic) + 256
}

/** The topic by which a letter comes back that keeps its key waiting; null: it keeps none. */
export function returnTopic({ headers }: LogRecord): string | null {
  return headerText(headers, RETURNS_TO)
}

export function isWhole({ headers }: LogRecord): boolean {
  return headerText(headers, LEFT_OUT) === null
}

/** The record where it was read from; null: it is not there any more, or another one is. */
export async function readOrigin(
  log: Log,
  { topic, partition, offset }: Origin,
  letter: LogRecord,
  world: World,
): Promise<LogRecord | null> {
  const place = { topic, partition }
  const [from] = (await log.offsets([place], 'earliest')) as [number]
  const [end] = (await log.offsets([place], 'latest')) as [number]
  if (offset < from || offset >= end) return null
  const deadline = world.clock.monotonic() + LIMITS.stableOffsetsTimeoutMs
  const reader = log.reader()
  try {
    reader.assign([{ ...place, offset }])
    while (world.clock.monotonic() < deadline) {
      for (const { records, position } of await reader.poll(LIMITS.fetchWaitMs)) {
        const found = records.find((record) => record.offset === offset)
        if (found !== undefined) return isSame(found, letter) ? found : null
        if (position > offset) return null
      }
    }
    return null
  } finally {
    await reader.close()
  }
}

/** Of what the letter still has. */
function isSame(found: LogRecord, letter: LogRecord): boolean {
  const key = letter.key === null || found.key?.equals(letter.key) === true
  return key && (letter.value === null || found.value?.equals(letter.value) === true) && found.timestamp === letter.timestamp
}

export const placeOf = (partition: number, offset: number): string => `${partition}:${offset}`
export const originText = ({ topic, partition, offset }: Origin): string => `${partitionName(topic, partition)}@${offset}`
