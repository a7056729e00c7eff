// What becomes of a record that cannot be processed: a dead letter with its origin in headers (the names of KIP-1034), silence, or
// the end of the processor, as the policy says.
import type { ErrorPolicy } from '../base/error-policy.ts'
import { explain, MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { type Headers, type LogRecord, recordBytes } from '../base/record.ts'
import { RETURNS_TO } from '../base/returned-letter.ts'
import type { Answer } from './blame.ts'

/** One policy a kind of trouble: input that can't be decoded, a callback that threw, output that can't be written. */
export interface ErrorPolicies {
  readonly deserialization: ErrorPolicy
  readonly callback: ErrorPolicy
  readonly production: ErrorPolicy
}

export const DEFAULT_POLICIES: ErrorPolicies = { deserialization: 'deadLetter', callback: 'deadLetter', production: 'deadLetter' }

export function deadLetterTopic(applicationId: string): string {
  return `${applicationId}-dead-letter`
}

/** Which of them are done with, replayed or dropped. */
export function deadLetterDoneTopic(applicationId: string): string {
  return `${applicationId}-dead-letter-done`
}

/** What all headers of a trouble begin with. */
export const ERROR_HEADERS = '__streams.errors.'

/** What a dead letter says of what had to be left out of it, because it was too long for a record. */
export const LEFT_OUT = '__millrace.errors.left.out'

/** The record with the headers of its trouble. Where that is more than a record may have, its own headers stay behind, then its value, then
 *  its key: the origin says where they are. A dead letter that no log takes would stop its task for good. */
export function deadLetter(
  topic: string,
  partition: number,
  record: LogRecord,
  error: unknown,
  returnsTo: string | null = null,
): { readonly key: Buffer | null; readonly value: Buffer | null; readonly headers: Headers } {
  const { key, value } = record
  const whole = { key, value, headers: deadLetterHeaders(topic, partition, record, error, returnsTo) }
  if (fits(whole)) return whole
  const less = (left: string, rest: { key: Buffer | null; value: Buffer | null }): typeof whole => {
    const bare = deadLetterHeaders(topic, partition, { ...record, headers: [] }, error, returnsTo)
    return { ...rest, headers: [...bare, [LEFT_OUT, Buffer.from(left)]] }
  }
  const plain = less('headers', { key, value })
  if (fits(plain)) return plain
  const short = less('headers, value', { key, value: null })
  return fits(short) ? short : less('headers, value, key', { key: null, value: null })
}

function fits({ key, value, headers }: { key: Buffer | null; value: Buffer | null; headers: Headers }): boolean {
  return recordBytes(key, value, headers) <= LIMITS.recordBytesMax
}

/** The record's own headers, then where it came from and what happened. */
function deadLetterHeaders(topic: string, partition: number, record: LogRecord, error: unknown, returnsTo: string | null): Headers {
  const root = error instanceof MillraceError && error.cause instanceof Error ? error.cause : error
  const stack = root instanceof Error ? (root.stack ?? '') : ''
  const text = (value: string): Buffer => Buffer.from(value, 'utf8')
  return [
    ...record.headers.filter(([name]) => !name.startsWith(ERROR_HEADERS) && name !== RETURNS_TO),
    ['__streams.errors.exception', text(error instanceof MillraceError ? error.code : root instanceof Error ? root.name : typeof root)],
    ['__streams.errors.message', text(explain(error).slice(0, LIMITS.stacktraceBytesMax))],
    ['__streams.errors.stacktrace', text(stack.slice(0, LIMITS.stacktraceBytesMax))],
    ['__streams.errors.topic', text(topic)],
    ['__streams.errors.partition', text(String(partition))],
    ['__streams.errors.offset', text(String(record.offset))],
    ...(returnsTo === null ? [] : [[RETURNS_TO, text(returnsTo)] as const]),
  ]
}

/** Which policy an error falls under; `answer`: what was said of it where it was thrown. */
export function policyOf(error: unknown, policies: ErrorPolicies, answer: Answer): ErrorPolicy {
  if (answer !== null) return answer === 'deserialization' ? policies.deserialization : answer
  const code = error instanceof MillraceError ? error.code : ''
  if (code === 'STREAM_CALLBACK') return policies.callback
  if (code === 'STREAM_RECORD_TOO_LARGE' || code === 'STREAM_TOPIC_MISSING') return policies.production
  return policies.callback
}
