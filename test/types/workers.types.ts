// Compile only: how a processor with several workers is made.
import { StreamProcessor } from 'millrace'
import catalog from '../../topologies/catalog.ts'

const app = new StreamProcessor(catalog, {
  brokers: ['localhost:9092'],
  workers: 4,
  module: 'topologies/catalog.ts',
})

new StreamProcessor(catalog, { module: new URL('../../topologies/catalog.ts', import.meta.url) })
new StreamProcessor(catalog, { module: import.meta.url })
// @ts-expect-error a function does not cross
new StreamProcessor(catalog, { module: () => catalog })

const row: Promise<string | null> = app.store<string, string>('products').read('p1')
void row
