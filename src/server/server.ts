// The HTTP server: routes, guard, metrics and the live page on one listener, with the bounds of LIMITS. Loaded only where a port is asked for.
//
// Invariants
// 1. Whatever goes wrong is answered by a status and `{code}`, nothing else; every answer is nosniff and no-store.
// 2. It reads: no request changes anything but the dead letters that a POST names, and none of them is awaited by the worker's loop.
// 3. `close` ends open connections, those of /events too; it does not wait for a slow reader.
import { createHash } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { hostname } from 'node:os'
import Fastify, { type FastifyReply } from 'fastify'
import type { EpochFigure } from '../barrier/barrier.ts'
import type { Place } from '../assignment/peers.ts'
import { advertisedAddress } from '../base/address.ts'
import { explain, MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { Secret } from '../base/secret.ts'
import type { ControlHandler } from '../control/wire.ts'
import { describe } from '../topology/describe.ts'
import { openEvents } from './events.ts'
import { fieldsOf } from './fields.ts'
import { ANSWERED, answerProof, FORWARDED, openForwarder } from './forward.ts'
import { guardOf } from './guard.ts'
import { addLetters } from './letters.ts'
import { liveOf } from './live.ts'
import type { Metrics } from './metrics.ts'
import { addPage, pageFiles } from './page.ts'
import { REFUSALS, Refusal, refusalOf, refusalText } from './refusal.ts'
import { addRoutes } from './routes.ts'
import type { Served } from './served.ts'

export interface HttpOptions {
  readonly port: number
  readonly host: string
  readonly token: Secret | null
  readonly advertise: string | null
  readonly stores: readonly string[] | null
}

export interface HttpServer {
  /** As it is bound: another than asked for when that was 0. */
  readonly port: number
  /** Where other processes reach it. */
  readonly place: Place
  /** For the histograms; called by the barrier, once an epoch. */
  epoch(figure: EpochFigure): void
  close(): Promise<void>
}

/** How often Node looks for connections that are over their time. */
const LOOK_MS = 1_000
const JSON_TYPE = 'application/json; charset=utf-8'
const HEADERS: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
}

export { openMergedMetrics, openMetrics, openWorkerMetrics } from './metrics.ts'

/** What works on dead letters; null: the log is not open yet. */
export type Letters = () => ControlHandler['deadLetters'] | null

export async function openHttpServer(
  options: HttpOptions,
  served: Served,
  metrics: Metrics,
  letters: Letters = () => null,
): Promise<HttpServer> {
  const { world } = served
  const { host, token, advertise } = options
  const self = served.others?.self ?? null
  const files = pageFiles()
  const guard = guardOf({ host, token, clock: world.clock, advertise, self, open: (path) => files.has(path) })
  const forwarder = openForwarder({ token, world })
  const app = Fastify({
    logger: false,
    forceCloseConnections: true,
    connectionTimeout: LIMITS.httpIdleTimeoutMs,
    keepAliveTimeout: LIMITS.httpIdleTimeoutMs,
    requestTimeout: LIMITS.httpRequestTimeoutMs,
    maxRequestsPerSocket: LIMITS.requestsPerSocketMax,
    bodyLimit: 1,
    http: {
      headersTimeout: LIMITS.headersTimeoutMs,
      requestTimeout: LIMITS.httpRequestTimeoutMs,
      connectionsCheckingInterval: LOOK_MS,
      maxHeaderSize: LIMITS.headersBytesMax,
    },
    routerOptions: {
      maxParamLength: LIMITS.urlBytesMax,
      // Fastify's own answer would quote the path.
      onBadUrl: (_path, request, response) => {
        let refusal = new Refusal('BAD_REQUEST')
        try {
          guard(request)
        } catch (error) {
          refusal = refusalOf(error)
        }
        metrics.answered(refusal.status)
        const body = JSON.stringify({ code: refusal.code })
        response.writeHead(refusal.status, { ...HEADERS, 'content-type': JSON_TYPE, 'content-length': body.length })
        response.end(body)
      },
    },
    clientErrorHandler(error, socket) {
      if (socket.destroyed || !socket.writable) return
      const code =
        error.code === 'HPE_HEADER_OVERFLOW' ? 'HEADERS_TOO_LARGE' : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'TIMEOUT' : 'BAD_REQUEST'
      metrics.answered(REFUSALS[code])
      socket.end(rawAnswer(code))
    },
  })
  app.server.maxConnections = LIMITS.connectionsMax
  // The last answer has said that it closes; Node would go on with 503 for ever. Those before it may still be on their way.
  const over = new WeakSet<object>()
  app.server.on('dropRequest', (_request, socket) => {
    if (!over.has(socket)) world.timers.after(LOOK_MS, () => socket.destroy())
    over.add(socket)
  })

  const refuse = (reply: FastifyReply, error: unknown): FastifyReply => {
    const refusal = refusalOf(error)
    if (refusal.code === 'INTERNAL') world.logger.error({ reason: explain(error) }, 'an HTTP request failed')
    // What of a body has come is not read: the connection cannot go on.
    if (refusal.code === 'BODY_REFUSED' || refusal.code === 'METHOD_NOT_ALLOWED' || reply.request.method === 'POST')
      reply.header('connection', 'close')
    if (refusal.code === 'METHOD_NOT_ALLOWED') reply.header('allow', 'GET, HEAD')
    if (refusal.code === 'UNAUTHORIZED') reply.header('www-authenticate', 'Bearer')
    return reply.code(refusal.status).type(JSON_TYPE).send(refusalText(refusal))
  }
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(HEADERS)
    guard(request.raw)
    if (self !== null && request.headers[FORWARDED] !== undefined) reply.header(ANSWERED, answerProof(request.raw, self, token))
  })
  app.addHook('onResponse', async (_request, reply) => metrics.answered(reply.statusCode))
  app.setErrorHandler((error, _request, reply) => refuse(reply, error))
  app.setNotFoundHandler((_request, reply) => refuse(reply, new Refusal('NOT_FOUND')))
  addRoutes(app, { served, stores: options.stores, metrics: metrics.render, forward: forwarder.ask })
  addPage(app, files)
  addLetters(app, { letters, bare: options.stores !== null, acts: token !== null })
  const shape = shapeOf(served)
  const events = openEvents({ world, gather: async () => JSON.stringify(liveOf(served, await metrics.read(), shape, token !== null)) })
  app.get('/events', (request, reply) => {
    fieldsOf(request, [])
    events.room()
    const headers = { ...HEADERS, 'content-type': 'text/event-stream; charset=utf-8' }
    if (request.method === 'HEAD') return reply.headers(headers).send('')
    reply.hijack()
    reply.raw.writeHead(200, headers)
    events.add(reply.raw)
  })

  try {
    await app.listen({ port: options.port, host: host.replace(/^\[(.*)\]$/, '$1') })
  } catch (error) {
    forwarder.close()
    await app.close().catch(() => {})
    throw listenError(options, error)
  }
  const { port } = app.server.address() as AddressInfo
  return {
    port,
    place: { address: advertisedAddress(host, port, advertise, hostname()), machine: hostname() },
    epoch: metrics.epoch,
    async close() {
      forwarder.close()
      events.close()
      await app.close()
      metrics.close()
    },
  }
}

/** Of what the page draws: stores and topics, and the operators between them. */
function shapeOf({ plan }: Served): string {
  const text = describe(plan, 'json')
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}

function rawAnswer(code: 'HEADERS_TOO_LARGE' | 'TIMEOUT' | 'BAD_REQUEST'): string {
  const body = JSON.stringify({ code })
  const headers = { ...HEADERS, 'content-type': JSON_TYPE, 'content-length': body.length, connection: 'close' }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${REFUSALS[code]} ${code}\r\n${lines.join('')}\r\n${body}`
}

function listenError({ host, port }: HttpOptions, error: unknown): MillraceError {
  const code = (error as NodeJS.ErrnoException).code
  const why: Readonly<Record<string, string>> = {
    EADDRINUSE: 'is in use; take another --port, or 0 for a free one',
    EACCES: 'needs rights that this process has not; take one above 1023',
    EADDRNOTAVAIL: 'cannot be opened: the host is no address of this machine',
    ENOTFOUND: 'cannot be opened: the host is not known',
  }
  const known = why[code ?? '']
  if (known !== undefined) return new MillraceError('STREAM_USAGE', `port ${port} of ${host} ${known}`)
  return new MillraceError('STREAM_USAGE', `port ${port} of ${host} cannot be opened`, { cause: error })
}
