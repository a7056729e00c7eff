// Tests run from the sources, nothing is built. `import 'millrace'` in a test or a topology is this package itself.
// Kafka and package suites are asked for by name in the environment: they need a broker or the network.
import { fileURLToPath } from 'node:url'
import { configDefaults, defineConfig } from 'vitest/config'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const asked = (name: string): boolean => process.env[name] === '1'

export default defineConfig({
  resolve: {
    alias: [
      { find: /^millrace\/testing$/, replacement: here('src/testing/index.ts') },
      { find: /^millrace$/, replacement: here('src/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [
      ...configDefaults.exclude,
      ...(asked('MILLRACE_KAFKA') ? [] : ['test/kafka/**']),
      ...(asked('MILLRACE_PACKAGE') ? [] : ['test/package/**']),
    ],
    testTimeout: 20_000,
    maxWorkers: 2,
  },
})
