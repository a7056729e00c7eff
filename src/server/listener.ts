// One listener with the bounds of LIMITS, for what is served by HTTP. Knows no route; who may ask is judged by the guard that it is given.
//
// Invariants
// 1. Whatever goes wrong is answered by a status and `{code}`, nothing else; every answer is nosniff and no-store.
// 2. `close` ends open connections; it does not wait for a slow reader.
// 3. A name of several addresses (localhost) is listened on at all of them, by one server: the bounds are of all together.
import { createServer as createHttpServer, type IncomingMessage, type RequestListener } from 'node:http'
import dns from 'node:dns'
import { type AddressInfo, createServer, type Server } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import { explain, MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'
import type { Guard } from './guard.ts'
import type { Lane, Way } from './lane.ts'
import { REFUSALS, Refusal, refusalOf, refusalText } from './refusal.ts'

/** How often Node looks for connections that are over their time. */
const LOOK_MS = 1_000
export const JSON_TYPE = 'application/json; charset=utf-8'
export const HEADERS: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
}

/** For `writeHead`, in the order in which they are set by the router's way. */
const FIRST_HEAD: readonly string[] = Object.entries(HEADERS).flat()
const LAST_HEAD: readonly string[] = ['content-type', JSON_TYPE, 'content-length']
const JSON_HEAD: readonly string[] = [...FIRST_HEAD, ...LAST_HEAD]

export interface Listening {
  readonly port: number
  readonly host: string
  readonly world: World
  readonly guard: Guard
  /** Told of each answer's status. */
  readonly answered: (status: number) => void
  /** May add to the answer of a request that the guard has let in. */
  readonly admitted?: (request: IncomingMessage, reply: FastifyReply) => void
  readonly routes: (app: FastifyInstance) => void
  /** Answers before the router does. */
  readonly lane?: (way: Way) => Lane
}

export interface Listener {
  /** As it is bound: another than asked for when that was 0. */
  readonly port: number
  close(): Promise<void>
}

export async function openListener({ port, host, world, guard, answered, admitted, routes, lane }: Listening): Promise<Listener> {
  const told = (error: unknown): Refusal => {
    const refusal = refusalOf(error)
    if (refusal.code === 'INTERNAL') world.logger.error({ reason: explain(error) }, 'an HTTP request failed')
    return refusal
  }
  const takes = lane?.({
    guard,
    send(response, status, text) {
      answered(status)
      response.writeHead(status, [...JSON_HEAD, `${Buffer.byteLength(text)}`]).end(text)
    },
    refuse(request, response, error) {
      const refusal = told(error)
      const text = refusalText(refusal)
      answered(refusal.status)
      const head = [...FIRST_HEAD, ...Object.entries(refusalHeaders(refusal, request)).flat(), ...LAST_HEAD]
      response.writeHead(refusal.status, [...head, `${Buffer.byteLength(text)}`]).end(text)
    },
  })
  const app = Fastify({
    logger: false,
    forceCloseConnections: true,
    bodyLimit: 1,
    serverFactory: (routed) => boundedServer((request, response) => takes?.(request, response) === true || routed(request, response)),
    routerOptions: {
      maxParamLength: LIMITS.headersBytesMax, // the guard judges the length; fastify's own answer would quote the path, to anybody
      // Fastify's own answer would quote the path.
      onBadUrl: (_path, request, response) => {
        let refusal = new Refusal('BAD_REQUEST')
        try {
          guard(request)
        } catch (error) {
          refusal = refusalOf(error)
        }
        answered(refusal.status)
        const body = JSON.stringify({ code: refusal.code })
        response.writeHead(refusal.status, { ...HEADERS, 'content-type': JSON_TYPE, 'content-length': body.length })
        response.end(body)
      },
    },
    clientErrorHandler(error, socket) {
      if (socket.destroyed || !socket.writable) return
      const code =
        error.code === 'HPE_HEADER_OVERFLOW' ? 'HEADERS_TOO_LARGE' : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'TIMEOUT' : 'BAD_REQUEST'
      answered(REFUSALS[code])
      socket.end(rawAnswer(code))
    },
  })
  let connections = 0
  app.server.on('connection', (socket) => {
    connections++
    socket.on('close', () => connections--)
    if (connections > LIMITS.connectionsMax) socket.destroy()
  })
  // The last answer has said that it closes; Node would go on with 503 for ever. Those before it may still be on their way.
  const over = new WeakSet<object>()
  app.server.on('dropRequest', (_request, socket) => {
    if (!over.has(socket)) world.timers.after(LOOK_MS, () => socket.destroy())
    over.add(socket)
  })

  const refuse = (reply: FastifyReply, error: unknown): FastifyReply => {
    const refusal = told(error)
    return reply.headers(refusalHeaders(refusal, reply.request)).code(refusal.status).type(JSON_TYPE).send(refusalText(refusal))
  }
  // Callbacks, and none for the end of a response: that would be promises and listeners for each answer.
  app.addHook('onRequest', (request, reply, done) => {
    reply.headers(HEADERS)
    try {
      guard(request.raw)
      admitted?.(request.raw, reply)
    } catch (error) {
      done(error as Error)
      return
    }
    done()
  })
  app.addHook('onSend', (_request, reply, payload, done) => {
    answered(reply.statusCode)
    done(null, payload)
  })
  app.setErrorHandler((error, _request, reply) => refuse(reply, error))
  app.setNotFoundHandler((_request, reply) => refuse(reply, new Refusal('NOT_FOUND')))
  routes(app)

  // Fastify would open a second server by itself for localhost, one without these bounds.
  const [first, ...others] = await addressesOf(host)
  const doors: Server[] = []
  const close = async (): Promise<void> => {
    for (const door of doors) door.close()
    await app.close()
  }
  try {
    await app.listen({ port, host: first })
    const bound = (app.server.address() as AddressInfo).port
    for (const other of others) {
      const door = await openDoor(app.server, other, bound).catch((error: NodeJS.ErrnoException) => {
        if (port === 0 && error.code === 'EADDRINUSE') return null // nobody chose this port
        throw error
      })
      if (door !== null) doors.push(door)
    }
    return { port: bound, close }
  } catch (error) {
    await close().catch(() => {})
    throw listenError({ host, port }, error)
  }
}

/** As the options of fastify would set it, which are not for a server that it does not make. */
function boundedServer(listener: RequestListener): ReturnType<typeof createHttpServer> {
  const bounds = {
    headersTimeout: LIMITS.headersTimeoutMs,
    requestTimeout: LIMITS.httpRequestTimeoutMs,
    keepAliveTimeout: LIMITS.httpIdleTimeoutMs,
    connectionsCheckingInterval: LOOK_MS,
    maxHeaderSize: LIMITS.headersBytesMax,
  }
  const server = createHttpServer(bounds, listener)
  server.setTimeout(LIMITS.httpIdleTimeoutMs)
  server.maxRequestsPerSocket = LIMITS.requestsPerSocketMax
  return server
}

function refusalHeaders({ code }: Refusal, { method }: { readonly method?: string | undefined }): Readonly<Record<string, string>> {
  // What of a body has come is not read: the connection cannot go on.
  const isLast = code === 'BODY_REFUSED' || code === 'METHOD_NOT_ALLOWED' || method === 'POST'
  return {
    ...(isLast ? { connection: 'close' } : {}),
    ...(code === 'METHOD_NOT_ALLOWED' ? { allow: 'GET, HEAD' } : {}),
    ...(code === 'UNAUTHORIZED' ? { 'www-authenticate': 'Bearer' } : {}),
  }
}

/** IPv6 is switched off. */
const ABSENT: readonly (string | undefined)[] = ['EADDRNOTAVAIL', 'EAFNOSUPPORT']

/** What is given as an address is one; a name that is not known is told by whoever listens there. */
async function addressesOf(host: string): Promise<[string, ...string[]]> {
  const name = host.replace(/^\[(.*)\]$/, '$1')
  if (name !== 'localhost') return [name]
  const found = await new Promise<readonly string[]>((resolve) =>
    dns.lookup(name, { all: true, order: 'ipv4first' }, (error, all) => resolve(error === null ? all.map(({ address }) => address) : [])),
  )
  const [first = name, ...others] = new Set(found)
  return [first, ...others]
}

/** Another address by which connections come to a server; null: the machine has it by name only. */
function openDoor(server: Server, host: string, port: number): Promise<Server | null> {
  const door = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => server.emit('connection', socket))
  return new Promise((resolve, reject) => {
    door.once('error', (error: NodeJS.ErrnoException) => (ABSENT.includes(error.code) ? resolve(null) : reject(error)))
    door.listen({ host, port }, () => resolve(door))
  })
}

function rawAnswer(code: 'HEADERS_TOO_LARGE' | 'TIMEOUT' | 'BAD_REQUEST'): string {
  const body = JSON.stringify({ code })
  const headers = { ...HEADERS, 'content-type': JSON_TYPE, 'content-length': body.length, connection: 'close' }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${REFUSALS[code]} ${code}\r\n${lines.join('')}\r\n${body}`
}

function listenError({ host, port }: Pick<Listening, 'host' | 'port'>, error: unknown): MillraceError {
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
