// The files of a new project, as text. A test makes the project, installs the package and runs what is said here.

/** By their paths. */
export function projectFiles(name: string, version: string): Readonly<Record<string, string>> {
  return {
    'package.json': `${JSON.stringify(manifest(name, version), null, 2)}\n`,
    'tsconfig.json': `${JSON.stringify(TSCONFIG, null, 2)}\n`,
    '.gitignore': 'node_modules/\n.millrace/\nstate/\n',
    'README.md': README.replaceAll('NAME', name),
    'topologies/latest.ts': TOPOLOGY.replaceAll('NAME', name),
    'test/latest.test.ts': TEST,
  }
}

function manifest(name: string, version: string): object {
  return {
    name,
    version: '0.1.0',
    private: true,
    type: 'module',
    engines: { node: '>=24' },
    scripts: {
      dev: 'millrace dev topologies/latest.ts',
      describe: 'millrace describe topologies/latest.ts',
      test: 'node --test',
      types: 'tsc -p .',
    },
    dependencies: { millrace: `^${version}` },
    devDependencies: { 'fast-check': '^4.0.0', typescript: '>=5.8.0' },
  }
}

const TSCONFIG = {
  compilerOptions: {
    target: 'es2024',
    lib: ['es2024', 'esnext.disposable'],
    module: 'nodenext',
    types: ['node'],
    strict: true,
    noUncheckedIndexedAccess: true,
    erasableSyntaxOnly: true,
    verbatimModuleSyntax: true,
    allowImportingTsExtensions: true,
    skipLibCheck: true,
    noEmit: true,
  },
  include: ['topologies', 'test'],
}

const TOPOLOGY = `// Products with the names of their categories, right in whatever order the events come. Both topics carry versioned events, keyed
// by the id; a delete is an event, too.
import { json, string, topology } from 'millrace'

interface Versioned {
  version: number
  op: 'upsert' | 'delete'
}
export interface CategoryEvent extends Versioned {
  name: string
}
export interface ProductEvent extends Versioned {
  name: string
  categoryId: string
}
export interface Listed {
  name: string
  category: string
}

const latest = { version: (event: Versioned) => event.version, deleted: (event: Versioned) => event.op === 'delete' }

export default topology('NAME', (t) => {
  const categories = t
    .stream('categories', { key: string(), value: json<CategoryEvent>() })
    .lastWriteWins({ store: 'categories', ...latest })

  t.stream('products', { key: string(), value: json<ProductEvent>() })
    .lastWriteWins({ store: 'products', ...latest })
    .join(
      categories,
      (product) => product.categoryId,
      (product, category): Listed => ({ name: product.name, category: category.name }),
      { store: 'listed' },
    )
    .toStream()
    .to('listed', { key: string(), value: json<Listed>() })
})
`

const TEST = `// The table must not depend on the order of arrival: the events come mixed, twice and late, on one partition and on several, and the
// processor crashes in between.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { delayed, duplicated, interleavings, TopologyTestDriver } from 'millrace/testing'
import topology, { type CategoryEvent, type ProductEvent } from '../topologies/latest.ts'

interface Arrival {
  topic: string
  key: string
  value: CategoryEvent | ProductEvent
}
const category = (key: string, version: number, name: string): Arrival => ({
  topic: 'categories',
  key,
  value: { version, op: 'upsert', name },
})
const product = (key: string, version: number, name: string, categoryId: string, op: ProductEvent['op'] = 'upsert'): Arrival => ({
  topic: 'products',
  key,
  value: { version, op, name, categoryId },
})

const categories = [category('home', 1, 'Home'), category('garden', 1, 'Garden'), category('home', 2, 'House')]
const products = [
  product('p1', 1, 'Lamp', 'garden'),
  product('p1', 2, 'Lamp', 'home'),
  product('p2', 1, 'Rake', 'garden'),
  product('p2', 2, 'Rake', 'garden', 'delete'),
  product('p3', 1, 'Hose', 'garden'),
]

test('any order of arrival gives the same table', async () => {
  const arrivals = delayed(duplicated(interleavings([categories, products])))
  await fc.assert(
    fc.asyncProperty(arrivals, fc.integer({ min: 1, max: 3 }), fc.nat(), async (events, partitions, crashAt) => {
      await using driver = new TopologyTestDriver(topology, { partitions })
      for (const [i, { topic, key, value }] of events.entries()) {
        if (i === crashAt % events.length) await driver.crash()
        await driver.input(topic).pipe({ key, value })
      }
      assert.deepEqual(Object.fromEntries(driver.output('listed').readTable()), {
        p1: { name: 'Lamp', category: 'House' },
        p3: { name: 'Hose', category: 'Garden' },
      })
    }),
    { numRuns: 100 },
  )
})
`

const README = `# NAME

\`topologies/latest.ts\` is a topology for millrace. Its test, \`test/latest.test.ts\`, mixes, repeats and delays the events.

    npm install
    npm test
    npm run dev

\`npm run dev\` runs it on an embedded log, with nothing else installed, says where its live page is, and starts it anew when the file changes. In a second terminal:

    echo '{"topic":"categories","key":"home","value":{"version":1,"op":"upsert","name":"Home"}}' | npx millrace produce --state-dir .millrace/NAME
    echo '{"topic":"products","key":"p1","value":{"version":1,"op":"upsert","name":"Lamp","categoryId":"home"}}' | npx millrace produce --state-dir .millrace/NAME
    npx millrace consume listed --state-dir .millrace/NAME
    npx millrace query products p1 --state-dir .millrace/NAME

On Kafka: \`npx millrace run topologies/latest.ts --brokers localhost:9092\`, with the topics categories, products and listed made before.
`
