// The one error class. `code` is stable and documented; messages may change. The supervisor switches on `disposition` only.

/** What is to be done about an error.
 *  retry: the same call again; rewind: abort the epoch, re-read what is committed; rebuild: restore the store from its
 *  changelog; park: the record goes to the dead letters; stop: a person is needed; usage: the caller's words are off (status 2). */
export type Disposition = 'retry' | 'rewind' | 'rebuild' | 'park' | 'stop' | 'usage'

export type ErrorCode =
  | 'STREAM_USAGE' // a flag, an option or an argument
  | 'STREAM_TOPOLOGY' // refused when the topology is built or planned
  | 'STREAM_TOPOLOGY_MISMATCH' // the group runs a topology of another shape
  | 'STREAM_TOPOLOGY_FILE' // the file is missing, throws or exports nothing
  | 'STREAM_NAME' // a bad topic, store, application or operator name
  | 'STREAM_SERDE' // bytes that can't be decoded, a value that can't be encoded
  | 'STREAM_CALLBACK' // a user's function threw
  | 'STREAM_REGISTRY' // the schema registry: does not answer, or refuses
  | 'STREAM_TOPIC_MISSING'
  | 'STREAM_TOPIC_MISMATCH' // partition counts that differ, a topic that is not what the plan says
  | 'STREAM_BROKER_UNREACHABLE'
  | 'STREAM_BROKER' // any other broker answer
  | 'STREAM_DOUBT' // an answer that never came: the epoch may or may not be committed
  | 'STREAM_FENCED' // another instance has taken over
  | 'STREAM_OFFSET_OUT_OF_RANGE'
  | 'STREAM_OFFSET_MISSING' // a source with offsetReset 'none' whose group has committed nothing
  | 'STREAM_UNSTABLE' // committed offsets stayed behind an open transaction for too long
  | 'STREAM_STORE_DAMAGED'
  | 'STREAM_QUOTA' // the state of a task has outgrown stateQuota
  | 'STREAM_STATE_LOCKED' // the state directory belongs to another live process
  | 'STREAM_STATE_MISSING' // no such state directory
  | 'STREAM_LOG_DAMAGED' // the embedded log
  | 'STREAM_RECORD_TOO_LARGE'
  | 'STREAM_TIMEOUT' // a record has waited for too long
  | 'STREAM_BUFFER_FULL' // more records wait than may, and the policy is to stop
  | 'STREAM_DATABASE' // the database of an outbox: no connection, or it refuses
  | 'STREAM_OUTBOX' // the table of an outbox, or a row of it
  | 'STREAM_NOT_LOCAL' // a key whose task runs elsewhere, or is being restored
  | 'STREAM_STORE_RESTORING' // a store is read while it comes back from its changelog
  | 'STREAM_CLOSED'
  | 'STREAM_INTERNAL' // a broken invariant of ours

export interface ErrorOptions {
  readonly disposition?: Disposition
  readonly cause?: unknown
}

export class MillraceError extends Error {
  readonly code: ErrorCode
  readonly disposition: Disposition

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'MillraceError'
    this.code = code
    this.disposition = options.disposition ?? defaultDisposition[code]
  }
}

const defaultDisposition: Readonly<Record<ErrorCode, Disposition>> = {
  STREAM_USAGE: 'usage',
  STREAM_TOPOLOGY: 'usage',
  STREAM_TOPOLOGY_MISMATCH: 'stop',
  STREAM_TOPOLOGY_FILE: 'usage',
  STREAM_NAME: 'usage',
  STREAM_SERDE: 'park',
  STREAM_CALLBACK: 'park',
  STREAM_REGISTRY: 'stop',
  STREAM_TOPIC_MISSING: 'stop',
  STREAM_TOPIC_MISMATCH: 'stop',
  STREAM_BROKER_UNREACHABLE: 'stop',
  STREAM_BROKER: 'rewind',
  STREAM_DOUBT: 'rewind',
  STREAM_FENCED: 'rewind',
  STREAM_OFFSET_OUT_OF_RANGE: 'stop',
  STREAM_OFFSET_MISSING: 'stop',
  STREAM_UNSTABLE: 'retry',
  STREAM_STORE_DAMAGED: 'rebuild',
  STREAM_QUOTA: 'stop',
  STREAM_STATE_LOCKED: 'usage',
  STREAM_STATE_MISSING: 'usage',
  STREAM_LOG_DAMAGED: 'stop',
  STREAM_RECORD_TOO_LARGE: 'park',
  STREAM_TIMEOUT: 'park',
  STREAM_BUFFER_FULL: 'stop',
  STREAM_DATABASE: 'stop',
  STREAM_OUTBOX: 'stop',
  STREAM_NOT_LOCAL: 'retry',
  STREAM_STORE_RESTORING: 'retry',
  STREAM_CLOSED: 'stop',
  STREAM_INTERNAL: 'stop',
}

/** One line for a person: the messages of the error and its causes, no stack. */
export function explain(error: unknown): string {
  const parts: string[] = []
  for (let e: unknown = error, depth = 0; e !== undefined && e !== null && depth < 5; depth++) {
    const message = (e instanceof Error ? e.message : String(e)).replaceAll(/\s*\n\s*/g, ' ')
    if (!parts.some((part) => part.includes(message))) parts.push(message)
    e = e instanceof Error ? e.cause : undefined
  }
  return parts.join(': ')
}

/** The error itself when it is ours, else wrapped as one. */
export function wrap(error: unknown, code: ErrorCode, message: string): MillraceError {
  return error instanceof MillraceError ? error : new MillraceError(code, message, { cause: error })
}
