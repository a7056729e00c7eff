// Compile only: for each family of operators a wrong key, a wrong value, a wrong store and a wrong other side. As refused.types.ts.
import {
  avro,
  int32,
  json,
  keyValue,
  registry,
  session,
  string,
  topology,
  tumbling,
  versioned,
  window,
  windowed,
  within,
  type StoreHandle,
  type KeyValueStore,
} from 'millrace'

interface Order {
  id: string
  cents: number
}

topology('sources', (t) => {
  // @ts-expect-error a key serde is a serde, not its maker
  t.stream('a', { key: string })
  // @ts-expect-error a table is of one topic
  t.table(['a', 'b'])
  // @ts-expect-error a history is a duration
  t.table('a', { versioned: true })
  // @ts-expect-error a global table has no timestamps of its own
  t.globalTable('a', { timestamp: () => 1 })
  // @ts-expect-error a timestamp function gets the value of the serde
  t.stream('a', { value: json<Order>(), timestamp: (order) => order.at })
  // @ts-expect-error a store is declared with what keyValue and the others give
  t.store({ name: 'a' })
  // @ts-expect-error a window store has a retention
  t.store(window({ name: 'a', size: '1m' }))
  // @ts-expect-error a ttl is of key-value stores only
  t.store(versioned({ name: 'a', retention: '1m', ttl: '1m' }))
})

topology('stateless', (t) => {
  const lines = t.stream('lines', { key: string(), value: string() })
  const orders = t.stream('orders', { key: string(), value: json<Order>() })
  // @ts-expect-error filterNot gives true or false
  orders.filterNot((order) => order.cents)
  // @ts-expect-error flatMap gives pairs, not values
  lines.flatMap((line) => line.split(' '))
  // @ts-expect-error flatMap's key serde writes numbers, its keys are text
  lines.flatMap((line, key) => [[key, line] as const], { key: int32() })
  // @ts-expect-error flatMap's value serde writes numbers, its values are text
  lines.flatMap((line, key) => [[key, line] as const], { value: int32() })
  // @ts-expect-error map's key serde writes numbers, its keys are text
  lines.map((line, key) => [key, line] as const, { key: int32() })
  // @ts-expect-error flatMapValues gives a list of values
  orders.flatMapValues((order) => order.cents)
  // @ts-expect-error flatMapValues keeps the key, so it has no key serde
  lines.flatMapValues((line) => [line], { key: string() })
  // @ts-expect-error peek sees the value that is there
  orders.peek((order) => order.name)
  // @ts-expect-error nothing goes on behind forEach
  orders.forEach(() => {}).to('out')
  // @ts-expect-error a number of partitions is a number
  orders.repartition({ partitions: '4' })
  // @ts-expect-error repartition keeps the serdes
  orders.repartition({ key: string() })
  // @ts-expect-error a partition is a number
  orders.to('out', { partition: (order) => order.id })
  // @ts-expect-error a topic function gives a name
  orders.to((order) => order.cents)
  // @ts-expect-error split takes an object of predicates
  orders.split((order) => order.cents > 1)
  // @ts-expect-error a branch has the type of its stream
  orders.split({ big: (order) => order.cents > 1 }).big.mapValues((order) => order.name)
  // @ts-expect-error a merged stream has keys of the same type
  lines.merge(t.stream('others', { key: int32(), value: string() }))
  // @ts-expect-error toTable's key serde writes numbers, the keys are text
  orders.toTable({ key: int32() })
})

topology('aggregations', (t) => {
  const orders = t.stream('orders', { key: string(), value: json<Order>() })
  const grouped = orders.groupByKey()
  // @ts-expect-error groupBy's key serde writes numbers, its keys are text
  orders.groupBy((order) => order.id, { key: int32() })
  // @ts-expect-error a group has no to; aggregate it first
  grouped.to('out')
  // @ts-expect-error a count is of numbers
  grouped.count().mapValues((n) => n.length)
  // @ts-expect-error a reducer's key is the group's
  grouped.reduce((a, _b, key) => (key > 3 ? a : null))
  grouped.aggregate(
    () => 0,
    // @ts-expect-error an aggregate's adder gets the stream's value
    (sum, order) => sum + order.price,
  )
  // @ts-expect-error a name of a store is text
  grouped.count({ store: 3 })
  // @ts-expect-error a count keeps the key's serde
  grouped.count({ key: string() })
  // @ts-expect-error cogroup takes a grouped stream
  grouped.cogroup<number>((n) => n).cogroup(orders, (n) => n)
  // @ts-expect-error a cogrouped stream has no count
  grouped.cogroup<number>((n) => n).count()
  // @ts-expect-error the store of a cogroup holds its state
  grouped.cogroup<number>((n) => n).aggregate(() => 0, { value: string() })
  const table = orders.toTable({ store: 'orders' })
  const byCents = table.groupBy((order, key) => [order.cents, key], { key: int32(), value: string() })
  // @ts-expect-error the group's value serde writes numbers, its values are text
  table.groupBy((order, key) => [order.cents, key], { value: int32() })
  byCents.reduce(
    (a, b) => a + b,
    // @ts-expect-error the subtractor gives what it reduces
    (a) => a.length,
  )
  byCents.aggregate(
    () => 0,
    (n) => n + 1,
    // @ts-expect-error the subtractor gives the state
    (n) => `${n}`,
  )
  // @ts-expect-error a group of a table has no windows
  byCents.windowedBy(tumbling('1m'))
})

topology('windows by type', (t) => {
  const grouped = t.stream('orders', { key: string(), value: json<Order>() }).groupByKey()
  const minutes = grouped.windowedBy(tumbling('1m'))
  minutes.aggregate(
    () => 0,
    (sum, order) => sum + order.cents,
    // @ts-expect-error the store of windows holds their state
    { value: string() },
  )
  // @ts-expect-error a retention is a number of ms, or has a unit
  minutes.count({ retention: '5' })
  grouped.windowedBy(session('1m')).aggregate(
    () => 0,
    (sum, order) => sum + order.cents,
    // @ts-expect-error the merger gives the state
    (left, right) => `${left}${right}`,
  )
  // @ts-expect-error onLate hears of the group's value
  grouped.windowedBy(tumbling('1m'), { onLate: (order) => order.price })
  // @ts-expect-error a windowed table is joined by windowed keys
  minutes.count().join(grouped.count(), (a, b) => a + b)
  minutes
    .count()
    .toStream()
    // @ts-expect-error a windowed key's serde is of its inner key
    .to('out', { key: windowed(int32(), '1m'), value: int32() })
  // @ts-expect-error a window that closes has no bound of records
  minutes.count().suppress({ until: 'windowCloses', maxRecords: 5 })
  // @ts-expect-error what is held back has a time
  minutes.count().suppress({ maxRecords: 5 })
})

topology('tables', (t) => {
  const none = [() => '', () => ''] as const
  const orders = t.table('orders', { key: string(), value: json<Order>(), store: 'orders' })
  const names = t.table('names', { key: string(), value: string() })
  // @ts-expect-error a table's predicate sees its rows
  orders.filter((order) => order.price > 3)
  // @ts-expect-error the table's new serde writes numbers, its rows are text
  orders.mapValues((order) => order.id, { value: int32() })
  // @ts-expect-error a table's key stays, so mapValues has no key serde
  orders.mapValues((order) => order.id, { key: string() })
  // @ts-expect-error toStream's key serde writes numbers, its keys are text
  orders.toStream((order) => order.id, { key: int32() })
  // @ts-expect-error a table has no map; go on with toStream
  orders.map((order, key) => [key, order])
  // @ts-expect-error a table is not grouped by the key that is there
  orders.groupByKey()
  // @ts-expect-error a left join's serde writes numbers, its joiner gives text
  orders.leftJoin(names, (order, name) => order.id + (name ?? ''), { value: int32() })
  // @ts-expect-error an outer join's serde writes numbers, its joiner gives text
  orders.outerJoin(names, (order, name) => order?.id ?? name ?? '', { value: int32() })
  orders.join(
    names,
    (order) => order.id,
    // @ts-expect-error a foreign-key join's serde writes numbers, its joiner gives text
    (order, name) => order.id + name,
    { value: int32() },
  )
  // @ts-expect-error there is no outer join by foreign key
  orders.outerJoin(names, ...none)
  // @ts-expect-error a join of tables has no window
  orders.join(names, (order, name) => [order, name], within('1m'))
  // @ts-expect-error a join of tables does not wait
  orders.join(names, (order, name) => [order, name], { buffer: { timeout: '1m' } })
})

topology('streams and tables', (t) => {
  const orders = t.stream('orders', { key: string(), value: json<Order>() })
  const names = t.table('names', { key: string(), value: string() })
  const rates = t.globalTable('rates', { key: int32(), value: string() })
  // @ts-expect-error a stream-table join's serde writes numbers, its joiner gives text
  orders.join(names, (order, name) => order.id + name, { value: int32() })
  // @ts-expect-error a grace is a duration with a unit
  orders.join(names, (order, name) => order.id + name, { grace: '10' })
  const byCents = (order: Order): number => order.cents
  const both = (order: Order, rate: string): string => order.id + rate
  // @ts-expect-error a global join's serde writes numbers, its joiner gives text
  orders.join(rates, byCents, both, { value: int32() })
  // @ts-expect-error a global join keeps nothing, so it has no store
  orders.join(rates, byCents, both, { store: 'x' })
  // @ts-expect-error a stream join's left value is the stream's
  orders.join(orders, (left, right) => left.price + right.cents, within('1m'))
  // @ts-expect-error a global table cannot be a stream
  rates.toStream()
})

topology('serdes and stores', (t) => {
  const order = registry({ url: 'http://localhost:8081' }).avro<Order>({ type: 'record', name: 'Order', fields: [] })
  const orders = t.stream('orders', { key: string(), value: order })
  // @ts-expect-error the registry's serde says what a value is
  orders.mapValues((value) => value.price)
  // @ts-expect-error the sink's Avro serde is of another type
  orders.to('out', { value: avro<{ id: number }>('string') })
  // @ts-expect-error a registry has an address
  registry({ auth: { token: 'a' } })
  // @ts-expect-error credentials are a user and a password, or a token
  registry({ url: 'http://localhost:8081', auth: { username: 'a' } })
  const rows = t.store(keyValue({ name: 'rows', key: string(), value: int32() }))
  // @ts-expect-error the handle of a store of numbers is none of a store of text
  const other: StoreHandle<KeyValueStore<string, string>> = rows
  orders.process((context) => ({
    process: ({ key }) => {
      // @ts-expect-error the store's rows are numbers
      context.store(rows).put(key, 'one')
      // @ts-expect-error the store's keys are text
      context.store(rows).get(1)
    },
  }))
  // @ts-expect-error stores are handles or names
  orders.process(() => ({ process() {} }), { stores: [3], key: other === rows ? string() : string() })
})
