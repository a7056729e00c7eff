// The routes: what a path answers. Each is a GET; who may ask was judged before (guard.ts).
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Peer } from '../assignment/peers.ts'
import { LIMITS } from '../base/limits.ts'
import { isName } from '../base/names.ts'
import { type QueryableStore, queryableNames, queryableStore } from '../runtime/query.ts'
import { heldStore } from '../runtime/reads.ts'
import { taskId } from '../runtime/recover.ts'
import { describe, describeLive } from '../topology/describe.ts'
import { fieldsOf, limitOf } from './fields.ts'
import { FORWARDED, type Forwarder } from './forward.ts'
import { openApi } from './openapi.ts'
import { Refusal } from './refusal.ts'
import {
  asOfAnswer,
  type KeyPlace,
  keyAnswer,
  placeOf,
  type RangeQuery,
  rangeAnswer,
  versionsAnswer,
  type WindowQuery,
  windowPlaceOf,
  windowsAnswer,
} from './rows.ts'
import type { Served } from './served.ts'

export interface RouteOptions {
  readonly served: Served
  /** Stores that may be read; null: all. */
  readonly stores: readonly string[] | null
  readonly metrics: () => Promise<{ readonly type: string; readonly text: string }>
  /** Asks the process that has a key. */
  readonly forward: Forwarder['ask']
}

const JSON_TYPE = 'application/json; charset=utf-8'
const TOPOLOGY_TYPES: Readonly<Record<string, string>> = {
  json: JSON_TYPE,
  mermaid: 'text/plain; charset=utf-8',
  svg: 'image/svg+xml; charset=utf-8',
}

export function addRoutes(app: FastifyInstance, { served, stores, metrics, forward }: RouteOptions): void {
  const { plan } = served
  const json = (reply: FastifyReply, text: string, status = 200): FastifyReply => reply.code(status).type(JSON_TYPE).send(text)

  const named = (request: FastifyRequest): QueryableStore => {
    const { store } = request.params as { readonly store: string }
    if (!isName(store)) throw new Refusal('NOT_FOUND')
    if (stores !== null && !stores.includes(store)) throw new Refusal('STORE_REFUSED')
    const found = queryableStore(plan, store)
    if (found === null) throw new Refusal('NOT_FOUND')
    return found
  }

  /** Answers from here, or from the process that has the key. */
  const ofKey = async (
    request: FastifyRequest,
    reply: FastifyReply,
    store: QueryableStore,
    { partition }: KeyPlace,
    answer: () => Promise<string>,
  ): Promise<FastifyReply> => {
    const owner = request.headers[FORWARDED] === undefined ? ownerElsewhere(served, store, partition) : null
    if (owner === null) return json(reply, await answer())
    const { status, text } = await forward(owner, request.raw.url as string)
    return json(reply, text, status)
  }

  app.get('/health', (request, reply) => {
    fieldsOf(request, [])
    return json(reply, JSON.stringify(health(served)))
  })
  app.get('/health/ready', (request, reply) => {
    fieldsOf(request, [])
    return json(reply, JSON.stringify(health(served)), served.ready() ? 200 : 503)
  })
  app.get('/metrics', async (_request, reply) => {
    const { type, text } = await metrics()
    return reply.type(type).send(text)
  })
  app.get('/topology', (request, reply) => {
    const { format = 'json', live } = fieldsOf(request, ['format', 'live'])
    const type = Object.hasOwn(TOPOLOGY_TYPES, format) ? TOPOLOGY_TYPES[format] : undefined
    if (type === undefined || (live !== undefined && (live !== 'true' || format !== 'svg'))) throw new Refusal('BAD_REQUEST')
    return reply.type(type).send(live === undefined ? describe(plan, format as 'json' | 'mermaid' | 'svg') : describeLive(plan))
  })
  app.get('/openapi.json', (_request, reply) => json(reply, JSON.stringify(openApi())))
  app.get('/stores', (request, reply) => {
    fieldsOf(request, [])
    const names = queryableNames(plan).filter((name) => stores === null || stores.includes(name))
    return json(reply, JSON.stringify({ stores: names.map((name) => storeShape(served, queryableStore(plan, name) as QueryableStore)) }))
  })
  app.get('/stores/:store', async (request, reply) => {
    const store = named(request)
    return json(reply, await rangeAnswer(served, store, rangeOf(fieldsOf(request, ['from', 'to', 'prefix', 'limit']))))
  })
  app.get('/stores/:store/:key', async (request, reply) => {
    const store = named(request)
    const { asOf } = fieldsOf(request, ['asOf'])
    const place = placeOf(served, store, keyOf(request))
    const at = asOf === undefined ? null : timeOf(asOf, 0)
    return await ofKey(request, reply, store, place, () =>
      at === null ? keyAnswer(served, store, place) : asOfAnswer(served, store, place, at),
    )
  })
  app.get('/windows/:store', async (request, reply) => {
    const store = named(request)
    const fields = fieldsOf(request, ['keyFrom', 'keyTo', ...WINDOW_FIELDS])
    return json(reply, await windowsAnswer(served, store, windowsOf(null, fields)))
  })
  app.get('/windows/:store/:key', async (request, reply) => {
    const store = named(request)
    const query = windowsOf(keyOf(request), fieldsOf(request, WINDOW_FIELDS))
    const place = windowPlaceOf(served, store, keyOf(request))
    return await ofKey(request, reply, store, place, () => windowsAnswer(served, store, query))
  })
  app.get('/versions/:store/:key', async (request, reply) => {
    const store = named(request)
    const { from, to, limit } = fieldsOf(request, ['from', 'to', 'limit'])
    const query = { from: timeOf(from, 0), to: timeOf(to, Number.MAX_SAFE_INTEGER), limit: limitOf(limit, LIMITS.answerRowsMax) }
    const place = placeOf(served, store, keyOf(request))
    return await ofKey(request, reply, store, place, () => versionsAnswer(served, store, place, query))
  })
}

const WINDOW_FIELDS = ['from', 'to', 'cursor', 'limit'] as const

const keyOf = (request: FastifyRequest): string => (request.params as { readonly key: string }).key

/** Null: the key is this process's, or nobody's whose address is known. */
function ownerElsewhere(served: Served, store: QueryableStore, partition: number): Peer | null {
  const { others } = served
  if (others === undefined || store.subTopology < 0) return null
  const task = taskId(store.subTopology, partition)
  if (heldStore(served, task, store.name) !== null) return null
  return others.peers().find((peer) => peer.host !== others.self && peer.tasks.includes(task)) ?? null
}

function health(served: Served): object {
  const ready = served.ready()
  const open = ready ? [] : served.figures().restores.filter(({ remaining }) => remaining > 0)
  const sum = (of: 'restored' | 'remaining' | 'recordsPerSecond'): number => open.reduce((total, restore) => total + restore[of], 0)
  const restoring =
    open.length === 0
      ? null
      : { stores: open.length, restored: sum('restored'), remaining: sum('remaining'), recordsPerSecond: sum('recordsPerSecond') }
  const { standbys } = served.figures()
  const standing =
    standbys.length === 0
      ? null
      : { tasks: new Set(standbys.map(({ task }) => task)).size, lag: standbys.reduce((total, { lag }) => total + lag, 0) }
  return { live: true, ready, tasks: served.tasks().size, restoring, standbys: standing }
}

function storeShape(served: Served, store: QueryableStore): object {
  const rows = store.windows !== null ? 'windows' : store.versions !== null ? 'versions' : 'keys'
  const shape = { name: store.name, key: store.spec.key.name ?? 'custom', value: store.spec.value.name ?? 'custom', rows }
  if (store.subTopology < 0) return { ...shape, tasks: 1, here: served.globalStore(store.name) === undefined ? 0 : 1 }
  const tasks = served.sized()?.tasks[store.subTopology] ?? 0
  const here = Array.from({ length: tasks }, (_, partition) => taskId(store.subTopology, partition)).filter(
    (task) => heldStore(served, task, store.name) !== null,
  )
  return { ...shape, tasks, here: here.length }
}

type Fields = Readonly<Record<string, string>>

/** An empty end is an open one. */
const textOf = (text: string | undefined): string | null => (text === undefined || text === '' ? null : text)

function rangeOf({ from, to, prefix, limit }: Fields): RangeQuery {
  return { from: textOf(from), to: textOf(to), prefix: textOf(prefix), limit: limitOf(limit, LIMITS.answerRowsMax) }
}

function windowsOf(key: string | null, { keyFrom, keyTo, from, to, cursor, limit }: Fields): WindowQuery {
  if (cursor !== undefined && !/^[A-Za-z0-9_-]*$/.test(cursor)) throw new Refusal('BAD_REQUEST')
  return {
    key,
    keyFrom: textOf(keyFrom),
    keyTo: textOf(keyTo),
    from: timeOf(from, 0),
    to: timeOf(to, Number.MAX_SAFE_INTEGER),
    cursor: textOf(cursor),
    limit: limitOf(limit, LIMITS.answerRowsMax),
  }
}

/** Epoch ms. */
function timeOf(text: string | undefined, otherwise: number): number {
  if (text === undefined || text === '') return otherwise
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(Number(text))) throw new Refusal('BAD_REQUEST')
  return Number(text)
}
