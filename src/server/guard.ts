// Who may ask, and how much: judged before a request is looked at any further.
//
// Invariants
// 1. The Host must be one of ours (a page of another site whose name points here would send its own), and there is no Origin: no
//    browser page may ask, and no answer has a CORS header.
// 2. A token is compared as SHA-256 in constant time. With one configured nothing is answered without it.
// 3. GET and HEAD only, without a body.
// 4. Another instance has no token in its request but a proof that it knows it (forward.ts). One that is wrong is refused, whatever else is there.
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'
import { bracketed, isWildcard } from '../base/address.ts'
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'
import type { Secret } from '../base/secret.ts'
import { FORWARDED, isForward } from './forward.ts'
import { Refusal } from './refusal.ts'

export interface GuardOptions {
  readonly host: string
  readonly token: Secret | null
  readonly clock: World['clock']
  /** By which other instances come: `host:port`. */
  readonly advertise?: string | null
  /** The process's own name, for what other instances pass on; left out: there are none. */
  readonly self?: string | null
}

/** Throws a Refusal. */
export type Guard = (request: IncomingMessage) => void

export function guardOf({ host, token, clock, advertise = null, self = null }: GuardOptions): Guard {
  const hosts = hostsOf(host)
  if (advertise !== null) hosts.add(hostNameOf(advertise))
  const digest = token === null ? null : sha256(token.reveal())
  const admit = rateLimit(clock)
  return (request) => {
    const isForwarded = request.headers[FORWARDED] !== undefined
    if (isForwarded && (self === null || !isForward(request, self, token, clock.now()))) throw new Refusal('UNAUTHORIZED')
    if (!isForwarded && !admit(request.socket)) throw new Refusal('TOO_MANY_REQUESTS')
    if (!hosts.has(hostNameOf(request.headers.host))) throw new Refusal('FOREIGN_HOST')
    if (request.headers.origin !== undefined) throw new Refusal('ORIGIN_REFUSED')
    if (!isForwarded && digest !== null && !timingSafeEqual(digest, sha256(bearerOf(request.headers.authorization))))
      throw new Refusal('UNAUTHORIZED')
    if (request.method !== 'GET' && request.method !== 'HEAD') throw new Refusal('METHOD_NOT_ALLOWED')
    if ((request.url ?? '').length > LIMITS.urlBytesMax) throw new Refusal('URL_TOO_LONG')
    const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
    if (encoding !== undefined || (length !== undefined && length !== '0')) throw new Refusal('BODY_REFUSED')
  }
}

/** The names that a request may come by: loopback, what is configured; bound to all addresses, those and the machine's name. */
function hostsOf(host: string): Set<string> {
  const names = ['127.0.0.1', '[::1]', 'localhost', bracketed(host)]
  if (isWildcard(host)) {
    names.push(hostname())
    for (const addresses of Object.values(networkInterfaces()))
      for (const { address } of addresses ?? []) names.push(bracketed(address.replace(/%.*$/, '')))
  }
  return new Set(names.map((name) => name.toLowerCase()))
}

/** Without the port: a tunnel or a forwarded port has another one. What is no host is no name of ours. */
function hostNameOf(host: string | undefined): string {
  return /^(\[[0-9a-f:.]+\]|[^:[\]/@]+)(:\d{1,5})?$/.exec((host ?? '').toLowerCase())?.[1] ?? ''
}

function bearerOf(authorization: string | undefined): string {
  return /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? ''
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest()
}

/** LIMITS.requestsPerSecondMax a socket, as many at once. */
function rateLimit(clock: World['clock']): (socket: Socket) => boolean {
  const sockets = new WeakMap<Socket, { left: number; atMs: number }>()
  const most = LIMITS.requestsPerSecondMax
  return (socket) => {
    const now = clock.monotonic()
    const bucket = sockets.get(socket) ?? { left: most, atMs: now }
    sockets.set(socket, bucket)
    bucket.left = Math.min(most, bucket.left + ((now - bucket.atMs) / 1000) * most)
    bucket.atMs = now
    if (bucket.left < 1) return false
    bucket.left--
    return true
  }
}
