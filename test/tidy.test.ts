// Keeps the house: rooms and their imports, sizes, words, and where time and chance come from.
// The rules are first shown to bite on snippets, then run over the tree.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import * as rules from './tidy/rules.ts'
import { bareCode, importsOf } from './tidy/source.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const IGNORED = new Set(['node_modules', '.git', 'dist', 'coverage', '.millrace', '.state', 'tmp'])

function walk(folder: string): string[] {
  return readdirSync(`${root}${folder}`, { withFileTypes: true }).flatMap((entry) => {
    if (IGNORED.has(entry.name)) return []
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    return entry.isDirectory() ? walk(path) : [path]
  })
}

const read = (path: string): rules.SourceFile => ({ path, text: readFileSync(`${root}${path}`, 'utf8') })
const text = walk('').filter((path) => /\.(ts|js|mjs|json|md|sh|txt|yml)$|^\.ci\//.test(path) && !path.endsWith('package-lock.json'))
const files = text.map(read)
const code = files.filter((file) => /^(src|test|bench|scripts|bin|topologies)\/.*\.(ts|js)$/.test(file.path))
const src = code.filter((file) => file.path.startsWith('src/'))
const each = (of: readonly rules.SourceFile[], rule: (file: rules.SourceFile) => readonly string[]): string[] =>
  of.flatMap((file) => [...rule(file)])

describe('the tree', () => {
  test('there is something to look at', () => expect(src.length).toBeGreaterThan(10))
  test('rooms import what the table allows', () => expect(each(src, rules.wrongImports)).toEqual([]))
  test('every file lies in a room', () => expect(rules.unknownRooms(src, ['app', 'cli', 'config', 'index'])).toEqual([]))
  test('time, timers, chance and console come through their ports', () => expect(each(src, rules.bannedGlobals)).toEqual([]))
  test('names say something', () => expect(each(code, rules.bannedNames)).toEqual([]))
  test('nothing switched off, nothing of one machine', () => expect(each(files, rules.bannedWords)).toEqual([]))
  test('a file opens with what it is for', () => expect(each(src, rules.noOpening)).toEqual([]))
  test('no file over 500 lines', () => expect(rules.tooLong(code)).toEqual([]))
  test('the median of src is at most 120 lines', () => expect(rules.medianLines(src)).toBeLessThanOrEqual(120))
})

const at = (path: string, snippet: string): rules.SourceFile => ({ path, text: snippet })

describe('imports', () => {
  const bad = (path: string, snippet: string): void => expect(rules.wrongImports(at(path, snippet)), snippet).toHaveLength(1)
  const good = (path: string, snippet: string): void => expect(rules.wrongImports(at(path, snippet)), snippet).toEqual([])

  test('against the arrows', () => {
    bad('src/base/a.ts', "import { x } from '../serde/serde.ts'")
    bad('src/dsl/a.ts', "import { x } from '../runtime/task.ts'")
    bad('src/operators/a.ts', "import type { L } from '../log/log.ts'")
    bad('src/operators/a.ts', "export * from '../state/memory.ts'")
    bad('src/barrier/a.ts', "import { m } from '../log/memory.ts'")
    bad('src/assignment/a.ts', "import { d } from '../topology/describe.ts'")
    bad('src/runtime/a.ts', "const d = await import('../dsl/index.ts')")
    bad('src/topology/a.ts', "import { json } from '../serde/json.ts'")
    bad('src/log/a.ts', "import { e } from './embedded/index.ts'")
    bad('src/log/kafka/a.ts', "import { e } from '../embedded/index.ts'")
    bad('src/server/a.ts', "import { k } from '../log/kafka/index.ts'")
    bad('src/cli/run.ts', "import { k } from '../state/leveldb.ts'")
    bad('src/runtime/a.ts', "import { k } from '../state/leveldb.ts'")
    bad('src/serde/a.ts', "import '../../test/x.ts'")
    bad('src/serde/a.ts', "import { x } from './json'")
    bad('src/server/page/a.js', "import { x } from '../guard.ts'")
    bad('src/server/page/a.js', "import { x } from 'https://example.org/x.js'")
  })
  test('along the arrows', () => {
    good('src/base/a.ts', "import { x } from './b.ts'")
    good('src/server/page/a.js', "import { x } from './dom.js'")
    good('src/topology/a.ts', "import type { Serde } from '../serde/serde.ts'")
    good('src/operators/a.ts', "import { o } from '../state/overlay.ts'")
    good('src/log/kafka/a.ts', "import type { Log } from '../log.ts'\nimport { b } from './batch.ts'")
    good('src/runtime/a.ts', "import { c } from '../assignment/assign.ts'\nimport { m } from '../state/memory.ts'")
    good('src/state/provider.ts', "import { l } from './leveldb.ts'")
    good('src/app.ts', "import { k } from './log/kafka/index.ts'\nimport { l } from './state/leveldb.ts'")
    good('test/a.test.ts', "import { k } from '../src/log/kafka/index.ts'")
  })
  test('packages and modules', () => {
    bad('src/runtime/a.ts', "import { Level } from 'level'")
    bad('src/log/a.ts', "import { Base } from '@platformatic/kafka'")
    bad('src/runtime/a.ts', "import lodash from 'lodash'")
    bad('src/dsl/a.ts', "import { readFileSync } from 'node:fs'")
    bad('src/barrier/a.ts', "import { connect } from 'node:net'")
    bad('src/runtime/a.ts', "import { randomUUID } from 'node:crypto'")
    bad('src/runtime/a.ts', "import { setTimeout as sleep } from 'node:timers/promises'")
    good('src/state/a.ts', "import { Level } from 'level'\nimport { mkdirSync } from 'node:fs'")
    good('src/log/kafka/a.ts', "import { Base } from '@platformatic/kafka'")
    good('src/topology/a.ts', "import { createHash } from 'node:crypto'")
    good('src/base/system.ts', "import { randomBytes } from 'node:crypto'")
  })
  test('are read from code, not from text', () => {
    const snippet =
      "// import { a } from '../a.ts'\nconst t = `import { b } from '../b.ts'`\nimport d, { type e as f, g } from './h.ts'\nexport type { i } from './j.ts'"
    expect(importsOf(snippet)).toEqual([
      { specifier: './h.ts', typeOnly: false, names: ['e', 'g', 'default'] },
      { specifier: './j.ts', typeOnly: true, names: ['i'] },
    ])
  })
})

describe('code without its text', () => {
  test('comments, strings, templates and regular expressions', () => {
    const keeps = (snippet: string): string => bareCode(snippet).replace(/\s+/g, ' ').trim()
    expect(keeps('a() // b()')).toBe('a()')
    expect(keeps('a(/* b() */ c)')).toBe('a( c)')
    expect(keeps("a('b() // \\' c')")).toBe("a(' ')")
    expect(keeps('a(`b ${c({ d: `e ${f}` })} g`)')).toBe('a(` ${c({ d: ` ${f}` })} `)')
    expect(keeps('const r = /[/"]+/g, s = b() / c / 2')).toBe('const r = , s = b() / c / 2')
    expect(keeps('x = a / b // c')).toBe('x = a / b')
    expect(bareCode('/*\n\n*/a').split('\n')).toHaveLength(3)
  })
})

describe('globals', () => {
  test('time and chance are found', () => {
    for (const snippet of [
      'const t = Date.now()',
      'new Date()',
      'const d = new Date',
      'setTimeout(f, 1)',
      'const t = setInterval',
      'setImmediate(f)',
      'Math.random()',
      'performance.now()',
      'crypto.randomUUID()',
      'globalThis.Date.now()',
      'process.hrtime.bigint()',
      'AbortSignal.timeout(5)',
      'console.log(1)',
      '`${Date.now()}`',
    ]) {
      expect(rules.bannedGlobals(at('src/runtime/a.ts', snippet)), snippet).toHaveLength(1)
    }
  })
  test('what only looks like it is not', () => {
    for (const snippet of [
      'world.clock.now()',
      'new Date(ms)',
      "'Date.now()'",
      '// setTimeout(f)',
      'timers.setTimeout',
      'const mySetTimeout = 1',
      'clearTimeout(t)',
    ]) {
      expect(rules.bannedGlobals(at('src/runtime/a.ts', snippet)), snippet).toEqual([])
    }
    expect(rules.bannedGlobals(at('src/base/system.ts', 'Date.now()'))).toEqual([])
    expect(rules.bannedGlobals(at('src/cli/run.ts', 'console.log(1)'))).toEqual([])
    expect(rules.bannedGlobals(at('test/a.test.ts', 'Date.now()'))).toEqual([])
  })
})

describe('words', () => {
  test('that say nothing', () => {
    for (const snippet of [
      'class TaskManager {}',
      'const stringUtils = 1',
      'function helper() {}',
      'interface LogImpl {}',
      'type ServiceOptions = 1',
    ]) {
      expect(rules.bannedNames(at('src/runtime/a.ts', snippet)), snippet).toHaveLength(1)
    }
    expect(rules.bannedNames(at('src/runtime/task-helpers.ts', ''))).toHaveLength(1)
    for (const snippet of ['const implicit = 1', 'class Task {}', 'const utility = 1', 'const implement = 1']) {
      expect(rules.bannedNames(at('src/runtime/a.ts', snippet)), snippet).toEqual([])
    }
  })
  test('that switch something off', () => {
    const at2 = ['@ts', 'ignore'].join('-')
    const home = ['', 'home', 'me'].join('/')
    for (const snippet of [
      `// ${at2}`,
      'const a = b as any',
      ['describe', 'only("x")'].join('.'),
      ['vi', 'mock("./b.ts")'].join('.'),
      ['// TO', 'DO later'].join(''),
      `const p = '${home}'`,
    ]) {
      expect(rules.bannedWords(at('src/a.ts', snippet)), snippet).toHaveLength(1)
    }
    expect(rules.bannedWords(at('src/a.ts', 'const a = b as anything'))).toEqual([])
  })
})

describe('sizes', () => {
  test('a file over 500 lines, the median, the opening', () => {
    expect(rules.tooLong([at('src/a.ts', 'x\n'.repeat(501)), at('src/b.ts', 'x\n'.repeat(500))])).toHaveLength(1)
    expect(rules.medianLines([at('a', 'x\n'), at('b', 'x\n'.repeat(9)), at('c', 'x\n'.repeat(3))])).toBe(3)
    expect(rules.noOpening(at('src/a.ts', "import 'x'"))).toHaveLength(1)
    expect(rules.unknownRooms([at('src/utils/a.ts', ''), at('src/app.ts', '')], ['app'])).toHaveLength(1)
  })
})
