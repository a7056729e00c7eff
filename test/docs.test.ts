// What the documents say is so: their commands are typed, their code is checked and run, what they show is what is printed, and the
// files and functions that they name are there.
//
// 1. A command that is not typed here is in the table of test/docs/elsewhere.ts with what runs it; one that is in neither is an error.
// 2. A `ts` block is word for word in a file of the repository (it must be in the one that its first line names), or a program of its
//    own, which is run, or a piece of a topology's function, which is built, and played where records are shown (test/docs/play.ts).
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as millrace from 'millrace'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TopologyBuilder } from '../src/dsl/builder.ts'
import { GroupedStream } from '../src/dsl/grouped-stream.ts'
import { Stream } from '../src/dsl/stream.ts'
import { Table } from '../src/dsl/table.ts'
import { node, root } from './cli/binary.ts'
import { type Block, blocksOf, commandsOf, looksLike, quotedWords } from './docs/blocks.ts'
import { ELSEWHERE, isKafka, KAFKA_COVER } from './docs/elsewhere.ts'
import { openShell, type Shell } from './docs/shell.ts'
import { checkTypes, errorsIn } from './types/tsc.ts'

const DOCUMENTS = [
  'README.md',
  'topologies/README.md',
  'docs/ordering.md',
  'docs/outbox.md',
  'CONTRIBUTING.md',
  'src/README.md',
  'docs/operations.md',
  'docs/cli.md',
  'docs/live-page.md',
  'docs/runbook.md',
  'docs/security.md',
  'docs/deployment.md',
  'docs/schema-registry.md',
  'docs/dsl.md',
  'docs/reliability.md',
  'docs/from-kafka-streams.md',
  'topologies/catalog/README.md',
  'topologies/wallet/README.md',
  'topologies/orders/README.md',
  'topologies/engagements/README.md',
  'topologies/pipeline/README.md',
]
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const documents = DOCUMENTS.map((path) => ({ path, text: read(path), blocks: blocksOf(read(path)) }))

const sources = ['topologies', 'test/topologies', 'src', 'test/types'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${folder}/${name}`),
)
const bare = (text: string): string => text.replaceAll(/\s+/g, ' ').trim()
const texts = new Map(sources.map((path) => [path, bare(read(path))]))
/** The file that the first line of a piece of code names, or null. */
const fileNamed = (code: string): string | null => /^\/\/ (\S+\.ts)\n/.exec(code)?.[1] ?? null
function inRepository(code: string): boolean {
  const name = fileNamed(code)
  const wanted = bare(code.replace(/^\/\/ \S+\.ts\n/, ''))
  return name === null ? [...texts.values()].some((text) => text.includes(wanted)) : texts.get(name)?.includes(wanted) === true
}
/** Of what is in backticks in a sentence. */
const isCommand = (word: string): boolean => /^(npm|npx|node|git|vitest|tsc) [a-z]/.test(word) || word === '.ci/run'
const isProgram = (code: string): boolean => /^import /m.test(code)
/** A piece of a topology's function as a topology. */
const OPTIMIZE = '{ optimize: true }'
const asTopology = (code: string): string => {
  const options = code.startsWith(`// with ${OPTIMIZE}`) ? `, ${OPTIMIZE}` : ''
  return `import * as millrace from 'millrace'\n${names(code)}export default millrace.topology('piece', (t) => {\n${code}\n}${options})\n`
}
const asProgram = (code: string): string => (isProgram(code) ? code : asTopology(code))
/** What a piece calls of the package, and does not say where it comes from. */
const names = (code: string): string => {
  const used = Object.keys(millrace).filter((name) => new RegExp(`(?<![\\w$.])${name}[(<]`).test(code))
  const types = new Set(code.match(/\bReadOnly\w+Store(?=<)/g))
  const imported = types.size === 0 ? '' : `import type { ${[...types].join(', ')} } from 'millrace'\n`
  return used.length === 0 ? imported : `${imported}const { ${used.join(', ')} } = millrace\n`
}

describe.each(documents)('$path', ({ path, text, blocks }) => {
  let shell: Shell
  beforeAll(() => {
    shell = openShell()
  })
  afterAll(() => shell.close(), 30_000)

  test('its commands do what it says', { timeout: 120_000 }, async () => {
    for (const block of blocks) {
      if (block.kind === 'sh') await shell.type(block, (command) => command in ELSEWHERE || isKafka(command))
      else if (fileNamed(block.text) !== null) expect(inRepository(block.text), `line ${block.line}: the file has changed`).toBe(true)
      else if (isProgram(block.text) && !inRepository(block.text)) runProgram(shell.folder, block)
    }
    const pieces = blocks.filter(({ kind, text }) => kind === 'ts' && !isProgram(text) && fileNamed(text) === null && !inRepository(text))
    playPieces(shell.folder, pieces)
  })

  test('what it does not type here is run elsewhere', () => {
    const fenced = blocks.filter(({ kind }) => kind === 'sh').flatMap((block) => commandsOf(block).map((command) => command.text))
    const quoted = quotedWords(text).flatMap(({ word }) => (isCommand(word) ? [word] : []))
    for (const command of [...fenced, ...quoted]) {
      const cover = ELSEWHERE[command] ?? (isKafka(command) ? KAFKA_COVER : undefined)
      if (cover === undefined)
        expect(fenced, `${command} is not typed, and the table of elsewhere.ts says nothing of it`).toContain(command)
      else expect(existsSync(join(root, cover.file)) && read(cover.file).includes(cover.text), `${command}: ${cover.file}`).toBe(true)
      if (isKafka(command)) expect(path, `${command}: the Kafka suite types topologies/README.md only`).toBe('topologies/README.md')
    }
  })

  test('the files that it names are there', () => {
    const wrong = quotedWords(text).filter(({ word }) => isPath(word) && placeOf(path, word) === null)
    expect(wrong).toEqual([])
  })
})

test('the code compiles', { timeout: 60_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-docs-types-'))
  try {
    const files = documents.flatMap(({ path, blocks }) =>
      blocks
        .filter(({ kind, text }) => kind === 'ts' && !inRepository(text))
        .map(({ text, line }) => {
          const file = join(folder, `${path.replaceAll(/\W/g, '-')}-${line}.ts`)
          writeFileSync(file, `${asProgram(text).replaceAll("from './topologies/", `from '${root}topologies/`)}\nexport {}\n`)
          return file
        }),
    )
    const broken = join(folder, 'broken.ts')
    writeFileSync(broken, asTopology("t.stream('a', { key: string(), value: string() }).nothing()"))
    const checked = checkTypes([...files, broken])
    expect(errorsIn(checked, [broken]).join('\n')).toMatch(/nothing/)
    expect(errorsIn(checked, files)).toEqual([])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('every entry of the table is of a command that a document has', () => {
  const said = documents.flatMap(({ text, blocks }) => [
    ...blocks.filter(({ kind }) => kind === 'sh').flatMap((block) => commandsOf(block).map((command) => command.text)),
    ...quotedWords(text).map(({ word }) => word),
  ])
  expect(Object.keys(ELSEWHERE).filter((command) => !said.includes(command))).toEqual([])
})

describe('docs/dsl.md', () => {
  const { text } = documents.find(({ path }) => path === 'docs/dsl.md') as (typeof documents)[number]
  const tables = text.slice(0, text.indexOf('\n## '))
  test.each(Object.entries({ TopologyBuilder, Stream, GroupedStream, Table }))(
    'has every operator of %s in its tables',
    (name, builder) => {
      const rows = tables.split('\n').filter((line) => line.startsWith('| ['))
      const named = new Set(rows.flatMap((row) => [...(row.split('|')[1] as string).matchAll(/`(?:t\.)?(\w+)`/g)].map((match) => match[1])))
      // Ends of the chain: in the row of what they end.
      for (const end of rows.flatMap((row) => [...row.matchAll(/`(count|reduce|aggregate)`/g)].map((match) => match[1]))) named.add(end)
      const missing = Object.getOwnPropertyNames(builder.prototype).filter((method) => method !== 'constructor' && !named.has(method))
      expect(missing, `operators of ${name} without a row`).toEqual([])
    },
  )
})

test.each(documents)('the links of $path lead somewhere', ({ path, text }) => {
  const wrong = [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target]) => {
    if (/^https?:/.test(target as string)) return []
    const [name, anchor] = (target as string).split('#') as [string, string?]
    const file = name === '' ? path : placeOf(path, name)
    const fits = file !== null && (anchor === undefined || anchorsOf(read(file)).includes(anchor))
    return fits ? [] : [target]
  })
  expect(wrong).toEqual([])
})

describe('src/README.md', () => {
  const { text } = documents.find(({ path }) => path === 'src/README.md') as (typeof documents)[number]
  const all = sources.filter((path) => path.startsWith('src/')).map(read)

  test('names functions of the files that it names them with', () => {
    const wrong: string[] = []
    let seen = 0
    let file: { readonly line: number; readonly cell: number; readonly path: string } | null = null
    for (const { word, line, cell } of words(text)) {
      if (isPath(word)) file = { line, cell, path: placeOf('src/README.md', word) as string }
      else if (/^#?[A-Za-z]+(\.[a-z]\w*)?$/.test(word)) {
        const near = file !== null && file.line === line && file.cell === cell && file.path.endsWith('.ts') ? read(file.path) : null
        seen++
        for (const part of word.split('.')) {
          const pattern = new RegExp(`(?<![\\w$])${part}(?![\\w$])`)
          if (near !== null && !word.includes('.') ? !pattern.test(near) : !all.some((code) => pattern.test(code)))
            wrong.push(`line ${line}: ${word}${near === null ? '' : ` in ${file?.path}`}`)
        }
      }
    }
    expect(seen).toBeGreaterThan(20)
    expect(wrong).toEqual([])
  })

  test('its room map has every room', () => {
    const rooms = new Set(sources.flatMap((path) => /^src\/([^/]+\/?)/.exec(path)?.[1] ?? []))
    const map = text.slice(text.indexOf('## Rooms'), text.indexOf('## Non-obvious'))
    expect([...rooms].filter((name) => !map.includes(`\`${name}\``))).toEqual([])
  })
})

describe('the reading of documents', () => {
  const document = (...lines: string[]): string => lines.join('\n')
  test('a fence that nobody tests, code without a fence, and an output of nothing are refused', () => {
    expect(() => blocksOf(document('```', 'x', '```'))).toThrow('line 1: a fence of the kind "" is not tested')
    expect(() => blocksOf(document('a', '', '    npm ci'))).toThrow('line 3: code is indented')
    expect(() => blocksOf(document('```text', 'x', '```'))).toThrow('line 1: this is printed by nothing')
    expect(() => blocksOf(document('```sh', 'x'))).toThrow('line 1: the fence is not closed')
  })
  test('commands, comments and here-documents', () => {
    const [block] = blocksOf(
      document('a', '```sh', 'one # why', '', "cat > f <<'EOF'", 'x # stays', 'EOF', 'two', '```', '', '```text', 'out', '```'),
    )
    expect(block?.shown).toBe('out')
    expect(commandsOf(block as Block)).toEqual([
      { text: 'one', line: 3 },
      { text: "cat > f <<'EOF'\nx # stays\nEOF", line: 5 },
      { text: 'two', line: 8 },
    ])
  })
  test('what is shown, with gaps', () => {
    expect(looksLike('a...c', 'abc\n')).toBe(true)
    expect(looksLike('a\n...\nd', 'a\nb\nc\nd\n')).toBe(true)
    expect(looksLike('a\nd', 'a\nb\nd\n')).toBe(false)
    expect(looksLike('a.c', 'abc\n')).toBe(false)
    expect(looksLike('a', 'a\nb\n')).toBe(false)
  })
  test('a wrong output, a wrong status and a missing refusal are seen', { timeout: 30_000 }, async () => {
    const shell = openShell()
    const typed = (command: string, shown: string | null) => shell.type({ kind: 'sh', text: command, line: 1, shown })
    try {
      await typed('echo a; millrace --version > /dev/null', 'a')
      await expect(typed('echo a', 'b')).rejects.toThrow('shown is\nb\nand it printed\na')
      await expect(typed('false', null)).rejects.toThrow('false: status 1')
      await expect(typed('echo "millrace: no"', 'millrace: no')).rejects.toThrow('status 0')
    } finally {
      await shell.close()
    }
  })
})

/** As forges make them of headings. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
    (title as string)
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )
}

/** The words in backticks with the cell of the table that they stand in. */
function words(text: string): { word: string; line: number; cell: number }[] {
  return text
    .split('\n')
    .flatMap((whole, i) =>
      whole
        .split(/(?<!\\)\|/)
        .flatMap((part, cell) => [...part.matchAll(/`([^`]+)`/g)].map((match) => ({ word: match[1] as string, line: i + 1, cell }))),
    )
}

function isPath(word: string): boolean {
  return /^[\w.-]+(\/[\w.-]+)*\/$|^[\w-]+(\/[\w.-]+)*\.(ts|md|js|json)$/.test(word) && !/^dist\//.test(word)
}

/** The path from the root, looked up beside the document, in src, in the root; null when there is none. */
function placeOf(document: string, word: string): string | null {
  const folder = document.split('/').slice(0, -1).join('/')
  const name = word.replace(/\/$/, '')
  const found = [folder, ''].map((base) => (base === '' ? name : `${base}/${name}`)).find((path) => existsSync(join(root, path)))
  return found === undefined || (word.endsWith('/') && !statSync(join(root, found)).isDirectory()) ? null : found
}

/** Builds the pieces of topologies, and plays those that show what comes out. */
function playPieces(folder: string, blocks: readonly Block[]): void {
  if (blocks.length === 0) return
  const pieces = blocks.map((block) => {
    const file = join(folder, `piece-${block.line}.ts`)
    writeFileSync(file, asTopology(block.text))
    return { block, file, shown: block.shown }
  })
  const args = [join(root, 'test/docs/play.ts'), JSON.stringify(pieces.map(({ file, shown }) => ({ file, shown })))]
  const { status, stdout, stderr } = spawnSync(node, args, { cwd: folder, encoding: 'utf8', timeout: 60_000 })
  expect(status, stderr).toBe(0)
  const printed = JSON.parse(stdout) as Record<string, string>
  for (const { block, file, shown } of pieces) if (shown !== null) expect(printed[file], `line ${block.line}`).toBe(shown.trimEnd())
}

function runProgram(folder: string, block: Block): void {
  const file = join(folder, `program-${block.line}.ts`)
  writeFileSync(file, asProgram(block.text))
  const { status, stdout, stderr } = spawnSync(node, [file], { cwd: folder, encoding: 'utf8', timeout: 30_000 })
  expect(status, stderr).toBe(0)
  if (block.shown !== null) expect(looksLike(block.shown, stdout), `line ${block.line}: it printed\n${stdout}`).toBe(true)
}
