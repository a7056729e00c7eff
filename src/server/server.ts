// The HTTP server: routes, guard, metrics and the live page on one listener, with the bounds of LIMITS. Loaded only where a port is asked for.
//
// Invariants
// 1. It reads: no request changes anything but the dead letters that a POST names, and none of them is awaited by the worker's loop.
// 2. `close` ends /events too.
import { createHash } from 'node:crypto'
import { hostname } from 'node:os'
import type { EpochFigure } from '../barrier/barrier.ts'
import type { Place } from '../assignment/peers.ts'
import { advertisedAddress } from '../base/address.ts'
import type { Secret } from '../base/secret.ts'
import type { ControlHandler } from '../control/wire.ts'
import { describe } from '../topology/describe.ts'
import { openEvents } from './events.ts'
import { fieldsOf } from './fields.ts'
import { ANSWERED, answerProof, FORWARDED, openForwarder } from './forward.ts'
import { guardOf } from './guard.ts'
import { addLetters } from './letters.ts'
import { liveOf } from './live.ts'
import { HEADERS, openListener } from './listener.ts'
import type { Metrics } from './metrics.ts'
import { addPage, pageFiles } from './page.ts'
import { addParked } from './parked.ts'
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
  const fixed = { shape: shapeOf(served), acts: token !== null, startedAtMs: world.clock.now() }
  const events = openEvents({ world, gather: async () => JSON.stringify(liveOf(served, await metrics.read(), fixed)) })
  const listener = await openListener({
    port: options.port,
    host,
    world,
    guard,
    answered: metrics.answered,
    admitted(request, reply) {
      if (self !== null && request.headers[FORWARDED] !== undefined) reply.header(ANSWERED, answerProof(request, self, token))
    },
    routes(app) {
      addRoutes(app, { served, stores: options.stores, metrics: metrics.render, forward: forwarder.ask })
      addPage(app, files)
      addParked(app, served, options.stores !== null)
      addLetters(app, { letters, bare: options.stores !== null, acts: token !== null })
      app.get('/events', (request, reply) => {
        fieldsOf(request, [])
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
    place: { address: advertisedAddress(host, listener.port, advertise, hostname()), machine: hostname() },
    epoch: metrics.epoch,
    async close() {
      forwarder.close()
      events.close()
      await listener.close()
      metrics.close()
    },
  }
}

/** Of what the page draws: stores and topics, and the operators between them. */
function shapeOf({ plan }: Served): string {
  const text = describe(plan, 'json')
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}
