// Who may ask, and how much: judged before a request is looked at any further.
//
// Invariants
// 1. The Host must be one of ours (a page of another site whose name points here would send its own), and there is no Origin (but our own,
//    where 2 and 3 say so): no page of another site may ask, and no answer has a CORS header.
// 2. A token is compared as SHA-256 in constant time. With one configured nothing is answered without it, but the files of the live page,
//    which are the same everywhere.
// 3. GET and HEAD only, without a body; and, where a token is configured, POST to the two paths of dead letters: with the token, with no
//    Origin but our own, as JSON (what no form of another site can send), of a length that is told and bounded.
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
  /** Paths that hold no data: they are answered without the token. */
  readonly open?: (path: string) => boolean
}

/** What a POST may ask for. */
export const ACTS = ['replay', 'drop'] as const
const ACT_PATHS: readonly string[] = ACTS.map((act) => `/dead-letters/${act}`)
const JSON_BODY = /^application\/json(; ?charset=utf-8)?$/i

/** Throws a Refusal. */
export type Guard = (request: IncomingMessage) => void

export function guardOf({ host, token, clock, advertise = null, self = null, open = () => false }: GuardOptions): Guard {
  const hosts = hostsOf(host)
  if (advertise !== null) hosts.add(hostNameOf(advertise))
  const digest = token === null ? null : sha256(token.reveal())
  const admit = rateLimit(clock)
  return (request) => {
    const isForwarded = request.headers[FORWARDED] !== undefined
    if (isForwarded && (self === null || !isForward(request, self, token, clock.now()))) throw new Refusal('UNAUTHORIZED')
    if (!isForwarded && !admit(request.socket)) throw new Refusal('TOO_MANY_REQUESTS')
    if (!hosts.has(hostNameOf(request.headers.host))) throw new Refusal('FOREIGN_HOST')
    const path = (request.url ?? '').split('?', 1)[0] as string
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    const isAct = !isForwarded && digest !== null && request.method === 'POST' && ACT_PATHS.includes(path)
    const isPage = isRead && open(path)
    // Browsers send one with the scripts of a page too.
    if (isAct || isPage ? !isOwnOrigin(request) : request.headers.origin !== undefined) throw new Refusal('ORIGIN_REFUSED')
    if (isAct && !isOwnSite(request)) throw new Refusal('ORIGIN_REFUSED')
    if (!isForwarded && !isPage && digest !== null && !timingSafeEqual(digest, sha256(bearerOf(request.headers.authorization))))
      throw new Refusal('UNAUTHORIZED')
    if (isAct) return judgeAct(request)
    if (!isRead) throw new Refusal('METHOD_NOT_ALLOWED')
    if ((request.url ?? '').length > LIMITS.urlBytesMax) throw new Refusal('URL_TOO_LONG')
    const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
    if (encoding !== undefined || (length !== undefined && length !== '0')) throw new Refusal('BODY_REFUSED')
  }
}

/** No browser, or a page of this very server. A proxy in front may speak TLS. */
function isOwnOrigin({ headers: { origin, host = '' } }: IncomingMessage): boolean {
  return origin === undefined || ['http:', 'https:'].some((scheme) => origin.toLowerCase() === `${scheme}//${host.toLowerCase()}`)
}

/** What a browser says of the page that asks; others say nothing. */
function isOwnSite({ headers }: IncomingMessage): boolean {
  const site = headers['sec-fetch-site']
  return site === undefined || site === 'same-origin'
}

function judgeAct({ headers, url }: IncomingMessage): void {
  if ((url ?? '').length > LIMITS.urlBytesMax) throw new Refusal('URL_TOO_LONG')
  if (!JSON_BODY.test(headers['content-type'] ?? '')) throw new Refusal('CONTENT_TYPE_REFUSED')
  const length = headers['content-length'] ?? ''
  if (headers['transfer-encoding'] !== undefined || !/^\d{1,9}$/.test(length) || Number(length) > LIMITS.letterAskBytesMax)
    throw new Refusal('BODY_REFUSED')
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
