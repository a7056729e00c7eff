// docs/from-kafka-streams.md: every method of the committed list has a row, every row is of a listed method, every name on its right side
// exists in the types, and the list is what the jars say, where they are.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import * as millrace from 'millrace'
import { beforeAll, describe, expect, test } from 'vitest'
import { root } from '../cli/binary.ts'
import { checkTypes, errorsIn } from '../types/tsc.ts'
import { javaMethods } from './java-methods.ts'

const listed = readFileSync(join(root, 'test/docs/kafka-streams-methods.txt'), 'utf8').trim().split('\n')
const text = readFileSync(join(root, 'docs/from-kafka-streams.md'), 'utf8')

interface Row {
  readonly line: number
  /** `Class.method`, one for each class of the heading. */
  readonly java: readonly (readonly string[])[]
  readonly ours: readonly string[]
}

const wordsOf = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] as string)

const rows: Row[] = []
let classes: readonly string[] = []
for (const [i, line] of text.split('\n').entries()) {
  const heading = /^(##+) (.*)$/.exec(line)
  if (heading !== null) classes = heading[1] === '###' ? (heading[2] as string).split(', ') : []
  else if (classes.length > 0 && line.startsWith('| `')) {
    const [, java = '', ours = ''] = line.split(/(?<!\\)\|/)
    rows.push({ line: i + 1, java: wordsOf(java).map((method) => classes.map((name) => `${name}.${method}`)), ours: wordsOf(ours) })
  }
}

test('each method of the list has a row', () => {
  const told = new Set(rows.flatMap((row) => row.java.flat()))
  expect(listed.length).toBeGreaterThan(400)
  expect(listed.filter((method) => !told.has(method))).toEqual([])
})

test('each row is of methods that there are', () => {
  const known = new Set(listed)
  const wrong = rows.flatMap(({ line, java }) =>
    java.filter((names) => !names.some((name) => known.has(name))).map((names) => `line ${line}: ${names[0]}`),
  )
  expect(wrong).toEqual([])
})

/** What the first word of a name on the right side stands for. */
const RECEIVERS: Readonly<Record<string, string>> = {
  t: 'm.TopologyBuilder',
  stream: 'm.Stream<string, string>',
  table: 'm.Table<string, string>',
  grouped: 'm.GroupedStream<string, string>',
  groupedTable: 'm.GroupedTable<string, string>',
  cogrouped: 'm.CogroupedStream<string, string>',
  windowed: 'm.WindowedStream<string, string>',
  sessions: 'm.SessionWindowedStream<string, string>',
  windowedCogroup: 'm.WindowedCogroup<string, string>',
  sessionCogroup: 'm.SessionWindowedCogroup<string, string>',
  context: 'm.ProcessorContext<string, string>',
  processor: 'm.Processor<string, string>',
  store: 'm.KeyValueStore<string, string>',
  windowStore: 'm.WindowStore<string, string>',
  sessionStore: 'm.SessionStore<string, string>',
  versionedStore: 'm.VersionedStore<string, string>',
  app: 'm.StreamProcessor',
  rows: "ReturnType<m.StreamProcessor['store']>",
  windowRows: "ReturnType<m.StreamProcessor['windowStore']>",
  sessionRows: "ReturnType<m.StreamProcessor['sessionStore']>",
  versionedRows: "ReturnType<m.StreamProcessor['versionedStore']>",
  driver: 'testing.TopologyTestDriver',
  input: 'testing.TestInput',
  output: 'testing.TestOutput',
}

const WINDOWING = 'm.WindowedByOptions<string, string>'
const OPTIONS: Readonly<Record<string, string>> = {
  't.stream': 'm.SourceOptions<string, string>',
  't.table': 'm.TableSourceOptions<string, string> & m.CacheOptions',
  'stream.to': 'm.SinkOptions<string, string>',
  'stream.map': 'm.KeyValueOptions<string, string>',
  'stream.groupBy': 'm.KeyOptions<string>',
  'stream.repartition': 'm.RepartitionOptions',
  'stream.join': 'm.StreamTableOptions<string> | m.StoreValueOptions<string>',
  'stream.split': '{ readonly default: string }',
  'stream.process': 'm.ProcessOptions<string, string>',
  'table.groupBy': 'm.KeyValueOptions<string, string>',
  'table.join': 'm.StoreValueOptions<string>',
  'table.suppress': 'm.SuppressUntilClose | m.SuppressFor',
  'grouped.count': 'm.StoreOptions',
  'grouped.aggregate': 'm.StoreValueOptions<string> & m.CacheOptions',
  'grouped.windowedBy': WINDOWING,
  'windowed.count': 'm.WindowStoreOptions',
  'rows.range': "NonNullable<Parameters<ReturnType<m.StreamProcessor['store']>['range']>[2]>",
  StreamProcessor: 'm.ProcessorOptions',
  tumbling: 'm.GraceOptions',
  hopping: 'm.HoppingOptions',
  sliding: 'm.GraceOptions',
  session: 'm.GraceOptions | m.SessionDeclaration<string, string>',
  within: 'm.WithinOptions',
  keyValue: 'm.KeyValueDeclaration<string, string>',
  window: 'm.WindowDeclaration<string, string>',
}

/** A line of types for each name and each option; a name that nobody knows is told at once. */
function typesOf({ line, ours }: Row): string[] {
  return ours.flatMap((word, i) => {
    if (word.startsWith('millrace ')) return []
    const [, name = '', options = ''] = /^([\w.]+)(?:\(\{([^}]*)\}\))?$/.exec(word) ?? []
    const [first = '', member] = name.split('.')
    const id = `line${line}_${i}`
    const receiver = RECEIVERS[first]
    if (member === undefined ? !(first in millrace) : receiver === undefined) throw new Error(`line ${line}: nobody knows ${word}`)
    const types = member === undefined ? [`export const ${id} = m.${first}`] : [`export type ${id} = (${receiver})['${member}']`]
    for (const option of options.split(',').map((it) => it.trim())) {
      if (option === '') continue
      if (OPTIONS[name] === undefined) throw new Error(`line ${line}: nobody knows the options of ${name}`)
      types.push(`export const ${id}_${option}: KeysOf<${OPTIONS[name]}> = '${option}'`)
    }
    return types
  })
}

/** What the type checker says about each of these programs; all at once, as most of it is reading the package. */
const checked = (...programs: readonly (readonly string[])[]): string[][] => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-names-'))
  try {
    const head = `import * as m from 'millrace'\nimport type * as testing from 'millrace/testing'\ntype KeysOf<T> = T extends unknown ? keyof T : never\n`
    const files = programs.map((lines, i) => {
      const file = join(folder, `names${i}.ts`)
      writeFileSync(file, `${head}export type Used = testing.TestInput\nexport type Keys = KeysOf<string>\n${lines.join('\n')}\n`)
      return file
    })
    const said = checkTypes(files)
    return files.map((file) => errorsIn(said, [file]))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

describe('names', () => {
  const row = (word: string): string[] => typesOf({ line: 1, java: [], ours: [word] })
  const types = rows.flatMap(typesOf)
  let [ours, wrong]: (readonly string[])[] = []
  beforeAll(() => {
    ;[ours, wrong] = checked(types, [...row('stream.filters'), ...row('table.join({window})').slice(1)])
  }, 120_000)

  test('each on the right side exists', () => {
    expect(types.length).toBeGreaterThan(150)
    expect(ours).toEqual([])
  })

  test('one that does not exist is seen, and an option', () => {
    expect(() => row('streams.filter')).toThrow('nobody knows streams.filter')
    expect(() => row('tumblings')).toThrow('nobody knows tumblings')
    expect(wrong).toHaveLength(2)
  })
})

test('commands are those of the binary', () => {
  const program = readFileSync(join(root, 'src/cli/program.ts'), 'utf8')
  const commands = rows.flatMap(({ ours }) => ours.filter((word) => word.startsWith('millrace ')))
  expect(commands.length).toBeGreaterThan(0)
  for (const command of commands) expect(program, command).toContain(`command('${command.slice('millrace '.length)}'`)
})

const VERSION = '4.3.0'
const jars = ['kafka-streams', 'kafka-streams-test-utils'].map((name) =>
  join(homedir(), '.m2/repository/org/apache/kafka', name, VERSION, `${name}-${VERSION}.jar`),
)
const present = jars.every((jar) => existsSync(jar)) && spawnSync('javap', ['-version']).error === undefined
if (!present)
  console.warn(`SKIPPED: no jars of Kafka Streams ${VERSION} in ~/.m2, or no javap, so the list of its methods is not held against them`)

test.skipIf(!present)(`the list is what the jars say${present ? '' : ' (skipped: no jars)'}`, { timeout: 120_000 }, () => {
  expect(javaMethods(jars)).toEqual(listed)
})
