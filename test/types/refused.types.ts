// Compile only: what must not compile. Each directive names the mistake; one that becomes legal is an error (types.test.ts).
import { hopping, int32, int64, json, session, string, topology, tumbling, windowed, within } from 'millrace'

interface Order {
  id: string
  product: string
  amount: number
}

topology('refused', (t) => {
  const lines = t.stream('lines', { key: string(), value: string() })
  const orders = t.stream('orders', { key: string(), value: json<Order>() })
  const numbers = t.table('numbers', { key: int32(), value: json<Order>(), store: 'numbers' })
  const products = t.table('products', { key: string(), value: json<{ name: string }>(), store: 'products' })
  const names = t.table('names', { key: string(), value: string(), store: 'names' })

  // @ts-expect-error a field that the value does not have
  orders.filter((order) => order.prize > 3)
  // @ts-expect-error a predicate gives true or false, not text
  orders.filter((order) => order.id)
  // @ts-expect-error the key is text, not a number
  lines.mapValues((_value, key) => key.toFixed())
  // @ts-expect-error map gives [key, value], not a value alone
  lines.map((value) => value)
  // @ts-expect-error the serde writes text, the mapper gives a number
  lines.mapValues((value) => value.length, { value: string() })
  // @ts-expect-error the serde wants an amount that the mapper does not give
  lines.mapValues((value) => ({ id: value }), { value: json<Order>() })
  // @ts-expect-error a key serde of another type than the mapper's key
  lines.selectKey((value) => value.length, { key: string() })
  // @ts-expect-error mapValues keeps the key, so it takes no key serde
  lines.mapValues((value) => value, { key: string() })
  // @ts-expect-error streams of different values can't be merged
  lines.merge(orders)
  // @ts-expect-error the sink's serde writes numbers, the values are texts
  lines.to('out', { value: int32() })
  // @ts-expect-error the sink's serde wants fields that the values lack
  products.toStream().to('out', { value: json<{ name: string; price: number }>() })
  // @ts-expect-error the sink's key serde writes numbers, the keys are texts
  lines.to('out', { key: int32() })
  // @ts-expect-error a topic is a name or a function that gives one
  lines.to(3)
  // @ts-expect-error a branch that was not declared
  lines.split({ ants: (value) => value === 'ant' }).bees.to('bees')
  // @ts-expect-error a name is text
  lines.toTable({ store: 3 })
  // @ts-expect-error an option that toTable does not know
  lines.toTable({ stroe: 'lines' })
  // @ts-expect-error the table's serde is for another value
  lines.toTable({ value: json<Order>() })

  // @ts-expect-error a join of streams needs a window
  lines.join(orders, (line, order) => line + order.id)
  // @ts-expect-error a window is what within() gives
  lines.join(orders, (line, order) => line + order.id, '5m')
  // @ts-expect-error streams of other keys can't be joined
  lines.join(numbers.toStream(), (line, order) => line + order.id, within('5m'))
  // @ts-expect-error the right record may be missing in a left join
  lines.leftJoin(orders, (line, order) => line + order.id, within('5m'))
  // @ts-expect-error the left record may be missing in an outer join
  orders.outerJoin(lines, (order, line) => order.id + (line ?? ''), within('5m'))
  // @ts-expect-error the joiner's value is not what the serde writes
  lines.join(orders, (_line, order) => order.amount, within('5m'), { value: string() })
  const everywhere = t.globalTable('everywhere', { key: int32(), value: json<{ name: string }>() })
  orders.join(
    everywhere,
    // @ts-expect-error the key is not that of the global table
    (order) => order.id,
    (order, row) => order.id + row.name,
  )
  orders.leftJoin(
    everywhere,
    (order) => order.amount,
    // @ts-expect-error the row of the global table may be missing
    (order, row) => order.id + row.name,
  )
  // @ts-expect-error a global table is joined by a key that a function makes
  orders.join(everywhere, (order, row) => order.id + row.name)
  // @ts-expect-error a global table is no table
  products.join(everywhere, (product, row) => product.name + row.name)
  orders.join(
    // @ts-expect-error a join of a stream with a table takes no foreign key
    products,
    (order: Order) => order.product,
    (order: Order, product: { name: string }) => order.id + product.name,
  )
  // @ts-expect-error a table is joined without a window
  orders.join(products, (order, product) => order.id + product.name, within('5m'))

  // @ts-expect-error a reducer gives what it reduces
  orders.groupByKey().reduce((a) => a.amount)
  orders.groupByKey().aggregate(
    () => 0,
    // @ts-expect-error the adder gives another state than the initial one
    (sum, order) => `${sum}${order.amount}`,
  )
  orders.groupByKey().aggregate(
    () => 0,
    (sum, order) => sum + order.amount,
    // @ts-expect-error the store's serde is for another state
    { value: string() },
  )
  // @ts-expect-error a count has no initial value
  orders.groupByKey().count(() => 0)
  // @ts-expect-error a table's aggregation needs a subtractor
  products.groupBy((product, key) => [product.name, key]).reduce((a) => a)
  // @ts-expect-error a group of a table is [key, value]
  products.groupBy((product) => product.name)

  // @ts-expect-error a version is a number, a bigint or text
  orders.lastWriteWins({ store: 'w1', version: (order) => order })
  // @ts-expect-error lastWriteWins needs a version
  orders.lastWriteWins({ store: 'w2' })
  // @ts-expect-error lastWriteWins is for streams only
  products.lastWriteWins({ store: 'w3', version: () => 1 })
  // @ts-expect-error a duration has a unit
  orders.lastWriteWins({ store: 'w4', version: () => 1, tombstoneRetention: '5 days' })

  // @ts-expect-error the tables' keys differ: text and number
  products.join(numbers, (product, order) => [product, order])
  // @ts-expect-error the stream's key is text, the table's a number
  orders.join(numbers, (order, other) => [order, other])
  numbers.join(
    // @ts-expect-error a foreign key of another type than the right table's key
    products,
    (order) => order.amount,
    (order, product) => [order, product],
  )
  // @ts-expect-error the missing side of a left join may be undefined
  names.leftJoin(products, (name, product) => name + product.name)
  // @ts-expect-error either side of an outer join may be undefined
  names.outerJoin(products, (name, product) => name.length + (product?.name.length ?? 0))
  numbers.leftJoin(
    products,
    (order) => order.product,
    // @ts-expect-error the missing row of a left join by foreign key may be undefined
    (order, product) => order.id + product.name,
  )
  // @ts-expect-error the missing row of a stream's left join may be undefined
  orders.leftJoin(products, (order, product) => order.id + product.name)
  // @ts-expect-error an outer join of a stream and a table does not exist
  orders.outerJoin(products, (order, product) => [order, product])
  // @ts-expect-error a stream is no table
  products.join(orders, (product, order) => [product, order])
  // @ts-expect-error the joiner's result is a number, the serde's value text
  names.join(products, (name) => name.length, { value: string() })
  // @ts-expect-error a table has no peek; go on with toStream
  products.peek(() => {})
})

// @ts-expect-error a topology has a name
topology((t) => t.stream('in'))
// @ts-expect-error a source's timestamp is a number
topology('late', (t) => t.stream('in', { key: string(), value: string(), timestamp: (value) => value }))
// @ts-expect-error an offset reset that does not exist
topology('reset', (t) => t.stream('in', { offsetReset: 'middle' }))

topology('windows', (t) => {
  const lines = t.stream('lines', { key: string(), value: string() })
  const grouped = lines.groupByKey()
  const windows = grouped.windowedBy(tumbling('5m'))
  // @ts-expect-error a window is no text
  grouped.windowedBy('5m')
  // @ts-expect-error a window's duration has a unit
  tumbling('5 minutes')
  // @ts-expect-error a hopping window advances
  hopping('5m', { grace: '1m' })
  // @ts-expect-error results come at each update or at the close
  grouped.windowedBy(tumbling('5m'), { emit: 'final' })
  // @ts-expect-error the reducer gives what it was given
  windows.reduce((a) => a.length)
  windows.aggregate(
    () => 0,
    (n) => n + 1,
    // @ts-expect-error a time window needs no merger
    (a: number, b: number) => a + b,
  )
  // @ts-expect-error a session needs a merger
  grouped.windowedBy(session('5m')).aggregate(
    () => 0,
    (n) => n + 1,
  )
  // @ts-expect-error a windowed key is no text
  windows.count().filter((_n, key) => key.length > 0)
  // @ts-expect-error a windowed key is not written as text
  windows.count().toStream().to('out', { key: string() })
  windows
    .count()
    .toStream()
    // @ts-expect-error a key of another type in its window
    .to('out', { key: windowed(int64(), '5m') })
  // @ts-expect-error a table without windows has none that closes
  grouped.count().suppress({ until: 'windowCloses' })
  // @ts-expect-error a clock that does not exist
  grouped.count().suppress({ for: '5s', clock: 'sun' })
  const numbers = t.stream('numbers', { key: int64(), value: string() }).groupByKey()
  // @ts-expect-error the keys differ: text and number
  grouped.cogroup<number>((n) => n + 1).cogroup(numbers, (n) => n + 1)
  // @ts-expect-error the adder gives the state
  grouped.cogroup<number>((_n, value) => value)
  grouped
    .cogroup<number>((n) => n + 1)
    // @ts-expect-error the initial state is a number
    .aggregate(() => '')
})
