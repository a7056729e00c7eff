// Why no broker could be spoken to, and what to do about it: certificates, passwords and doors of another kind look much like a broker
// that is not there. Only for the start; what happens to a connection later is judged by outcome.ts.
//
// 1. Never a password: the package's errors have none, and of the login only the name and the mechanism are said.
// 2. `hopeless` only what a minute of waiting does not mend: a certificate, a password, a door that speaks something else.
import { namesOf } from './errors.ts'
import type { SaslOptions, TlsOptions } from './index.ts'

export interface Unreached {
  readonly cure: string
  /** Asking again gives the same. */
  readonly hopeless: boolean
}

export interface Door {
  readonly tls?: TlsOptions
  readonly sasl?: SaslOptions
}

const STRANGERS = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_SIGNATURE_FAILURE',
]

/** `error`: what the last try met. */
export function unreached(error: unknown, { tls, sasl }: Door): Unreached {
  const found = chainOf(error)
  const has = (...codes: readonly string[]): boolean => found.some(({ code }) => codes.includes(code))
  const says = (words: RegExp): boolean => found.some(({ message }) => words.test(message))
  const names = namesOf(error)
  if (names.includes('UNSUPPORTED_SASL_MECHANISM') || says(/suitable SASL mechanism/))
    return hopeless(`the broker does not take ${sasl?.mechanism ?? 'this mechanism'}: choose another sasl.mechanism, or enable it there`)
  if (names.includes('SASL_AUTHENTICATION_FAILED'))
    return hopeless(
      sasl?.mechanism === 'OAUTHBEARER'
        ? 'the broker refuses the token: check sasl.token'
        : `the broker refuses user ${sasl?.username ?? ''} or the password: check sasl.username, sasl.password and that the user has a ${sasl?.mechanism ?? ''} credential`,
    )
  if (has('CERT_HAS_EXPIRED')) return hopeless("the broker's certificate has expired: renew it there")
  if (has('CERT_NOT_YET_VALID')) return hopeless("the broker's certificate is not valid yet: check the clocks of both machines")
  if (has(...STRANGERS))
    return hopeless("the broker's certificate is not known here: give the one of the authority that signed it in tls.ca")
  if (has('ERR_TLS_CERT_ALTNAME_INVALID'))
    return hopeless("the broker's certificate is for another name: name the broker as it stands there, or give that name in tls.servername")
  // A broker that is just starting or going may end a handshake, too.
  const noTls = found.some(({ code }) => code === 'EPROTO' || code.startsWith('ERR_SSL_'))
  // It may hang up with our hello unread: then a reset comes, and not its end.
  const reset = has('ECONNRESET', 'EPIPE')
  const inHandshake = tls !== undefined && reset && says(/^Connection to .* failed/)
  if (noTls || inHandshake || says(/verify the broker supports TLS/))
    return { cure: 'this port speaks no TLS, or refuses ours: name the TLS port of the broker, or leave tls out', hopeless: noTls }
  if (says(/requires TLS/)) return hopeless('this port speaks TLS: give tls')
  if (says(/^Connection closed/) || reset) {
    const missing = [...(tls === undefined ? ['tls'] : []), ...(sasl === undefined ? ['sasl'] : [])]
    const wants = missing.length === 0 ? '' : `; it may want ${missing.join(' or ')}`
    return { cure: `something listens there and hangs up: check that it is a broker${wants}`, hopeless: false }
  }
  return { cure: 'check the addresses, and that a broker is running', hopeless: false }
}

const hopeless = (cure: string): Unreached => ({ cure, hopeless: true })

function chainOf(error: unknown): readonly { readonly code: string; readonly message: string }[] {
  const found: { code: string; message: string }[] = []
  for (let e = error as { code?: unknown; cause?: unknown } | null | undefined, depth = 0; e && depth < 6; e = e.cause as typeof e, depth++)
    found.push({ code: String(e.code ?? ''), message: e instanceof Error ? e.message : '' })
  return found
}
