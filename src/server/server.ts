// The HTTP server: a front that listens and a desk that answers for the processor, with the bounds of LIMITS. Loaded only where a port is asked for.
//
// Invariants
// 1. It reads: no request changes anything but the dead letters that a POST names, and none of them is awaited by the worker's loop.
// 2. Where records are processed in this thread, the front has a thread of its own: what a request costs but for its answer is not taken
//    from the records.
import { hostname } from 'node:os'
import type { Place } from '../assignment/peers.ts'
import type { EpochFigure } from '../barrier/barrier.ts'
import { advertisedAddress } from '../base/address.ts'
import type { Secret } from '../base/secret.ts'
import { type DeskOptions, deskOf, type Letters } from './desk.ts'
import type { FrontOptions } from './front.ts'
import type { Metrics } from './metrics.ts'
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

export interface HttpParts {
  readonly served: Served
  readonly metrics: Metrics
  readonly letters: Letters
  /** Told when a front in a thread of its own has ended unasked; null: it is to be in this thread. */
  readonly onFatal: ((error: unknown) => void) | null
}

export async function openHttpServer(options: HttpOptions, { served, metrics, letters, onFatal }: HttpParts): Promise<HttpServer> {
  const { host, token, advertise, stores, port } = options
  const desk: DeskOptions = { served, stores, metrics, letters, acts: token !== null }
  const self = served.others?.self ?? null
  const front: FrontOptions = { port, host, token, advertise, self, world: served.world, answered: metrics.answered, ask: deskOf(desk) }
  const listener = onFatal === null ? await here(front) : await apart(front, onFatal)
  return {
    port: listener.port,
    place: { address: advertisedAddress(host, listener.port, advertise, hostname()), machine: hostname() },
    epoch: metrics.epoch,
    async close() {
      await listener.close()
      metrics.close()
    },
  }
}

// Only one of the two is needed, and the listener's package takes long to load.
async function here(front: FrontOptions): Promise<{ readonly port: number; close(): Promise<void> }> {
  const { openFront } = await import('./front.ts')
  return await openFront(front)
}

async function apart(front: FrontOptions, onFatal: (error: unknown) => void): ReturnType<typeof here> {
  const { openFrontApart } = await import('./apart.ts')
  return await openFrontApart(front, onFatal)
}
