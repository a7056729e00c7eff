// Compile only: what a processor sees and what it may not do. Each directive names the mistake.
import { json, keyValue, type ReadOnlyKeyValueStore, readOnly, session, string, topology, versioned, window } from 'millrace'

interface Order {
  id: string
  amount: number
}

topology('processors', (t) => {
  const orders = t.stream('orders', { key: string(), value: json<Order>() })
  const totals = t.store(keyValue({ name: 'totals', key: string(), value: json<number>() }))
  const windows = t.store(window({ name: 'windows', key: string(), value: string(), size: '1m', retention: '1h' }))
  const sessions = t.store(session({ name: 'sessions', key: string(), value: string(), retention: '1h' }))
  const versions = t.store(versioned({ name: 'versions', key: string(), value: json<Order>(), retention: '1h' }))

  // What comes in is what goes out, unless it is said.
  const same = orders.process((context) => ({ process: (record) => context.forward(record) }))
  same.mapValues((order) => order.amount.toFixed())
  const named = orders.process<string, number>((context) => ({
    process: (record) => context.forward({ ...record, value: record.value.amount }),
  }))
  named.mapValues((amount) => amount.toFixed())
  // A serde says it too.
  const texts = orders.processValues((context) => ({ process: (record) => context.forward({ ...record, value: record.value.id }) }), {
    value: string(),
  })
  texts.mapValues((text, key) => text.length + key.length)
  // Branches by name.
  const { late, good } = orders.process<string, Order, 'late' | 'good'>(
    (context) => ({
      process(record) {
        if (record.timestamp < context.currentStreamTimeMs()) context.forward(record, 'late')
        else context.forward(record, 'good')
      },
    }),
    { outputs: ['late', 'good'] },
  )
  late.merge(good).to('orders-again', { key: string(), value: json<Order>() })

  orders.process(
    (context) => {
      const total = context.store(totals)
      const onlyRead = context.store(readOnly(totals))
      const window = context.store(windows)
      const session = context.store(sessions)
      const version = context.store(versions)
      const byName = context.store<ReadOnlyKeyValueStore<string, number>>('totals')
      const timer = context.schedule('1m', 'wall', (timestamp) => {
        if (timestamp > 5) timer.cancel()
      })
      return {
        process({ key, value, timestamp }) {
          const sum: number = (total.get(key) ?? 0) + value.amount
          total.put(key, sum)
          total.put(key, null)
          for (const [id, amount] of total.range(null, 'm')) context.forward({ key: id, value: { id, amount }, timestamp })
          const text: string | null = window.fetch(key, 0)
          const starts: number[] = [...window.fetch(key, 0, 5)].map(([start]) => start)
          for (const [{ key: id, start, end }] of session.findSessions(key, 0, timestamp)) context.commit() ?? [id.length, start + end]
          const amount: number | undefined = version.get(key, timestamp - 5)?.value.amount
          const topic: string | undefined = context.recordMetadata()?.topic
          void [text, starts, amount, topic, byName.get(key)?.toFixed(), onlyRead.all()]

          // @ts-expect-error the store holds numbers, not text
          total.put(key, 'five')
          // @ts-expect-error keys of the store are text
          total.get(5)
          // @ts-expect-error a store that is only read has no put
          onlyRead.put(key, 5)
          // @ts-expect-error a window store is not asked for a key alone
          window.get(key)
          // @ts-expect-error a start is a number, not a text
          window.put(key, 'text', '5m')
          // @ts-expect-error a version has a timestamp of its own
          version.put(key, value)
          // @ts-expect-error a session has a start and an end
          session.put({ key }, 'text')
          // @ts-expect-error a row may not be there
          total.get(key).toFixed()
          // @ts-expect-error what is forwarded is the stream's value
          context.forward({ key, value: 5, timestamp })
          // @ts-expect-error what is forwarded has a timestamp
          context.forward({ key, value })
          // @ts-expect-error this processor has no outputs by name
          context.forward({ key, value, timestamp }, 'late')
          // @ts-expect-error a timer runs on stream time or on the wall clock
          context.schedule('1m', 'clock', () => {})
        },
      }
    },
    { stores: [totals, windows, sessions, versions] },
  )

  // The stores of tables: typed by the table, or by what is said of a name.
  const products = readOnly(t.table('products', { key: string(), value: json<Order>(), store: 'products' }))
  const rates = readOnly(t.globalTable('rates', { key: string(), value: json<number>(), store: 'rates' }))
  orders.process(
    (context) => ({
      process({ key, timestamp }) {
        const id: string | undefined = context.store(products).get(key)?.id
        const rate: number | null = context.store(rates).get(key)
        const row = context.store<ReadOnlyKeyValueStore<string, Order>>('products').get(key)
        // @ts-expect-error the table's rows are orders
        context.store(products).get(key)?.name
        // @ts-expect-error a table is only read
        context.store(products).put(key, null)
        // @ts-expect-error its keys are text
        context.store(rates).get(5)
        context.forward({ key, value: { id: id ?? '', amount: rate ?? row?.amount ?? 0 }, timestamp })
      },
    }),
    { stores: [products, rates] },
  )
  t.stream('begun', { offsetReset: 'none' })

  // @ts-expect-error processValues keeps the key: it takes no key serde
  orders.processValues((context) => ({ process: (record) => context.forward(record) }), { key: string() })
  // @ts-expect-error a processor has a process function
  orders.process(() => ({}))
  // @ts-expect-error stores are what t.store gave
  orders.process(() => ({ process() {} }), { stores: [keyValue({ name: 'x', key: string() })] })
  // @ts-expect-error the serde writes text, the processor forwards numbers
  orders.process<string, number>(() => ({ process() {} }), { value: string() })
  // @ts-expect-error processValues can't forward another type of key
  orders.processValues((context) => ({ process: ({ value, timestamp }) => context.forward({ key: 5, value, timestamp }) }))
  // @ts-expect-error a window store needs a size
  window({ name: 'w', retention: '1h' })
  // @ts-expect-error a store has a name
  keyValue({ key: string() })
})
