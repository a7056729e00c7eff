// Buffering joins in the simulator. By key: orders and rows come through one topic, so each partition has one order of events and the
// oracle knows every output. By foreign key: orders travel to the partition of their row and meet it there at a time of their own, so
// what can be said is less, and said by `judge`.
import { partitionOf } from '../../src/base/murmur2.ts'
import { json, string, topology } from '../../src/index.ts'
import { Oracle } from '../runtime/buffering-join-oracle.ts'
import { type Fed, isPoison, KEYS, listsOf, NONE, POISON, parsed, type SimCase } from './case.ts'
import { fedOf } from './checks.ts'
import type { History, Violation } from './history.ts'
import { notOnce, parkedIn } from './parked.ts'

interface Joined {
  readonly n: number
  readonly row: string | null
}

// --- by key, on stream time: a row that comes exactly at the timeout is in time, one later is not -------------------------

/** An order, or a row; null: the row is gone. */
interface Mixed {
  readonly n?: number
  readonly row?: string | null
}

const TIMEOUT_MS = 200
const RECORDS_MAX = 6

export const waitingByKey: SimCase = {
  name: 'waiting',
  inputs: ['mixed'],
  outputs: ['joined'],
  rising: [],
  topology: topology('waiting', (t) => {
    const mixed = t.stream('mixed', { key: string(), value: json<Mixed>() })
    const rows = mixed
      .filter(({ row }) => row !== undefined)
      .mapValues(({ row }) => row ?? null)
      .toTable({ store: 'rows', key: string(), value: json<string>() })
    mixed
      .filter(({ n }) => n !== undefined)
      .join(rows, ({ n }, row): Joined => ({ n: n as number, row: row ?? null }), {
        buffer: { timeout: TIMEOUT_MS, clock: 'stream', onTimeout: 'emit', maxRecords: RECORDS_MAX, onFull: 'expireOldest' },
        store: 'parked',
      })
      .to('joined', { key: string(), value: json<Joined>() })
  }),
  feed: (chance, count) =>
    Array.from({ length: count }, (_, i) => {
      const row = chance.hit(0.2) ? null : `row${i}`
      return {
        topic: 'mixed',
        key: chance.pick(KEYS),
        value: chance.hit(0.02) ? POISON : JSON.stringify(chance.hit(0.35) ? { row } : { n: i }),
        timestamp: 1_000 + 50 * ((i >> 1) + chance.draw(6)),
      }
    }),
  // Rows go with their record; what goes on because of them goes in pieces of its own, which may be of a later epoch.
  ofPartition: (_topic, records) => ({ outputs: new Map(), tables: new Map([['rows', outcomeOf(records).rows]]) }),
  inTheEnd(partitions) {
    const joined = listsOf<string>()
    for (const records of partitions) for (const { key, text } of outcomeOf(records).results) joined.add(key, text)
    return { sequences: new Map([['joined', joined.map]]), last: new Map() }
  },
}

function outcomeOf(records: readonly Fed[]) {
  const oracle = new Oracle({ timeoutMs: TIMEOUT_MS, clock: 'stream', recordsMax: RECORDS_MAX, onFull: 'expireOldest' })
  const keys = new Map<number, string>()
  const rows = new Map<string, string>()
  for (const fed of records) {
    const mixed = parsed<Mixed>(fed)
    if (mixed === null) continue
    const { n, row } = mixed
    if (n !== undefined) {
      keys.set(n, fed.key)
      oracle.record({ own: fed.key, wants: fed.key, n, timestamp: fed.timestamp }, 0)
      continue
    }
    oracle.row(fed.key, row ?? null, fed.timestamp, 0)
    if (row === null || row === undefined) rows.delete(fed.key)
    else rows.set(fed.key, JSON.stringify(row))
  }
  const results = oracle.results.map(({ n, row }) => ({ key: keys.get(n) as string, text: JSON.stringify({ n, row }) }))
  return { results, rows }
}

// --- by foreign key, on both clocks ----------------------------------------------------------------------------------------

interface Order {
  readonly n: number
  readonly own: string
  readonly product: string
}

export const waitingByForeignKey: SimCase = {
  name: 'foreign',
  inputs: ['orders', 'rows'],
  outputs: ['joined'],
  rising: [],
  topology: topology('foreign', (t) => {
    const rows = t.table('rows', { key: string(), value: json<string>(), store: 'rows' })
    t.stream('orders', { key: string(), value: json<Order>() })
      .join(rows, ({ n }, row): Joined => ({ n, row: row ?? null }), {
        on: ({ product }) => product,
        buffer: { timeout: '600ms', onTimeout: 'emit' },
        store: 'parked',
      })
      .to('joined', { key: string(), value: json<Joined>() })
  }),
  feed: (chance, count) =>
    Array.from({ length: count }, (_, n): Fed => {
      const timestamp = 1_000 + 20 * (n + chance.draw(6))
      const own = chance.pick(KEYS)
      const product = chance.pick(KEYS)
      if (chance.hit(0.25)) return { topic: 'rows', key: product, value: chance.hit(0.02) ? POISON : JSON.stringify(`row${n}`), timestamp }
      return { topic: 'orders', key: own, value: chance.hit(0.02) ? POISON : JSON.stringify({ n, own, product }), timestamp }
    }),
  ofPartition: () => ({ outputs: new Map(), tables: new Map() }),
  inTheEnd: () => NONE,
  judge,
}

const ORDER = /\{"n":\d+,"own":"\w","product":"\w"\}/

/** Each order leaves once or waits; in the order of its key; with a row that was there; and none waits whose row is there. */
function judge(history: History): Violation[] {
  const violations: Violation[] = []
  const sound = (topic: string): Fed[] =>
    (history.inputs.get(topic) ?? [])
      .flat()
      .map((record) => fedOf(topic, record))
      .filter((fed) => !isPoison(history.case, fed))
  const orders = new Map(sound('orders').map((fed) => [(parsed(fed) as Order).n, parsed(fed) as Order]))
  const texts = new Map<string, Set<string>>()
  for (const fed of sound('rows')) texts.set(fed.key, (texts.get(fed.key) ?? new Set()).add(parsed(fed) as string))
  const partitions = history.inputs.get('rows')?.length ?? 1
  const lane = ({ own, product }: Order): string => `${own} ${partitionOf(Buffer.from(product), partitions)}`

  const left = new Map<number, number>()
  const latest = new Map<string, number>()
  for (const { value } of (history.outputs.get('joined') ?? []).flat()) {
    const { n, row } = JSON.parse(String(value)) as Joined
    const order = orders.get(n)
    left.set(n, (left.get(n) ?? 0) + 1)
    if (order === undefined) {
      violations.push({ check: 'S', what: `order ${n} left, which never came` })
      continue
    }
    const before = latest.get(lane(order)) ?? -1
    if (n < before) violations.push({ check: 'O', what: `order ${n} left behind ${before} of the same key` })
    latest.set(lane(order), n)
    if (row !== null && texts.get(order.product)?.has(row) !== true)
      violations.push({ check: 'S', what: `order ${n} of ${order.product} was joined with ${row}` })
  }
  const heads = new Map<string, Order>()
  for (const order of parkedIn<Order>(history, 'parked', ORDER)) {
    left.set(order.n, (left.get(order.n) ?? 0) + 1)
    if (order.n < (heads.get(lane(order))?.n ?? Number.POSITIVE_INFINITY)) heads.set(lane(order), order)
  }
  for (const { n, product } of heads.values())
    if (texts.has(product)) violations.push({ check: 'L', what: `order ${n} still waits for ${product}, which is there` })
  return [...violations, ...notOnce('order', orders.keys(), left)]
}
