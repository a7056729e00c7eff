// The workloads that stream processors are compared by (W1 to W6), as a user of millrace would write them.
import { json, string, type Topology, topology, tumbling } from 'millrace'

/** A versioned event; `t` (microseconds, when it was sent) only in W6. */
export interface Event {
  id: string
  version: number
  op: 'upsert' | 'delete'
  name: string
  price: number
  currency: string
  stock: number
  description: string
  categoryId?: string
  t?: number
}
export interface User {
  id: string
  name: string
  country: string
  tier: number
}
export interface Order {
  orderId: string
  userId: string
  productId: string
  quantity: number
  unitPrice: number
  currency: string
}

/** The topics of a workload by the names of its inputs, and `output`. */
export type Topics = Readonly<Record<string, string>>

const LATEST = { version: (event: Event) => event.version, deleted: (event: Event) => event.op === 'delete' } as const

function topicOf(topics: Topics, name: string): string {
  const topic = topics[name]
  if (topic === undefined) throw new Error(`the workload needs a topic for ${name}`)
  return topic
}

function newest(topics: Topics): Topology {
  return topology('newest', (t) => {
    t.stream(topicOf(topics, 'events'), { key: string(), value: json<Event>() })
      .lastWriteWins({ store: 'latest', ...LATEST })
      .toStream()
      .to(topicOf(topics, 'output'), { key: string(), value: json() })
  })
}

function catalog(topics: Topics): Topology {
  return topology('catalog', (t) => {
    const newestOf = (name: string) =>
      t.stream(topicOf(topics, name), { key: string(), value: json<Event>() }).lastWriteWins({ store: name, ...LATEST })
    const categories = newestOf('categories')
    newestOf('products')
      .join(
        categories,
        (product) => product.categoryId ?? null,
        (product, category) => ({ ...product, category: category.name }),
      )
      .toStream()
      .to(topicOf(topics, 'output'), { key: string(), value: json() })
  })
}

function enrichCount(topics: Topics): Topology {
  return topology('enrich-count', (t) => {
    const users = t.table(topicOf(topics, 'users'), { key: string(), value: json<User>(), store: 'users' })
    t.stream(topicOf(topics, 'orders'), { key: string(), value: json<Order>() })
      .join(users, (order, user) => ({ ...order, country: user.country, tier: user.tier }))
      .groupBy((order) => order.productId, { key: string() })
      .windowedBy(tumbling('1m', { grace: '24h' }))
      .count({ store: 'counts' })
      .toStream()
      .map((count, { key, start }) => [`${key}@${start}`, { productId: key, windowStart: start, count }], { key: string() })
      .to(topicOf(topics, 'output'), { key: string(), value: json() })
  })
}

function stateless(topics: Topics): Topology {
  return topology('stateless', (t) => {
    t.stream(topicOf(topics, 'orders'), { key: string(), value: json<Order>() })
      .filter((order) => order.unitPrice >= 2090)
      .mapValues(({ orderId, userId, productId, quantity, unitPrice, currency }) => ({
        orderId,
        userId,
        productId,
        total: quantity * unitPrice,
        currency,
      }))
      .to(topicOf(topics, 'output'), { key: string(), value: json() })
  })
}

export const WORKLOADS: Readonly<Record<string, (topics: Topics) => Topology>> = {
  W1: newest,
  W2: catalog,
  W3: enrichCount,
  W4: stateless,
  W5: newest,
  W6: newest,
}
