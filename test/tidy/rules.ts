// The house rules as functions: a file's path and text in, findings out. test/tidy.test.ts runs them over the tree and over
// snippets that must be found.
//
// 1. Paths are relative to the repository root, with forward slashes.
// 2. A finding is one line: `path:line what is wrong`.
import { bareCode, type Import, importsOf } from './source.ts'

export interface SourceFile {
  readonly path: string
  readonly text: string
}

const ROOMS = [
  'base',
  'serde',
  'topology',
  'dsl',
  'operators',
  'state',
  'log',
  'barrier',
  'assignment',
  'runtime',
  'server',
  'testing',
  'cli',
  'control',
  'outbox',
]

/** What a room may import besides itself: a room, or a file of one. Rooms that are not here take what they need. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  base: [],
  serde: ['base'],
  state: ['base'],
  log: ['base'],
  'log/kafka': ['base', 'log'],
  'log/embedded': ['base', 'log'],
  topology: ['base', 'serde (types)'],
  dsl: ['base', 'serde', 'topology'],
  operators: ['base', 'serde', 'topology', 'state/store', 'state/overlay'],
  barrier: ['base', 'log/log', 'state/store'],
  assignment: ['base', 'topology/plan', 'topology/plan-types', 'log/log'],
  control: [
    'base',
    'serde',
    'topology',
    'log/log',
    'runtime/query',
    'runtime/reads',
    'runtime/changelog-holder',
    'runtime/dead-letter',
    'state/store',
  ],
  outbox: ['base', 'log/log'],
  server: ['base', 'serde', 'topology', 'state/store', 'barrier/barrier', 'runtime', 'control', 'assignment/peers', 'outbox/relay'],
  runtime: ['base', 'serde', 'topology', 'operators', 'state', 'log', 'barrier', 'assignment'],
}

/** Only app.ts puts these in place. */
const ADAPTERS = ['log/kafka', 'log/embedded', 'state/leveldb']

const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  level: ['state', 'log/embedded'],
  'classic-level': ['state', 'log/embedded'],
  'abstract-level': ['state', 'log/embedded'],
  '@platformatic/kafka': ['log/kafka'],
  '@opentelemetry/api': ['app'],
  avsc: ['serde'],
  commander: ['cli'],
  pino: ['cli', 'app'],
  'pino-pretty': ['cli', 'app'],
  'fast-check': ['testing'],
  fastify: ['server'],
  pg: ['outbox'],
  'prom-client': ['server'],
}

const PURE = ['base', 'serde', 'topology', 'dsl', 'operators', 'barrier', 'assignment']
const IO_MODULES = /^node:(fs|net|http|https|http2|tls|dgram|dns|child_process|worker_threads|cluster)(\/|$)/

/** Takes time or chance from the outside: only base/system.ts may. Hashes are neither. */
const OUTSIDE =
  /(?<![\w$.])(?:(?:globalThis\s*\.\s*)?(?:Date\s*\.\s*now|new\s+Date\s*(?:\(\s*\)|(?![\w$\s(]))|Math\s*\.\s*random|process\s*\.\s*hrtime|process\s*\.\s*uptime|AbortSignal\s*\.\s*timeout|performance\s*\.|crypto\s*\.)|(?:setTimeout|setInterval|setImmediate)(?![\w$]))/g
const OUTSIDE_MODULES = /^node:(timers|perf_hooks)(\/|$)/
const HASHES = ['createHash', 'createHmac', 'timingSafeEqual', 'hash']

const BANNED_WORD =
  /(?:^|[a-z0-9_$])(?:Manager|Helper|Util|Utils|Impl|Service)(?![a-z])|^(?:manager|helper|util|utils|impl|service)(?![a-z])/
const DECLARED = /(?<![\w$.])(?:class|interface|type|function\*?|const|let|var|enum)\s+([A-Za-z_$][\w$]*)/g

/** `src/log/kafka/reader.ts` -> `log/kafka`; `src/app.ts` -> `app`; outside src: null. */
export function roomOf(path: string): string | null {
  const parts = path.split('/')
  if (parts[0] !== 'src') return null
  const name = (parts[1] as string).replace(/\.ts$/, '')
  if (parts.length === 2) return name
  if (name === 'log' && parts.length > 3 && (parts[2] === 'kafka' || parts[2] === 'embedded')) return `log/${parts[2]}`
  return name
}

/** The file that a relative specifier names, from the repository root. */
export function resolveImport(path: string, specifier: string): string {
  const parts = path.split('/').slice(0, -1)
  for (const step of specifier.split('/')) {
    if (step === '..') parts.pop()
    else if (step !== '.') parts.push(step)
  }
  return parts.join('/')
}

const within = (target: string, place: string): boolean => target === place || target.startsWith(`${place}/`)

/** Runs in a browser: it has that one's clock and timers, and is served as it is. */
const isOfPage = (path: string): boolean => /^src\/server\/page\/[\w-]+\.js$/.test(path)

/** Rule: the table of rooms. */
export function wrongImports(file: SourceFile): readonly string[] {
  const room = roomOf(file.path)
  if (room === null) return []
  if (isOfPage(file.path)) return strangers(file)
  const findings: string[] = []
  for (const one of importsOf(file.text)) {
    const why = one.specifier.startsWith('.') ? wrongRoom(file.path, room, one) : wrongPackage(file.path, room, one)
    if (why !== null) findings.push(`${file.path} imports ${one.specifier}: ${why}`)
  }
  return findings
}

/** What the browser would have to load from elsewhere. */
function strangers({ path, text }: SourceFile): string[] {
  return importsOf(text).flatMap(({ specifier }) =>
    /^\.\/[\w-]+\.js$/.test(specifier) ? [] : [`${path} imports ${specifier}: the page has only the files beside it`],
  )
}

function wrongRoom(path: string, room: string, one: Import): string | null {
  const target = resolveImport(path, one.specifier)
  if (!target.startsWith('src/')) return 'it lies outside src'
  if (!target.endsWith('.ts')) return 'write the extension .ts'
  const place = target.slice(4).replace(/\.ts$/, '')
  const adapter = ADAPTERS.find((name) => within(place, name))
  const inside =
    within(place, room) || (adapter !== undefined && within(path.slice(4), adapter.split('/')[0] as string) && room === 'state')
  if (inside && (adapter === undefined || adapter === room || room === 'state')) return null
  if (adapter !== undefined && room !== 'app') return `only src/app.ts names ${adapter}`
  const allowed = ALLOWED[room]
  if (allowed === undefined) return null
  for (const entry of allowed) {
    const types = entry.endsWith(' (types)')
    if (within(place, types ? entry.slice(0, -8) : entry)) return types && !one.typeOnly ? `${room} may take types only from there` : null
  }
  return `${room} may import ${allowed.length === 0 ? 'nothing' : allowed.join(', ')}`
}

function wrongPackage(path: string, room: string, one: Import): string | null {
  if (one.specifier.startsWith('node:')) {
    if (path === 'src/base/system.ts') return null
    if (OUTSIDE_MODULES.test(one.specifier)) return 'time comes through base/ports.ts'
    if (one.specifier === 'node:crypto') {
      const odd = one.names.find((name) => !HASHES.includes(name))
      return odd === undefined ? null : `randomness comes through base/ports.ts (${odd})`
    }
    return PURE.includes(room) && IO_MODULES.test(one.specifier) ? `${room} is pure` : null
  }
  const name = one.specifier
    .split('/')
    .slice(0, one.specifier.startsWith('@') ? 2 : 1)
    .join('/')
  const rooms = PACKAGES[name]
  if (rooms === undefined) return 'no such dependency is known here'
  return rooms.some((allowed) => within(room, allowed)) ? null : `only ${rooms.join(' and ')} may`
}

const lineAt = (text: string, index: number): number => text.slice(0, index).split('\n').length

function matches(file: SourceFile, code: string, pattern: RegExp, what: string): string[] {
  return [...code.matchAll(pattern)].map((match) => `${file.path}:${lineAt(code, match.index)} ${what} (${match[0].trim()})`)
}

/** Rule: time, timers and chance come through ports; the console is for the binary. */
export function bannedGlobals(file: SourceFile): readonly string[] {
  const room = roomOf(file.path)
  if (room === null || file.path === 'src/base/system.ts' || isOfPage(file.path)) return []
  const code = bareCode(file.text)
  const findings = matches(file, code, OUTSIDE, 'time, timers and chance come through base/ports.ts')
  if (room !== 'cli') findings.push(...matches(file, code, /(?<![\w$.])console\s*\./g, 'console belongs to the binary'))
  return findings
}

/** Rule: one word per idea; no words that say nothing. */
export function bannedNames(file: SourceFile): readonly string[] {
  const findings: string[] = []
  const name = (file.path.split('/').at(-1) as string).replace(/(\.test)?\.[a-z]+$/, '')
  if (name.split(/[-.]/).some((word) => /^(manager|helper|util|impl|service)s?$/.test(word)))
    findings.push(`${file.path} has a name that says nothing`)
  const code = bareCode(file.text)
  for (const match of code.matchAll(DECLARED)) {
    if (BANNED_WORD.test(match[1] as string))
      findings.push(`${file.path}:${lineAt(code, match.index)} ${match[1]} has a word that says nothing`)
  }
  return findings
}

const COMMENT_BANS: readonly (readonly [RegExp, string])[] = [
  [/@ts-(ignore|nocheck)/g, 'types are not switched off'],
  [/\b(T[O]DO|F[I]XME|X[X]X)\b/g, 'unfinished work is not left in a comment'],
  [/\/(work|Users|root)\/[\w.-]|\/home\/[a-z]/g, 'a path of one machine'],
]

/** Rule: no switched-off types, no tests that run alone or reach into others, nothing of one machine. */
export function bannedWords(file: SourceFile): readonly string[] {
  const findings: string[] = []
  for (const [pattern, what] of COMMENT_BANS) findings.push(...matches(file, file.text, pattern, what))
  if (!file.path.endsWith('.ts')) return findings
  const code = bareCode(file.text)
  findings.push(...matches(file, code, /\bas\s+any\b|(?<![\w$])<any>(?=\s*[\w(])/g, 'types are not switched off'))
  findings.push(...matches(file, code, /\b(?:test|it|describe|suite)\s*\.\s*only\b/g, 'a test that runs alone'))
  findings.push(...matches(file, code, /\bvi\s*\.\s*(?:do)?mock\b/gi, 'a module mocked in a process that test files share'))
  return findings
}

/** Rule: a file opens with what it is for. */
export function noOpening(file: SourceFile): readonly string[] {
  const text = file.text.replace(/^#!.*\n/, '')
  return /^\/\/|^\/\*/.test(text) ? [] : [`${file.path} does not open with what it is for`]
}

export const lines = (text: string): number => text.split('\n').length - (text.endsWith('\n') ? 1 : 0)

/** Rule: no file over 500 lines; the median of src at most 120. */
export function tooLong(files: readonly SourceFile[], linesMax = 500): readonly string[] {
  return files.filter((file) => lines(file.text) > linesMax).map((file) => `${file.path} has ${lines(file.text)} lines, over ${linesMax}`)
}

export function medianLines(files: readonly SourceFile[]): number {
  const sorted = files.map((file) => lines(file.text)).sort((a, b) => a - b)
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0
}

/** Rule: every room of src is one that the table knows. */
export function unknownRooms(files: readonly SourceFile[], roots: readonly string[]): readonly string[] {
  return files
    .filter((file) => {
      const room = roomOf(file.path)
      return room !== null && !ROOMS.includes(room.split('/')[0] as string) && !roots.includes(room)
    })
    .map((file) => `${file.path} lies in no room of the house`)
}
