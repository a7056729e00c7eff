// Compile only: the types of keys and values as they flow through the builders. Checked by types.test.ts.
import {
  bytes,
  type GroupedStream,
  type GroupedTable,
  hopping,
  int64,
  json,
  type Stream,
  session,
  sliding,
  string,
  type Table,
  type Topology,
  topology,
  tumbling,
  type Windowed,
  windowed,
} from 'millrace'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Does not compile unless both types are the same. */
function same<A, B>(_: Same<A, B>): void {}

interface Order {
  id: string
  product: string
  amount: number
}
interface Product {
  name: string
  category?: string
}

export const built: Topology = topology('flow', (t) => {
  const text = { key: string(), value: string() }
  const lines = t.stream('lines', text)
  same<typeof lines, Stream<string, string>>(true)

  const unknowns = t.stream('unknowns')
  same<typeof unknowns, Stream<unknown, unknown>>(true)

  const orders = t.stream('orders', {
    key: string(),
    value: json<Order>(),
    timestamp: (value, key, record) => value.amount + key.length + record.timestamp,
  })
  same<typeof orders, Stream<string, Order>>(true)

  const nullable = lines.mapValues((value) => (value === '' ? null : value.length))
  same<typeof nullable, Stream<string, number | null>>(true)

  const bySerde = lines.mapValues((value) => (value === '' ? null : { name: value }), { value: json<Product>() })
  same<typeof bySerde, Stream<string, Product | null>>(true)

  const literal = lines.mapValues((value) => (value === '' ? 'ants' : 'bees'), { value: string() })
  same<typeof literal, Stream<string, string>>(true)

  const untyped = lines.mapValues((value) => value.length, { value: json() })
  same<typeof untyped, Stream<string, number>>(true)

  const mapped = lines.map((value, key) => [value === '' ? null : value.length, key])
  same<typeof mapped, Stream<number | null, string>>(true)

  const flat = lines.flatMap((value) => (value === '' ? [] : [[value, 1] as const]))
  same<typeof flat, Stream<string, 1>>(true)

  const words = lines.flatMapValues((value) => value.split(' '), { value: string() })
  same<typeof words, Stream<string, string>>(true)

  const rekeyed = lines.selectKey((value, key) => (value === '' ? null : key), { key: string() })
  same<typeof rekeyed, Stream<string | null, string>>(true)

  const narrowed = nullable.filter((value) => value !== null)
  same<typeof narrowed, Stream<string, number>>(true)

  const branches = lines.split({ ants: (value) => value === 'ant', long: (_value, key) => key.length > 3 }, { default: 'rest' })
  same<keyof typeof branches, 'ants' | 'long' | 'rest'>(true)
  same<typeof branches.rest, Stream<string, string>>(true)
  const onlyNamed = lines.split({ ants: (value) => value === 'ant' })
  same<keyof typeof onlyNamed, 'ants'>(true)

  const spread = rekeyed.repartition({ name: 'spread', partitions: 3 })
  same<typeof spread, Stream<string, string>>(true)

  const kept = rekeyed.toTable({ store: 'kept' })
  same<typeof kept, Table<string, string>>(true)

  const grouped = orders.groupBy((order) => (order.amount > 0 ? order.product : null), { key: string() })
  same<typeof grouped, GroupedStream<string, Order>>(true)
  const counts = grouped.count({ store: 'counts' })
  same<typeof counts, Table<string, number>>(true)
  const sums = grouped.aggregate(
    () => ({ n: 0 }),
    (sum, order, key) => (key === '' ? null : { n: sum.n + order.amount }),
    { store: 'sums', value: json<{ n: number }>() },
  )
  same<typeof sums, Table<string, { n: number }>>(true)
  const lists = grouped.aggregate(
    (): string[] => [],
    (list, order) => [...list, order.id],
  )
  same<typeof lists, Table<string, string[]>>(true)
  const greatest = grouped.reduce((a, b) => (a.amount > b.amount ? a : b))
  same<typeof greatest, Table<string, Order>>(true)

  const products = t.table('products', { key: string(), value: json<Product>(), store: 'products' })
  same<typeof products, Table<string, Product>>(true)
  const named = products.mapValues((product) => (product.name === '' ? null : product.name), { store: 'named', value: string() })
  same<typeof named, Table<string, string>>(true)
  const categories = products.groupBy((product, key) => [product.category ?? null, key], { key: string(), value: string() })
  same<typeof categories, GroupedTable<string, string>>(true)
  const last = categories.reduce(
    (_all, key) => key,
    (all, key) => (all === key ? null : all),
    { store: 'last' },
  )
  same<typeof last, Table<string, string>>(true)

  const registers = orders.lastWriteWins({ store: 'registers', version: (order, key, record) => order.amount + key.length + record.offset })
  same<typeof registers, Table<string, Order>>(true)

  const byKey = products.join(named, (product, name) => ({ ...product, name }), { value: json<Product>() })
  same<typeof byKey, Table<string, Product>>(true)
  const outer = products.outerJoin(named, (product, name) => product?.name ?? name)
  same<typeof outer, Table<string, string>>(true)
  const byForeignKey = registers.join(
    products,
    (order) => order.product,
    (order, product, key) => `${key}${order.id}${product.name}`,
  )
  same<typeof byForeignKey, Table<string, string>>(true)
  const leftForeign = registers.leftJoin(
    products,
    (order) => (order.product === '' ? null : order.product),
    (order, product) => ({ id: order.id, name: product?.name }),
    { store: 'leftForeign' },
  )
  same<typeof leftForeign, Table<string, { id: string; name: string | undefined }>>(true)

  const enriched = orders.join(products, (order, product, key) => `${key}${order.id}${product.name}`)
  same<typeof enriched, Stream<string, string>>(true)
  const maybe = rekeyed.leftJoin(products, (line, product, key) => [line, product?.name ?? null, key] as const)
  same<typeof maybe, Stream<string | null, readonly [string, string | null, string | null]>>(true)

  const changes = products.toStream((product) => product.name, { key: string() })
  same<typeof changes, Stream<string, Product>>(true)

  counts.toStream().to('counts', { key: string(), value: int64() })
  byForeignKey.toStream().to('texts', { value: json() })
  mapped.to('mapped', { key: json<number>(), value: string(), partition: (_value, key, partitions) => (key ?? 0) % partitions })
  lines.to((value, key, record) => `${record.topic}-${key}-${value}`, { loop: true })
  lines.mapValues((value) => Buffer.from(value), { value: bytes() }).to('raw', { value: bytes() })
})

topology('windows', (t) => {
  const lines = t.stream('lines', { key: string(), value: string() })
  const grouped = lines.groupByKey()
  const counts = grouped.windowedBy(tumbling('5m', { grace: '30s' })).count({ store: 'counts' })
  same<typeof counts, Table<Windowed<string>, number>>(true)
  const reduced = grouped.windowedBy(hopping('5m', { advance: '1m' }), { emit: 'close' }).reduce((a, b, key) => a + b + key)
  same<typeof reduced, Table<Windowed<string>, string>>(true)
  const lengths = grouped.windowedBy(sliding('5s')).aggregate(
    () => 0,
    (sum, value, key) => sum + value.length + key.length,
  )
  same<typeof lengths, Table<Windowed<string>, number>>(true)
  // @ts-expect-error late records go to a topic by its name
  grouped.windowedBy(session('5m'), { lateTo: 5 })
  const sessions = grouped
    .windowedBy(session('5m'), { lateTo: 'late', onLate: (value, key, late) => `${value}${key}${late.start}` })
    .aggregate(
      () => [] as string[],
      (all, value) => [...all, value],
      (left, right) => [...left, ...right],
      { value: json<string[]>() },
    )
  same<typeof sessions, Table<Windowed<string>, string[]>>(true)
  const final = counts.filter((n) => n > 1).suppress({ until: 'windowCloses' })
  same<typeof final, Table<Windowed<string>, number>>(true)
  const slow = grouped.count().suppress({ for: '30s', maxRecords: 10, clock: 'wall' })
  same<typeof slow, Table<string, number>>(true)
  final.toStream().to('windowed', { key: windowed(string(), '5m'), value: json() })
  const numbers = t.stream('numbers', { key: string(), value: int64() }).groupByKey()
  const both = grouped
    .cogroup<{ n: number }>((state, value) => ({ n: state.n + value.length }))
    .cogroup(numbers, (state, value) => ({ n: state.n + Number(value) }))
  const all = both.aggregate(() => ({ n: 0 }))
  same<typeof all, Table<string, { n: number }>>(true)
  const inWindows = both.windowedBy(session('5m')).aggregate(
    () => ({ n: 0 }),
    (left, right) => ({ n: left.n + right.n }),
  )
  same<typeof inWindows, Table<Windowed<string>, { n: number }>>(true)
})
