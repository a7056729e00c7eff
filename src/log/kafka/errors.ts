// What the client package throws, as names: the broker's own where it spoke, else NETWORK, TIMEOUT or UNCLASSIFIED. The only file
// that knows the shapes of the package's errors. Never asks the package what may be retried.
//
// Invariants
// 1. Never empty: what cannot be named is UNCLASSIFIED, and that is doubt inside an epoch.
// 2. The package's parser makes a bare TypeError of a broker code above 127 (Kafka 4.3 has some): UNCLASSIFIED, too.
import { NetworkError, protocolErrorsCodesById, TimeoutError } from '@platformatic/kafka'
import { type ErrorCode, MillraceError } from '../../base/errors.ts'
import { NETWORK, type Outcome, outcome, type RequestKind, TIMEOUT, UNCLASSIFIED } from '../outcome.ts'

/** The name of a broker's code; 0 is NONE. */
export function codeName(code: number): string {
  return (protocolErrorsCodesById as Readonly<Record<number, string>>)[code] ?? `CODE_${code}`
}

/** A broker's answer in our own codecs. */
export class BrokerAnswer extends Error {
  readonly apiId: string

  constructor(api: string, code: number, detail: string | null = null) {
    const name = codeName(code)
    super(`${api}: ${name} (${code})${detail === null ? '' : `, ${detail}`}`)
    this.name = 'BrokerAnswer'
    this.apiId = name
  }
}

interface PackageError {
  readonly apiId?: unknown
  readonly code?: unknown
  readonly errors?: unknown
  readonly cause?: unknown
  readonly response?: unknown
}

export function namesOf(error: unknown): readonly string[] {
  const names = new Set<string>()
  collect(error, names, 0)
  if (names.size > 1) names.delete(UNCLASSIFIED)
  return names.size === 0 ? [UNCLASSIFIED] : [...names]
}

function collect(error: unknown, names: Set<string>, depth: number): void {
  if (typeof error !== 'object' || error === null || depth > 5) return
  const e = error as PackageError
  if (typeof e.apiId === 'string') names.add(e.apiId)
  else if (Array.isArray(e.errors) && e.errors.length > 0) for (const one of e.errors) collect(one, names, depth + 1)
  else if (error instanceof TimeoutError) names.add(TIMEOUT)
  else if (e.code === 'PLT_KFK_AUTHENTICATION') names.add('SASL_AUTHENTICATION_FAILED')
  else if (error instanceof NetworkError) {
    const deeper = new Set<string>() // a refused login arrives as the cause of a failed connection
    collect(e.cause, deeper, depth + 1)
    deeper.delete(UNCLASSIFIED)
    for (const name of deeper.size > 0 ? deeper : [NETWORK]) names.add(name)
  } else names.add(UNCLASSIFIED)
}

/** What the package had parsed before it threw. */
export function responseOf<T>(error: unknown): T | undefined {
  return (error as { readonly response?: T } | null)?.response
}

const WORST: readonly Outcome[] = [
  'stop',
  'fenced',
  'tooLarge',
  'missing',
  'range',
  'doubt',
  'forgotten',
  'lost',
  'rejoin',
  'named',
  'refresh',
  'again',
  'ok',
]

/** Of several answers the gravest counts. */
export function judge(kind: RequestKind, error: unknown): { readonly outcome: Outcome; readonly name: string; readonly reason: string } {
  let worst: { outcome: Outcome; name: string; reason: string } | undefined
  for (const name of namesOf(error)) {
    const { outcome: found, reason } = outcome(kind, name)
    if (worst === undefined || WORST.indexOf(found) < WORST.indexOf(worst.outcome)) worst = { outcome: found, name, reason }
  }
  return worst as { outcome: Outcome; name: string; reason: string }
}

const CODES: Readonly<Record<Outcome, ErrorCode>> = {
  ok: 'STREAM_INTERNAL',
  again: 'STREAM_BROKER_UNREACHABLE',
  refresh: 'STREAM_BROKER_UNREACHABLE',
  doubt: 'STREAM_DOUBT',
  fenced: 'STREAM_FENCED',
  missing: 'STREAM_TOPIC_MISSING',
  range: 'STREAM_OFFSET_OUT_OF_RANGE',
  tooLarge: 'STREAM_RECORD_TOO_LARGE',
  lost: 'STREAM_FENCED',
  forgotten: 'STREAM_FENCED',
  named: 'STREAM_INTERNAL',
  rejoin: 'STREAM_FENCED',
  stop: 'STREAM_BROKER',
}

/** The error for a request that will not be repeated. `what` names it: "Produce to orders-3". */
export function failure(kind: RequestKind, what: string, error: unknown): MillraceError {
  if (error instanceof MillraceError) return error
  const { outcome: found, name, reason } = judge(kind, error)
  const message = `${what}: ${name} (${reason})`
  if (found === 'again' || found === 'refresh') {
    const waited = new MillraceError('STREAM_BROKER_UNREACHABLE', `${message}; it did not pass`, { cause: error, disposition: 'retry' })
    return inEpoch(kind) ? new MillraceError('STREAM_DOUBT', waited.message, { cause: error }) : waited
  }
  const stops = found === 'stop' || found === 'tooLarge'
  return new MillraceError(CODES[found], message, stops ? { cause: error, disposition: 'stop' } : { cause: error })
}

function inEpoch(kind: RequestKind): boolean {
  return (
    kind === 'produce' ||
    kind === 'addPartitions' ||
    kind === 'addOffsets' ||
    kind === 'txnOffsets' ||
    kind === 'end' ||
    kind === 'offsetCommit'
  )
}
