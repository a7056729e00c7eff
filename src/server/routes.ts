// What a path answers of stores and of the processor. Who may ask was judged before (guard.ts).
import type { Peer } from '../assignment/peers.ts'
import { LIMITS } from '../base/limits.ts'
import { isName } from '../base/names.ts'
import { type QueryableStore, queryableNames, queryableStore } from '../runtime/query.ts'
import { heldPartitions, heldStore } from '../runtime/reads.ts'
import { taskId } from '../runtime/recover.ts'
import { describe, describeLive } from '../topology/describe.ts'
import { type Answer, type Answering, type Ask, type AskName, answered, type Forwarded, type Text } from './asks.ts'
import { fieldsOf, limitOf } from './fields.ts'
import { gateOf } from './gate.ts'
import { gatherRows, ownersOfRest, partText, type RowPart } from './gather.ts'
import { openApi } from './openapi.ts'
import { Refusal } from './refusal.ts'
import {
  asOfAnswer,
  type KeyPlace,
  keyAnswer,
  placeOf,
  type RangeQuery,
  type RowsQuery,
  rangeRows,
  rowsAnswer,
  rowsHere,
  versionsAnswer,
  type WindowQuery,
  windowPlaceOf,
  windowRows,
} from './rows.ts'
import type { Served } from './served.ts'

export interface RouteOptions {
  readonly served: Served
  /** Stores that may be read; null: all. */
  readonly stores: readonly string[] | null
  readonly metrics: () => Promise<{ readonly type: string; readonly text: string }>
}

const TOPOLOGY_TYPES = { json: null, mermaid: 'text/plain; charset=utf-8', svg: 'image/svg+xml; charset=utf-8' } as const

export type RouteName = Exclude<AskName, 'live' | 'parked' | 'letters' | 'replay' | 'drop'>

export function routesOf({ served, stores, metrics }: RouteOptions): Readonly<Record<RouteName, Answering>> {
  const { plan } = served
  const known = new Map<string, QueryableStore>()
  const ranges = gateOf(LIMITS.rangesAtOnce)
  // The plan is fixed, and so is what is drawn of it.
  const described = textsOf((format: keyof typeof TOPOLOGY_TYPES | 'live') =>
    format === 'live' ? describeLive(plan) : describe(plan, format),
  )
  const api = textsOf(() => JSON.stringify(openApi()))

  const named = ({ store: name }: Ask): QueryableStore => {
    const before = known.get(name)
    if (before !== undefined) return before
    if (!isName(name)) throw new Refusal('NOT_FOUND')
    if (stores !== null && !stores.includes(name)) throw new Refusal('STORE_REFUSED')
    const found = queryableStore(plan, name)
    if (found === null) throw new Refusal('NOT_FOUND')
    known.set(name, found)
    return found
  }

  /** From here, or who has the key. */
  const ofKey = ({ forwarded }: Ask, store: QueryableStore, { partition }: KeyPlace, text: () => string | Promise<string>) => {
    const owner = forwarded ? null : ownerElsewhere(served, store, partition)
    return owner === null ? textOf(text()) : { owner }
  }

  /** Rows of all keys: from here, with those of the processes that have the others. Such a process gives its part. */
  const ofAll = async ({ forwarded, body }: Ask, gone: AbortSignal | null, store: QueryableStore, query: RowsQuery): Promise<Answer> => {
    const owners = store.subTopology < 0 || forwarded || body !== undefined ? [] : ownersOfRest(served, store)
    if (owners.length > 0) return { owners }
    return await ranges(gone, async () => {
      if (store.subTopology < 0) return answered(await rowsAnswer(await rowsHere(served, store, query, null), query))
      const here = (partitions: readonly number[]): Promise<RowPart> => rowsHere(served, store, query, partitions)
      if (forwarded) return answered(partText(await here(heldPartitions(served, store))))
      const given = (body ?? []) as readonly Forwarded[]
      return answered(await rowsAnswer(await gatherRows(served, store, query.limit, given, here), query))
    })
  }

  return {
    health({ query }) {
      fieldsOf(query, [])
      return answered(JSON.stringify(health(served)))
    },
    ready({ query }) {
      fieldsOf(query, [])
      return answered(JSON.stringify(health(served)), served.ready() ? 200 : 503)
    },
    async metrics() {
      const { type, text } = await metrics()
      return answered(text, 200, type)
    },
    topology({ query }) {
      const { format = 'json', live } = fieldsOf(query, ['format', 'live'])
      if (!isFormat(format) || (live !== undefined && (live !== 'true' || format !== 'svg'))) throw new Refusal('BAD_REQUEST')
      return answered(described(live === undefined ? format : 'live'), 200, TOPOLOGY_TYPES[format])
    },
    openApi: () => answered(api('')),
    stores({ query }) {
      fieldsOf(query, [])
      const names = queryableNames(plan).filter((name) => stores === null || stores.includes(name))
      return answered(JSON.stringify({ stores: names.map((name) => storeShape(served, queryableStore(plan, name) as QueryableStore)) }))
    },
    rows(ask, gone) {
      const store = named(ask)
      return ofAll(ask, gone, store, rangeRows(store, rangeOf(fieldsOf(ask.query, ['from', 'to', 'prefix', 'limit']))))
    },
    row(ask) {
      const store = named(ask)
      const { asOf } = fieldsOf(ask.query, ['asOf'])
      const place = placeOf(served, store, ask.key)
      const at = asOf === undefined ? null : timeOf(asOf, 0)
      return ofKey(ask, store, place, () => (at === null ? keyAnswer(served, store, place) : asOfAnswer(served, store, place, at)))
    },
    windows(ask, gone) {
      const store = named(ask)
      const fields = fieldsOf(ask.query, ['keyFrom', 'keyTo', ...WINDOW_FIELDS])
      return ofAll(ask, gone, store, windowRows(served, store, windowsOf(null, fields)))
    },
    windowsOfKey(ask, gone) {
      const store = named(ask)
      const asked = windowsOf(ask.key, fieldsOf(ask.query, WINDOW_FIELDS))
      const place = windowPlaceOf(served, store, ask.key)
      return ofKey(ask, store, place, () =>
        ranges(gone, async () => {
          const query = windowRows(served, store, asked)
          return await rowsAnswer(await rowsHere(served, store, query, null), query)
        }),
      )
    },
    versions(ask) {
      const store = named(ask)
      const { from, to, limit } = fieldsOf(ask.query, ['from', 'to', 'limit'])
      const query = { from: timeOf(from, 0), to: timeOf(to, Number.MAX_SAFE_INTEGER), limit: limitOf(limit, LIMITS.answerRowsMax) }
      const place = placeOf(served, store, ask.key)
      return ofKey(ask, store, place, () => versionsAnswer(served, store, place, query))
    },
  }
}

function textOf(text: string | Promise<string>): Text | Promise<Text> {
  return typeof text === 'string' ? answered(text) : text.then((late) => answered(late))
}

/** Each text is made once, when it is first asked for. */
function textsOf<K extends string>(make: (of: K) => string): (of: K) => string {
  const made = new Map<K, string>()
  return (of) => {
    const text = made.get(of) ?? make(of)
    made.set(of, text)
    return text
  }
}

function isFormat(format: string): format is keyof typeof TOPOLOGY_TYPES {
  return Object.hasOwn(TOPOLOGY_TYPES, format)
}

const WINDOW_FIELDS = ['from', 'to', 'cursor', 'limit'] as const

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
const endOf = (text: string | undefined): string | null => (text === undefined || text === '' ? null : text)

function rangeOf({ from, to, prefix, limit }: Fields): RangeQuery {
  return { from: endOf(from), to: endOf(to), prefix: endOf(prefix), limit: limitOf(limit, LIMITS.answerRowsMax) }
}

function windowsOf(key: string | null, { keyFrom, keyTo, from, to, cursor, limit }: Fields): WindowQuery {
  if (cursor !== undefined && !/^[A-Za-z0-9_-]*$/.test(cursor)) throw new Refusal('BAD_REQUEST')
  return {
    key,
    keyFrom: endOf(keyFrom),
    keyTo: endOf(keyTo),
    from: timeOf(from, 0),
    to: timeOf(to, Number.MAX_SAFE_INTEGER),
    cursor: endOf(cursor),
    limit: limitOf(limit, LIMITS.answerRowsMax),
  }
}

/** Epoch ms. */
function timeOf(text: string | undefined, otherwise: number): number {
  if (text === undefined || text === '') return otherwise
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(Number(text))) throw new Refusal('BAD_REQUEST')
  return Number(text)
}
