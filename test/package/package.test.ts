// What others get: a clean clone after `npm ci`, and the packed tarball in an empty project. Works on a copy of the tree; needs the
// npm registry (or its cache). Asked for with MILLRACE_PACKAGE=1.
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { COUNT, node, ownEnvironment, root } from '../cli/binary.ts'

const MINUTES = 60_000
let folder: string
let clone: string
let project: string
let tarball: string

interface Said {
  readonly status: number | null
  readonly out: string
  readonly err: string
}

/** With Node 24 first in the path, as a user has it. */
function sh(command: string, cwd: string, input = ''): Said {
  const env: NodeJS.ProcessEnv = { ...process.env, PATH: `${dirname(node)}:${process.env.PATH}` }
  for (const name of Object.keys(env)) if (name.startsWith('npm_') || name.startsWith('MILLRACE_')) delete env[name]
  const { status, stdout, stderr } = spawnSync(command, { cwd, env, input, shell: true, encoding: 'utf8', timeout: 5 * MINUTES })
  return { status, out: stdout, err: stderr }
}

function done(command: string, cwd: string, input = ''): string {
  const said = sh(command, cwd, input)
  expect(said.status, `${command}\n${said.out}\n${said.err}`).toBe(0)
  return said.out
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-package-'))
  clone = join(folder, 'clone')
  const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8' })
  for (const file of files.split('\0').filter((path) => path !== '' && existsSync(join(root, path)))) {
    mkdirSync(dirname(join(clone, file)), { recursive: true })
    cpSync(join(root, file), join(clone, file))
  }
  done('git init -q . && git add -A && git -c user.name=t -c user.email=t@example.org commit -qm all', clone)
  done('npm ci --prefer-offline --no-audit --no-fund', clone)
}, 6 * MINUTES)

afterAll(() => rmSync(folder, { recursive: true, force: true }), 3 * MINUTES)

describe('a clean clone after npm ci', () => {
  test(
    'npx millrace works without a build, also under the Node that is there',
    () => {
      expect(existsSync(join(clone, 'dist'))).toBe(false)
      const { version } = JSON.parse(readFileSync(join(clone, 'package.json'), 'utf8')) as { version: string }
      expect(done('npx millrace --version', clone)).toBe(`${version}\n`)
      const others = ['/usr/local/bin/node', '/usr/bin/node'].filter((path) => existsSync(path))
      for (const other of others) expect(done(`${other} bin/millrace.js --version`, clone)).toBe(`${version}\n`)
    },
    MINUTES,
  )

  test(
    'npm scripts run on Node 24',
    () => {
      expect(done('npm exec -c "node --version"', clone)).toMatch(/^v24\./)
    },
    MINUTES,
  )
})

describe('the tarball', () => {
  beforeAll(() => {
    done(`npm pack --pack-destination ${folder}`, clone)
    tarball = join(folder, readdirSync(folder).find((name) => name.endsWith('.tgz')) as string)
    project = join(folder, 'project')
    mkdirSync(project)
    writeFileSync(join(project, 'package.json'), '{"name":"empty","private":true,"type":"module"}\n')
    // Nothing that it depends on needs to run anything when it is installed.
    done(`npm install --ignore-scripts --prefer-offline --no-audit --no-fund ${tarball}`, project)
    writeFileSync(join(project, 'count.ts'), COUNT)
  }, 5 * MINUTES)

  test('packing leaves the tree as it was', () => {
    expect(done('git status --porcelain', clone)).toBe('')
  })
  test(
    'an interrupted pack is undone by restore, and by the next one',
    () => {
      done('node scripts/pack.ts publish', clone)
      expect(done('git status --porcelain', clone)).toContain('package.json')
      done('node scripts/pack.ts restore', clone)
      expect(done('git status --porcelain', clone)).toBe('')
      done(
        'node scripts/pack.ts publish && node scripts/pack.ts publish && node scripts/pack.ts restore && node scripts/pack.ts restore',
        clone,
      )
      expect(done('git status --porcelain', clone)).toBe('')
    },
    3 * MINUTES,
  )
  test('holds what is published and nothing else', () => {
    const names = done(`tar -tzf ${tarball}`, folder).trim().split('\n')
    for (const name of [
      'LICENSE',
      'package.json',
      'bin/millrace.js',
      'dist/index.js',
      'dist/index.d.ts',
      'dist/cli.js',
      'dist/testing/index.d.ts',
      'dist/server/page/index.html',
      'dist/server/page/page.css',
      'dist/server/page/main.js',
    ])
      expect(names).toContain(`package/${name}`)
    expect(
      names.filter(
        (name) =>
          !/^package\/(bin\/|dist\/.*\.(js|d\.ts)$|dist\/server\/page\/[a-z]+\.(html|css)$|README\.md$|CHANGELOG\.md$|LICENSE$|package\.json$)/.test(
            name,
          ),
      ),
    ).toEqual([])
  })
  test(
    'npx millrace try',
    () => {
      const out = done('npx millrace try count.ts', project, '{"topic":"in","key":"a","value":"x","timestamp":1}\n')
      expect(out).toBe('{"topic":"out","key":"a","value":1,"timestamp":1}\n')
    },
    MINUTES,
  )
  test(
    'produce and query on the embedded log',
    () => {
      done('npx millrace produce --state-dir state --topology count.ts', project, '{"topic":"in","key":"a","value":"x","timestamp":1}\n')
      expect(done('npx millrace consume in --state-dir state', project)).toBe('{"topic":"in","key":"a","value":"x","timestamp":1}\n')
    },
    MINUTES,
  )
  test(
    'init makes a project that passes its test and its type check, in an empty directory',
    () => {
      const empty = join(folder, 'empty')
      mkdirSync(empty)
      done(`npx --yes --package ${tarball} millrace init shop`, empty)
      const shop = join(empty, 'shop')
      done(`npm install --prefer-offline --no-audit --no-fund ${tarball}`, shop)
      expect(done('npm test', shop)).toMatch(/pass 1\b/)
      // It is one that can fail.
      const topology = join(shop, 'topologies/latest.ts')
      const text = readFileSync(topology, 'utf8')
      writeFileSync(topology, text.replace('event.version,', '-event.version,'))
      expect(sh('npm test', shop).status).not.toBe(0)
      writeFileSync(topology, text)
      done('npm run types', shop)
      expect(done('npx millrace describe topologies/latest.ts', shop)).toContain('listed')
    },
    4 * MINUTES,
  )
  /** Runs the binary while `use` looks at what it says; then it is stopped. */
  async function whileRunning(words: readonly string[], env: NodeJS.ProcessEnv, use: (said: () => string) => Promise<void>): Promise<void> {
    const running = spawn(node, ['node_modules/millrace/bin/millrace.js', ...words], {
      cwd: project,
      env: { ...ownEnvironment(), ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const ended = new Promise<number | null>((resolve) => running.once('close', resolve))
    let said = ''
    running.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    try {
      await use(() => said)
    } finally {
      running.kill('SIGTERM')
    }
    expect(await ended, said).toBe(0)
  }
  test(
    'the live page',
    async () => {
      await whileRunning(['dev', 'count.ts', '--ephemeral', '--port', '0', '--json'], {}, async (said) => {
        await expect.poll(said, { timeout: 30_000 }).toMatch(/"page":.*"msg":"live page"/)
        const page = /"page":"([^"]+)"/.exec(said())?.[1] as string
        expect(await (await fetch(page)).text()).toBe(readFileSync(join(clone, 'src/server/page/index.html'), 'utf8'))
      })
    },
    MINUTES,
  )
  test(
    "spans of run go to the project's own OpenTelemetry, loaded by NODE_OPTIONS",
    async () => {
      const { devDependencies: versions } = JSON.parse(readFileSync(join(clone, 'package.json'), 'utf8')) as {
        devDependencies: Readonly<Record<string, string>>
      }
      const packages = ['@opentelemetry/api', '@opentelemetry/sdk-trace-base'].map((name) => `${name}@${versions[name]}`)
      done(`npm install --ignore-scripts --prefer-offline --no-audit --no-fund ${packages.join(' ')}`, project)
      const spans = join(project, 'spans')
      writeFileSync(
        join(project, 'telemetry.js'),
        `import { appendFileSync } from 'node:fs'
import { trace } from '@opentelemetry/api'
import { BasicTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
const exporter = {
  export(all, done) {
    for (const { name } of all) appendFileSync(${JSON.stringify(spans)}, name + '\\n')
    done({ code: 0 })
  },
  async shutdown() {},
}
trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }))
`,
      )
      done('npx millrace produce --state-dir traced --topology count.ts', project, '{"topic":"in","key":"a","value":"x","timestamp":1}\n')
      const seen = (): readonly string[] =>
        existsSync(spans) ? [...new Set(readFileSync(spans, 'utf8').trim().split('\n'))].toSorted() : []
      await whileRunning(['run', 'count.ts', '--state-dir', 'traced'], { NODE_OPTIONS: '--import ./telemetry.js' }, async () => {
        await expect.poll(seen, { timeout: 30_000 }).toEqual(['commit count', 'epoch count', 'process in'])
      })
    },
    2 * MINUTES,
  )
  test('its own import is the same package as the binary', () => {
    writeFileSync(
      join(project, 'own.mjs'),
      "import { StreamProcessor, topology } from 'millrace'\nimport { TopologyTestDriver } from 'millrace/testing'\nconsole.log(typeof StreamProcessor, typeof topology, typeof TopologyTestDriver)\n",
    )
    expect(done('node own.mjs', project)).toBe('function function function\n')
  })
  test(
    'types resolve in strict mode, and a wrong one does not compile',
    () => {
      const tsc = join(clone, 'node_modules/typescript/bin/tsc')
      const options = { strict: true, noEmit: true, target: 'es2024', module: 'nodenext', skipLibCheck: false }
      writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: ['count.ts', 'use.ts'] }))
      const use = (value: string): void =>
        writeFileSync(
          join(project, 'use.ts'),
          `import { StreamProcessor, json, string, topology } from 'millrace'\nimport { TopologyTestDriver } from 'millrace/testing'
const shop = topology('shop', (t) => {
  t.stream('in', { key: string(), value: json<{ n: number }>() }).mapValues((value) => value.${value}.toFixed(1)).to('out', { key: string(), value: string() })
})
export const app = new StreamProcessor(shop, { guarantee: 'exactly_once' })
export const driver = new TopologyTestDriver(shop)
`,
        )
      use('n')
      expect(sh(`node ${tsc} -p .`, project)).toMatchObject({ status: 0, out: '' })
      use('m')
      expect(sh(`node ${tsc} -p .`, project).out).toContain("Property 'm' does not exist")
    },
    MINUTES,
  )
})
