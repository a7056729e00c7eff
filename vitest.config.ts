// Tests run from the sources, nothing is built. `import 'millrace'` in a test or a topology is this package itself.
// Kafka, package and page suites are asked for by name in the environment: they need a broker, the network or a browser.
// With MILLRACE_TIER=merge only those files run that have more cases then, and `*.merge.test.ts`, which run at no other time.
import { globSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { configDefaults, defineConfig } from 'vitest/config'
import { LongestFirst } from './test/support/longest-first.ts'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const asked = (name: string): boolean => process.env[name] === '1'
const outside = ['MILLRACE_KAFKA', 'MILLRACE_PACKAGE', 'MILLRACE_PAGE'].some(asked)
const merge = process.env.MILLRACE_TIER === 'merge'
const ofMerge = (): string[] =>
  globSync('test/**/*.test.ts', { cwd: here('.') }).filter(
    (file) => file.endsWith('.merge.test.ts') || readFileSync(here(file), 'utf8').includes("/support/tier.ts'"),
  )

export default defineConfig({
  resolve: {
    alias: [
      { find: /^millrace\/testing$/, replacement: here('src/testing/index.ts') },
      { find: /^millrace$/, replacement: here('src/index.ts') },
    ],
  },
  test: {
    include: merge ? ofMerge() : ['test/**/*.test.ts'],
    exclude: [
      ...configDefaults.exclude,
      ...(merge ? [] : ['test/**/*.merge.test.ts']),
      ...(asked('MILLRACE_KAFKA') ? [] : ['test/kafka/**']),
      ...(asked('MILLRACE_PACKAGE') ? [] : ['test/package/**']),
      ...(asked('MILLRACE_PAGE') ? [] : ['test/page/**']),
    ],
    // What the many processes that are started here compile is compiled once.
    env: { NODE_COMPILE_CACHE: join(tmpdir(), 'millrace-test-compile-cache') },
    setupFiles: ['unpolluted', 'seed', ...(merge ? ['merge'] : [])].map((name) => here(`test/support/${name}.ts`)),
    ...(merge ? { globalSetup: [here('test/support/tell-bars.ts')] } : {}),
    // Node itself loads the sources, as it does outside of tests: by Vite's own loader they run an eighth longer.
    experimental: { viteModuleRunner: outside },
    // The many small files share processes, and what is loaded in them: 0.4 s of a core each. So a test leaves nothing behind in its process,
    // and mocks no module: another file may have loaded it before.
    isolate: outside || merge,
    sequence: { sequencer: LongestFirst },
    testTimeout: merge ? 600_000 : 20_000,
    maxWorkers: asked('MILLRACE_KAFKA') ? 2 : 3, // of two cores: the longest ones wait for processes much of their time
  },
})
