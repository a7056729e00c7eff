// Topologies of the simulator: sums, registers, a join of tables, windows. Those with records that wait are in waiting.ts.
import { json, string, topology, tumbling } from '../../src/index.ts'
import { type Fed, KEYS, listsOf, NONE, POISON, parsed, type SimCase } from './case.ts'
import type { Chance } from './chance.ts'
import { blocked } from './blocked.ts'
import { called, held } from './outside.ts'
import { waitingByForeignKey, waitingByKey } from './waiting.ts'

// --- sums per key, and counts per group behind a repartition topic: whatever is lost or doubled anywhere shows ------------

interface Amount {
  readonly n: number
  readonly group: string
  /** The aggregator throws at it. */
  readonly throws?: boolean
}

const sums: SimCase = {
  name: 'sums',
  inputs: ['in'],
  outputs: ['out', 'groups'],
  rising: [],
  topology: topology('sums', (t) => {
    const amounts = t.stream('in', { key: string(), value: json<Amount>() })
    // first the one that sends, then the one that throws: what was staged has to be undone
    amounts
      .groupBy(({ group }) => group, { key: string() })
      .count({ store: 'by-group' })
      .toStream()
      .to('groups', { key: string(), value: json<number>() })
    amounts
      .groupByKey()
      .aggregate(
        () => ({ count: 0, sum: 0 }),
        (state, { n, throws }) => {
          if (throws === true) throw new Error('no sum with it')
          return { count: state.count + 1, sum: state.sum + n }
        },
        { store: 'by-key', value: json<{ count: number; sum: number }>() },
      )
      .toStream()
      .to('out', { key: string(), value: json<{ count: number; sum: number }>() })
  }),
  feed: (chance, count) =>
    Array.from({ length: count }, (_, i) => ({
      topic: 'in',
      key: chance.pick(KEYS),
      value: chance.hit(0.02)
        ? POISON
        : JSON.stringify({ n: chance.draw(10), group: `g${chance.draw(3)}`, ...(chance.hit(0.02) ? { throws: true } : {}) }),
      timestamp: 1_000 + i * 10,
    })),
  poison: (fed) => parsed<Amount>(fed)?.throws === true,
  ofPartition(_topic, records) {
    const out = listsOf<string>()
    const table = new Map<string, { count: number; sum: number }>()
    for (const fed of records) {
      const amount = parsed<Amount>(fed)
      if (amount === null || amount.throws === true) continue
      const { count, sum } = table.get(fed.key) ?? { count: 0, sum: 0 }
      const next = { count: count + 1, sum: sum + amount.n }
      table.set(fed.key, next)
      out.add(fed.key, JSON.stringify(next))
    }
    return {
      outputs: new Map([['out', out.map]]),
      tables: new Map([['by-key', new Map([...table].map(([key, value]) => [key, JSON.stringify(value)]))]]),
    }
  },
  inTheEnd(partitions) {
    const inputs = partitions.flat()
    const groups = listsOf<string>()
    for (const fed of inputs) {
      const amount = parsed<Amount>(fed)
      if (amount !== null && amount.throws !== true) groups.add(amount.group, String((groups.map.get(amount.group)?.length ?? 0) + 1))
    }
    return { sequences: new Map([['groups', groups.map]]), last: new Map() }
  },
}

// --- one register per key: versions out of order, twice, equal with other values; deletes that are forgotten in time ------

interface Fact {
  readonly v: number
  readonly x: string
  readonly del?: boolean
}

const RETENTION_MS = 500
const FOR_EVER_MS = 7 * 86_400_000
const fact = { version: (f: Fact) => f.v, deleted: (f: Fact) => f.del === true }

function facts(chance: Chance, topic: string, count: number, bodyOf: (fact: Fact) => object): Fed[] {
  const fed: Fed[] = []
  for (let i = 0; i < count; i++) {
    const old = fed.length > 0 && chance.hit(0.15) ? chance.pick(fed) : null
    const f: Fact = { v: 1 + (i >> 2) + chance.draw(6), x: `x${chance.draw(4)}`, ...(chance.hit(0.25) ? { del: true } : {}) }
    fed.push({
      topic,
      key: old?.key ?? chance.pick(KEYS),
      value: old?.value ?? (chance.hit(0.02) ? POISON : JSON.stringify({ ...f, ...bodyOf(f) })),
      timestamp: 1_000 + 100 * ((i >> 1) + chance.draw(4)),
    })
  }
  return fed
}

/** Version, then the bytes of the value, then a delete. */
function wins(a: { fact: Fact; text: string }, b: { fact: Fact; text: string }): boolean {
  if (a.fact.v !== b.fact.v) return a.fact.v > b.fact.v
  const bytes = Buffer.compare(Buffer.from(a.text), Buffer.from(b.text))
  return bytes !== 0 ? bytes > 0 : Number(a.fact.del === true) > Number(b.fact.del === true)
}

function registers(records: readonly Fed[], retentionMs: number) {
  const forwarded = listsOf<string | null>()
  const held = new Map<string, { fact: Fact; text: string; timestamp: number }>()
  let streamTime = -1
  for (const fed of records) {
    const value = parsed<Fact>(fed)
    if (value === null) continue
    streamTime = Math.max(streamTime, fed.timestamp)
    const next = { fact: value, text: fed.value, timestamp: fed.timestamp }
    let old = held.get(fed.key)
    if (old?.fact.del === true && streamTime - old.timestamp > retentionMs) old = undefined
    if (old !== undefined && !wins(next, old)) continue
    held.set(fed.key, next)
    const existed = old !== undefined && old.fact.del !== true
    if (value.del !== true) forwarded.add(fed.key, fed.value)
    else if (existed) forwarded.add(fed.key, null)
  }
  const rows = [...held].flatMap(([key, { fact: of, text }]) => (of.del === true ? [] : [[key, text] as const]))
  return { forwarded: forwarded.map, rows: new Map(rows) }
}

const register: SimCase = {
  name: 'register',
  inputs: ['facts'],
  outputs: ['latest'],
  rising: [],
  topology: topology('register', (t) => {
    t.stream('facts', { key: string(), value: json<Fact>() })
      .lastWriteWins({ store: 'register', ...fact, tombstoneRetention: RETENTION_MS })
      .toStream()
      .to('latest', { key: string(), value: json<Fact>() })
  }),
  feed: (chance, count) => facts(chance, 'facts', count, () => ({})),
  ofPartition(_topic, records) {
    const { forwarded, rows } = registers(records, RETENTION_MS)
    return { outputs: new Map([['latest', forwarded]]), tables: new Map([['register', rows]]) }
  },
  inTheEnd: () => NONE,
}

// --- the same without an end to deletes, for records that come again: at least once ----------------------------------------

const latest: SimCase = {
  name: 'latest',
  inputs: ['facts'],
  outputs: ['latest'],
  rising: ['register'],
  guarantees: ['at_least_once'],
  topology: topology('latest', (t) => {
    t.stream('facts', { key: string(), value: json<Fact>() })
      .lastWriteWins({ store: 'register', ...fact })
      .toStream()
      .to('latest', { key: string(), value: json<Fact>() })
  }),
  feed: (chance, count) => facts(chance, 'facts', count, () => ({})),
  ofPartition: (_topic, records) => ({
    outputs: new Map(),
    tables: new Map([['register', registers(records, FOR_EVER_MS).rows]]),
  }),
  inTheEnd: (partitions) => ({
    sequences: new Map(),
    last: new Map([['latest', new Map(partitions.flatMap((records) => [...registers(records, FOR_EVER_MS).rows]))]]),
  }),
}

// --- two tables joined by foreign key: in the end each left row with its right row ----------------------------------------

interface Order extends Fact {
  readonly product: string
}

const joinedText = (order: Order, product: Fact | null): string =>
  `${order.v}${order.x} ${order.product} ${product === null ? 'none' : `${product.v}${product.x}`}`

const join: SimCase = {
  name: 'join',
  inputs: ['orders', 'products'],
  outputs: ['joined'],
  rising: ['orders', 'products'],
  guarantees: ['exactly_once', 'at_least_once'],
  topology: topology('join', (t) => {
    const products = t.stream('products', { key: string(), value: json<Fact>() }).lastWriteWins({ store: 'products', ...fact })
    t.stream('orders', { key: string(), value: json<Order>() })
      .lastWriteWins({ store: 'orders', ...fact })
      .leftJoin(
        products,
        (order) => order.product,
        (order, product) => joinedText(order, product ?? null),
        { store: 'joined-rows' },
      )
      .toStream()
      .to('joined', { key: string(), value: json<string>() })
  }),
  feed(chance, count) {
    const orders = facts(chance, 'orders', count >> 1, () => ({ product: chance.pick(KEYS) }))
    const products = facts(chance, 'products', count >> 1, () => ({}))
    return orders.flatMap((order, i) => [order, products[i] as Fed])
  },
  ofPartition: (topic, records) => ({ outputs: new Map(), tables: new Map([[topic, registers(records, FOR_EVER_MS).rows]]) }),
  inTheEnd(partitions) {
    const inputs = partitions.flat()
    const of = (topic: string) =>
      registers(
        inputs.filter((fed) => fed.topic === topic),
        FOR_EVER_MS,
      ).rows
    const [orders, products] = [of('orders'), of('products')]
    const joined = [...orders].map(([key, text]) => {
      const order = JSON.parse(text) as Order
      const found = products.get(order.product)
      return [key, JSON.stringify(joinedText(order, found === undefined ? null : (JSON.parse(found) as Fact)))] as const
    })
    return { sequences: new Map(), last: new Map([['joined', new Map(joined)]]) }
  },
}

// --- windows, as they grow and once they have closed: stream time, lateness and what waits must outlive everything ---------

const SIZE_MS = 400
const GRACE_MS = 200
const named = (key: string, start: number): string => `${key}@${start}`

const windows: SimCase = {
  name: 'windows',
  inputs: ['events'],
  outputs: ['counts', 'finals'],
  rising: [],
  topology: topology('windows', (t) => {
    const counts = t
      .stream('events', { key: string(), value: json<number>() })
      .groupByKey()
      .windowedBy(tumbling(SIZE_MS, { grace: GRACE_MS }))
      .count({ store: 'windows' })
    const out = { key: string(), value: json<number>() }
    counts.toStream((_, { key, start }) => named(key, start), { key: string() }).to('counts', out)
    counts
      .suppress({ until: 'windowCloses', store: 'waiting' })
      .toStream((_, { key, start }) => named(key, start), { key: string() })
      .to('finals', out)
  }),
  feed: (chance, count) =>
    Array.from({ length: count }, (_, i) => ({
      topic: 'events',
      key: chance.pick(KEYS),
      value: chance.hit(0.02) ? POISON : String(i),
      timestamp: 1_000 + 100 * ((i >> 1) + chance.draw(8)),
    })),
  ofPartition: () => ({ outputs: new Map(), tables: new Map() }),
  inTheEnd(partitions) {
    const counts = listsOf<string>()
    const finals = listsOf<string>()
    for (const records of partitions) {
      let streamTime = -1
      let taken = -1
      const open = new Map<string, { end: number; count: number }>()
      for (const fed of records) {
        if (parsed<number>(fed) === null) continue
        streamTime = Math.max(streamTime, fed.timestamp)
        const start = Math.floor(fed.timestamp / SIZE_MS) * SIZE_MS
        if (start + SIZE_MS <= streamTime - GRACE_MS) continue // late
        taken = Math.max(taken, fed.timestamp)
        const name = named(fed.key, start)
        const window = { end: start + SIZE_MS, count: (open.get(name)?.count ?? 0) + 1 }
        open.set(name, window)
        counts.add(name, String(window.count))
        for (const [each, { end, count }] of open) {
          if (end > taken - GRACE_MS) continue
          finals.add(each, String(count))
          open.delete(each)
        }
      }
    }
    return {
      sequences: new Map([
        ['counts', counts.map],
        ['finals', finals.map],
      ]),
      last: new Map(),
    }
  },
}

// --- a table whose topic is its changelog: the store is made again from the input, as far as that was processed -------------

interface Row {
  readonly n: number
  /** It becomes a dead letter below the table, and is a row all the same. */
  readonly throws?: boolean
}

const fed: SimCase = {
  name: 'fed',
  inputs: ['rows'],
  outputs: ['changes'],
  rising: [],
  topology: topology(
    'fed',
    (t) => {
      t.table('rows', { key: string(), value: json<Row>(), store: 'rows' })
        .mapValues(
          ({ n, throws }) => {
            if (throws === true) throw new Error('no change of it')
            return n
          },
          { value: json<number>() },
        )
        .toStream()
        .to('changes', { key: string(), value: json<number>() })
    },
    { optimize: true },
  ),
  feed: (chance, count) =>
    Array.from({ length: count }, (_, i) => ({
      topic: 'rows',
      key: chance.pick(KEYS),
      value: chance.hit(0.04) ? POISON : JSON.stringify({ n: i, ...(chance.hit(0.1) ? { throws: true } : {}) }),
      timestamp: 1_000 + i * 10,
    })),
  poison: (fed) => parsed<Row>(fed)?.throws === true,
  ofPartition(_topic, records) {
    const out = listsOf<string>()
    const rows = new Map<string, string>()
    for (const fed of records) {
      const row = parsed<Row>(fed)
      if (row === null) continue
      rows.set(fed.key, fed.value)
      if (row.throws !== true) out.add(fed.key, String(row.n))
    }
    return { outputs: new Map([['changes', out.map]]), tables: new Map([['rows', rows]]) }
  },
  inTheEnd: () => NONE,
}

export const CASES: readonly SimCase[] = [sums, register, join, windows, waitingByKey, waitingByForeignKey, latest, fed]

/** What can be asked for by name. */
export const NAMED: readonly SimCase[] = [...CASES, held, called, blocked]
