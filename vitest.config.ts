// Tests run from the sources, nothing is built. `import 'millrace'` in a test or a topology is this package itself.
// Kafka and package suites are asked for by name in the environment: they need a broker or the network.
import { fileURLToPath } from 'node:url'
import { configDefaults, defineConfig } from 'vitest/config'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
/** Whose cases are more at a merge (test/support/tier.ts); the seeds are run by themselves, on all cores. */
const MERGE = [
  'test/sim/{tapes,faults}.test.ts',
  'test/crash/*.test.ts',
  'test/log/embedded-{damage,kill,reopen}.test.ts',
  'test/operators/*.property.test.ts',
  'test/operators/every-step.test.ts',
  'test/joins/*.property.test.ts',
  'test/windows/*.property.test.ts',
  'test/{async,hold}/*.property.test.ts',
  'test/async/sim.test.ts',
  'test/app/queries.test.ts',
  'test/topologies/{catalog,catalog-saves,dead-letters,engagements,orders,pipeline,scenario,wallet}.test.ts',
  'test/runtime/{borrowed-stores,buffering-join,dedupe,faults,process.property,rebalance}.test.ts',
]
const asked = (name: string): boolean => process.env[name] === '1'

export default defineConfig({
  resolve: {
    alias: [
      { find: /^millrace\/testing$/, replacement: here('src/testing/index.ts') },
      { find: /^millrace$/, replacement: here('src/index.ts') },
    ],
  },
  test: {
    include: process.env.MILLRACE_TIER === 'merge' ? MERGE : ['test/**/*.test.ts'],
    exclude: [
      ...configDefaults.exclude,
      ...(asked('MILLRACE_KAFKA') ? [] : ['test/kafka/**']),
      ...(asked('MILLRACE_PACKAGE') ? [] : ['test/package/**']),
    ],
    testTimeout: process.env.MILLRACE_TIER === 'merge' ? 600_000 : 20_000,
    maxWorkers: 2,
  },
})
