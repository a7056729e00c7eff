// The front: the listener, who may ask, the page's files, the keys of other processes. What a request asks for it asks of the desk.
//
// Invariants
// 1. It knows nothing of the processor but what the desk answers: it may live in a thread of its own.
// 2. `close` ends /events too.
// 3. Where LIMITS.asksWaitingMax wait, because the processor's loop is held up, more are refused: whoever asked may have left long since.
//    Probes are counted apart, so that a process which is asked for much is not taken for a dead one.
// 4. The rows of other processes are held for LIMITS.rangesAtOnce questions at once.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Peer } from '../assignment/peers.ts'
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'
import type { Secret } from '../base/secret.ts'
import { type Answering, type Ask, type AskName, type Forwarded, isFlat, PATHS, type Path, type Text } from './asks.ts'
import { openEvents } from './events.ts'
import { fieldsOf } from './fields.ts'
import { ANSWERED, answerProof, FORWARDED, openForwarder } from './forward.ts'
import { gateOf } from './gate.ts'
import { guardOf } from './guard.ts'
import { laneOf } from './lane.ts'
import { HEADERS, JSON_TYPE, type Listener, openListener } from './listener.ts'
import { addPage, pageFiles } from './page.ts'
import { Refusal } from './refusal.ts'

export interface FrontOptions {
  readonly port: number
  readonly host: string
  readonly token: Secret | null
  readonly advertise: string | null
  /** The process's own name among the others; null: there are none. */
  readonly self: string | null
  readonly world: World
  /** Told of each answer's status. */
  readonly answered: (status: number) => void
  readonly ask: Answering
}

export async function openFront({ port, host, token, advertise, self, world, answered, ask }: FrontOptions): Promise<Listener> {
  const files = pageFiles()
  const guard = guardOf({ host, token, clock: world.clock, advertise, self, open: (path) => files.has(path) })
  const forwarder = openForwarder({ token, world })
  const events = openEvents({ world, gather: async () => ((await ask(LIVE, null)) as Text).text })

  const elsewhere = async (owner: Peer, url: string): Promise<Text> => {
    const { text, status } = await forwarder.ask(owner, url)
    return { text, status, type: null }
  }
  const partsOf = (owners: readonly Peer[], { raw }: FastifyRequest): Promise<readonly Forwarded[]> =>
    Promise.all(owners.map((owner) => forwarder.ask(owner, raw.url as string)))
  const gathers = gateOf(LIMITS.rangesAtOnce)
  const answerOf = async (asked: Ask, gone: AbortSignal | null, request: FastifyRequest): Promise<Text> => {
    let found = await ask(asked, gone)
    if ('owners' in found) {
      const { owners } = found
      found = await gathers(gone, async () => ask({ ...asked, body: await partsOf(owners, request) }, gone))
    }
    if ('owners' in found) throw new Refusal('NOT_READY') // a question that comes with answers has none of these
    return 'owner' in found ? await elsewhere(found.owner, request.raw.url as string) : found
  }
  const waiting = { asks: 0, probes: 0 }
  const answer = async (name: AskName, long: boolean, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const asked = askOf(name, request)
    const kind = PROBES.includes(name) ? 'probes' : 'asks'
    if (waiting[kind] >= (kind === 'probes' ? LIMITS.probesWaitingMax : LIMITS.asksWaitingMax)) throw new Refusal('NOT_READY')
    waiting[kind]++
    try {
      const { status, text, type } = await answerOf(asked, long ? goneOf(reply) : null, request)
      return reply
        .code(status)
        .type(type ?? JSON_TYPE)
        .send(text)
    } finally {
      waiting[kind]--
    }
  }
  const listener = await openListener({
    port,
    host,
    world,
    guard,
    answered,
    lane: (way) => laneOf(way, { ask, elsewhere, waiting }),
    admitted(request, reply) {
      if (self !== null && request.headers[FORWARDED] !== undefined) reply.header(ANSWERED, answerProof(request, self, token))
    },
    routes(app) {
      for (const [name, { method, path, bodyBytesMax, long }] of Object.entries(PATHS) as [AskName, Path][]) {
        if (method === 'POST' && token === null) continue
        app.route({
          method,
          url: path,
          ...(bodyBytesMax === undefined ? {} : { bodyLimit: bodyBytesMax }),
          handler: (request, reply) => answer(name, long === true, request, reply),
        })
      }
      addPage(app, files)
      app.get('/events', (request, reply) => {
        fieldsOf(request.query as Ask['query'], [])
        events.room()
        const headers = { ...HEADERS, 'content-type': 'text/event-stream; charset=utf-8' }
        if (request.method === 'HEAD') return reply.headers(headers).send('')
        reply.hijack()
        reply.raw.writeHead(200, headers)
        events.add(reply.raw)
      })
    },
  }).catch((error: unknown) => {
    forwarder.close()
    throw error
  })
  return {
    port: listener.port,
    async close() {
      forwarder.close()
      events.close()
      await listener.close()
    },
  }
}

/** What others judge by whether the process is well. */
const PROBES: readonly AskName[] = ['health', 'ready', 'metrics']

const LIVE: Ask = { name: 'live', store: '', key: '', query: {}, forwarded: false, body: undefined }

function askOf(name: AskName, { params, query, headers, body }: FastifyRequest): Ask {
  if (!isFlat(body)) throw new Refusal('BAD_REQUEST')
  const { store = '', key = '' } = params as { readonly store?: string; readonly key?: string }
  return { name, store, key, query: query as Ask['query'], forwarded: headers[FORWARDED] !== undefined, body }
}

/** Aborted when whoever asked has left. */
function goneOf(reply: FastifyReply): AbortSignal {
  const gone = new AbortController()
  reply.raw.on('close', () => gone.abort())
  return gone.signal
}
