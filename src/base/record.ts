// The vocabulary of records: what is read from and written to a log. Plain data, never mutated after it crosses a room.

/** Names and values in the order written; a name may come twice (Kafka allows it). */
export type Headers = readonly (readonly [name: string, value: Buffer | null])[]
export const NO_HEADERS: Headers = Object.freeze([])

/** A record as a log holds it. `timestamp` in epoch ms. A null value is a tombstone. */
export interface LogRecord {
  readonly offset: number
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Headers
}

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** Bytes that a log counts against LIMITS.recordBytesMax, at most: a header costs its name, its value and two lengths. */
export function recordBytes(key: Buffer | null, value: Buffer | null, headers: Headers): number {
  let bytes = (key === null ? 0 : key.length) + (value === null ? 0 : value.length)
  if (headers.length === 0) return bytes
  bytes += 5
  for (const [name, header] of headers) bytes += 10 + Buffer.byteLength(name, 'utf8') + (header === null ? 0 : header.length)
  return bytes
}

/** One text for a partition: `topic-3`. For Map keys and messages. */
export function partitionName(topic: string, partition: number): string {
  return `${topic}-${partition}`
}

/** Headers as users see them: text; of a name that comes twice the last counts. Null-prototype, so no name is special. */
export function headersToText(headers: Headers): Record<string, string> {
  const text = Object.create(null) as Record<string, string>
  for (const [name, value] of headers) text[name] = value === null ? '' : value.toString('utf8')
  return text
}

export function headersFromText(text: Readonly<Record<string, string>> | undefined): Headers {
  if (text === undefined) return NO_HEADERS
  const names = Object.keys(text)
  if (names.length === 0) return NO_HEADERS
  return names.map((name) => [name, Buffer.from(text[name] as string, 'utf8')] as const)
}
