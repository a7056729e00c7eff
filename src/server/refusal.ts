// How a request is refused: a status and a stable code. An answer never carries the message of an inner error, a path, a key or a value.
import { MillraceError } from '../base/errors.ts'
import type { StoreRestoring } from '../runtime/reads.ts'

export const REFUSALS = {
  BAD_REQUEST: 400,
  UNAUTHORIZED: 401,
  ORIGIN_REFUSED: 403,
  STORE_REFUSED: 403,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  TIMEOUT: 408,
  FENCED: 409,
  BODY_REFUSED: 413,
  URL_TOO_LONG: 414,
  CONTENT_TYPE_REFUSED: 415,
  FOREIGN_HOST: 421,
  TOO_MANY_REQUESTS: 429,
  HEADERS_TOO_LARGE: 431,
  INTERNAL: 500,
  OWNER_UNREACHABLE: 502,
  NOT_READY: 503,
  STORE_RESTORING: 503,
  TOO_MANY_READERS: 503,
} as const

export type RefusalCode = keyof typeof REFUSALS

export class Refusal extends Error {
  readonly code: RefusalCode
  readonly status: number
  /** Beside the code: how far a restore is. */
  readonly progress: { readonly restored: number; readonly remaining: number } | null

  constructor(code: RefusalCode, progress: Refusal['progress'] = null) {
    // "Not found" is an everyday answer: a stack would cost a tenth of it, and nobody reads it.
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    super(code)
    Error.stackTraceLimit = stackTraceLimit
    this.progress = progress
    this.name = 'Refusal'
    this.code = code
    this.status = REFUSALS[code]
  }
}

/** An everyday answer: made once, it costs a twentieth. */
export const NOT_FOUND: Refusal = new Refusal('NOT_FOUND')

export function refusalText({ code, progress }: Refusal): string {
  return JSON.stringify({ code, ...progress })
}

/** By its code: the class lies beside what reads stores, and the thread of the front would load all of that. */
function isRestoring(error: MillraceError): error is StoreRestoring {
  return error.code === 'STREAM_STORE_RESTORING'
}

/** What is not a refusal yet: a store that is closing or elsewhere is 503, what the client typed 400, dead letters that another process settles
 *  409, all else 500. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error
  if (error instanceof MillraceError) {
    if (isRestoring(error)) return new Refusal('STORE_RESTORING', { restored: error.restored, remaining: error.remaining })
    if (error.code === 'STREAM_NOT_LOCAL' || error.code === 'STREAM_CLOSED' || error.disposition === 'rebuild')
      return new Refusal('NOT_READY')
    if (error.code === 'STREAM_FENCED') return new Refusal('FENCED')
    if (error.disposition === 'usage') return new Refusal('BAD_REQUEST')
    return new Refusal('INTERNAL')
  }
  switch ((error as { readonly code?: unknown } | null)?.code) {
    case 'FST_ERR_BAD_URL':
      return new Refusal('BAD_REQUEST')
    default:
      // A body that is no JSON.
      return new Refusal((error as { readonly statusCode?: unknown } | null)?.statusCode === 400 ? 'BAD_REQUEST' : 'INTERNAL')
  }
}
