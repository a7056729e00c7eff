// The desk: what is asked of a running processor, answered where its tasks run. Who asks, and by which way, is the front's business.
//
// 1. What needs nobody else is answered at once, without a promise: a row of a store of this thread above all.
// 2. Whoever asks for metrics while they are gathered is given those.
import { createHash } from 'node:crypto'
import type { ControlHandler } from '../control/wire.ts'
import { describe } from '../topology/describe.ts'
import { type Answering, type AskName, answered } from './asks.ts'
import { lettersOf } from './letters.ts'
import { liveOf } from './live.ts'
import type { Metrics } from './metrics.ts'
import { parkedOf } from './parked.ts'
import { routesOf } from './routes.ts'
import type { Served } from './served.ts'

/** What works on dead letters; null: the log is not open yet. */
export type Letters = () => ControlHandler['deadLetters'] | null

export interface DeskOptions {
  readonly served: Served
  /** Stores that may be read; null: all. */
  readonly stores: readonly string[] | null
  readonly metrics: Metrics
  readonly letters: Letters
  /** Dead letters may be replayed and dropped. */
  readonly acts: boolean
}

export function deskOf({ served, stores, metrics, letters, acts }: DeskOptions): Answering {
  const fixed = { shape: shapeOf(served), acts, startedAtMs: served.world.clock.now() }
  const bare = stores !== null
  const answers: Readonly<Record<AskName, Answering>> = {
    ...routesOf({ served, stores, metrics: shared(metrics.render) }),
    ...lettersOf({ letters, bare }),
    parked: parkedOf(served, bare),
    live: async () => answered(JSON.stringify(liveOf(served, await metrics.read(), fixed))),
  }
  return (ask, gone) => answers[ask.name](ask, gone)
}

/** Callers that come while one is under way have its answer. */
function shared<T>(run: () => Promise<T>): () => Promise<T> {
  let underWay: Promise<T> | null = null
  return () => {
    underWay ??= run().finally(() => {
      underWay = null
    })
    return underWay
  }
}

/** Of what the page draws: stores and topics, and the operators between them. */
function shapeOf({ plan }: Served): string {
  const text = describe(plan, 'json')
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}
