// Compile only: what is read of a running processor's stores, and what may not be asked. Each directive names the mistake.
import { StreamProcessor } from 'millrace'
import catalog from '../../topologies/catalog.ts'

interface Product {
  id: string
  price: number
}

const app = new StreamProcessor(catalog)
const products = app.store<string, Product>('products')
const price: number | undefined = products.get('p1')?.price
// @ts-expect-error read from outside: a row may not be there
products.get('p1').price
// @ts-expect-error read from outside: keys are text
products.get(5)
// @ts-expect-error read from outside: a running processor's stores are only read
products.put('p1', null)
for await (const [key, product] of products.range(null, 'p9', { reverse: true })) console.log(key.length + product.price + (price ?? 0))
for await (const [key] of products.prefix('p')) console.log(key.length)
// @ts-expect-error read from outside: a range has two ends; null is an open one
products.range('a')

const counts = app.windowStore<string, number>('counts')
const one: number | null = counts.fetch('a', 0)
for await (const [start, count] of counts.fetch('a', 0, 10)) console.log(start + count + (one ?? 0))
for await (const [{ key, start, end }, count] of counts.fetchAll(0, 10, { from: 'a', to: null }))
  console.log(key.length + start + end + count)
// @ts-expect-error read from outside: a window of a key has a start
counts.fetch('a')

const sessions = app.sessionStore<string, number>('sessions')
for await (const [{ key, start, end }, count] of sessions.findSessions('a', 0, 10)) console.log(key.length + start + end + count)
// @ts-expect-error read from outside: a session has a start and an end
sessions.get({ key: 'a' })

const versions = app.versionedStore<string, Product>('versions')
const held: Product | undefined = (await versions.get('p1', 5))?.value
for (const { value, timestamp } of await versions.versions('p1', 0, 10)) console.log((value?.price ?? 0) + timestamp + (held?.price ?? 0))
// @ts-expect-error read from outside: a version of a delete has no value
for (const { value } of await versions.versions('p1', 0, 10)) console.log(value.price)
