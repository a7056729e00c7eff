// The shop, in front of it all: keeps its orders and deliveries in a database of its own, an SQLite file, and says in the same transaction what happened, in
// the table `outbox`. `millrace outbox` relays that to the topics. There is no moment at which an order is there and its event is not.
//   node topologies/orders/shop.ts shop.db < orders.ndjson
//
// 1. The row that an event is about is written before the event: in PostgreSQL that is what puts the events of a key in the order of their commits.
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { outboxDdl } from 'millrace'
import type { OrderPlaced, Stocked } from './events.ts'

export interface Happened {
  readonly topic: string
  readonly key: string
  readonly value: unknown
}

export interface Shop {
  /** An order that comes twice is one order; it is told of twice, and those who hear it drop it. */
  place(happened: Happened): void
  close(): void
}

export function openShop(file: string): Shop {
  const database = new DatabaseSync(file)
  database.exec('PRAGMA journal_mode = WAL')
  const isNew = database.prepare(`SELECT name FROM sqlite_schema WHERE name = 'outbox'`).get() === undefined
  if (isNew)
    database.exec(`BEGIN; ${outboxDdl('sqlite', 'outbox')}
      CREATE TABLE orders (id TEXT PRIMARY KEY, customer TEXT NOT NULL, sku TEXT NOT NULL, count INTEGER NOT NULL, cents INTEGER NOT NULL);
      CREATE TABLE deliveries (id TEXT PRIMARY KEY, sku TEXT NOT NULL, count INTEGER NOT NULL);
      COMMIT`)
  const order = database.prepare('INSERT INTO orders VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING')
  const delivery = database.prepare('INSERT INTO deliveries VALUES (?, ?, ?) ON CONFLICT DO NOTHING')
  const event = database.prepare('INSERT INTO outbox (topic, key, value) VALUES (?, ?, ?)')
  const keep = ({ topic, key, value }: Happened): void => {
    if (topic === 'stock') {
      const { id, count } = value as Stocked
      delivery.run(id, key, count)
    } else if (topic === 'orders') {
      const { id, customer, sku, count, cents } = value as OrderPlaced
      order.run(id, customer, sku, count, cents)
    } else throw new Error(`the shop has orders and stock, no ${topic}`)
  }
  return {
    place(happened) {
      database.exec('BEGIN IMMEDIATE')
      try {
        keep(happened)
        event.run(happened.topic, happened.key, JSON.stringify(happened.value))
        database.exec('COMMIT')
      } catch (error) {
        database.exec('ROLLBACK')
        throw error
      }
    },
    close: () => database.close(),
  }
}

if (import.meta.main) {
  const shop = openShop(process.argv[2] ?? 'shop.db')
  for await (const line of createInterface({ input: process.stdin })) if (line.trim() !== '') shop.place(JSON.parse(line) as Happened)
  shop.close()
}
