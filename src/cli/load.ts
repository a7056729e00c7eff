// Loads a topology file: the only code of the user's that the binary runs, and only where the user named the file.
//
// 1. `import 'millrace'` in it, or in anything it imports, is this very package, wherever the file lies: two copies would not
//    know each other's topologies.
// 2. A file that is loaded anew is loaded with all that it imports of the user's own, as they are now; packages are loaded once.
// 3. What is wrong with a file is one line that names it and says what to do (STREAM_TOPOLOGY_FILE).
import { statSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { explain, MillraceError } from '../base/errors.ts'
import type { Topology } from '../topology/node.ts'
import { isTopology } from '../topology/validate.ts'
import { type Seen, signatureOf } from './watch.ts'

const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
const OWN: Readonly<Record<string, string>> = {
  millrace: new URL(`../index.${ending}`, import.meta.url).href,
  'millrace/testing': new URL(`../testing/index.${ending}`, import.meta.url).href,
}

let hooked = false
/** Of the module that is loaded anew: its address says `?anew=<n>`, and so do those of what it imports. */
const ANEW = /\?anew=\d+$/
let loads = 0
let loaded: Map<string, string> | null = null

/** From here on `millrace` means this package in every module that is loaded. */
export function resolveOwnPackage(): void {
  if (hooked) return
  hooked = true
  registerHooks({
    resolve(specifier, context, next) {
      const own = Object.hasOwn(OWN, specifier) ? OWN[specifier] : undefined
      if (own !== undefined) return { url: own, shortCircuit: true }
      const found = next(specifier, context)
      // A .ts file in a folder whose package.json says nothing is a module here, without Node's warning about guessing.
      const guessed = found.format === undefined || found.format === null || found.format === 'typescript'
      const anew = ANEW.exec(context.parentURL ?? '')?.[0] ?? ''
      const isUsers = found.url.startsWith('file:') && !found.url.includes('/node_modules/')
      const url = isUsers && anew !== '' && !found.url.includes('?') ? `${found.url}${anew}` : found.url
      if (ANEW.test(url)) look(fileURLToPath(url.replace(ANEW, '')))
      if (url.startsWith('file:') && /\.ts(\?|$)/.test(url) && guessed) return { ...found, url, format: 'module-typescript' }
      return { ...found, url }
    },
  })
}

export async function loadTopology(file: string, query = ''): Promise<Topology> {
  const exported = await loadDefault(file, 'a topology file', "export default topology('name', (t) => { ... })", query)
  if (isTopology(exported)) return exported
  throw bad(file, `its default export is ${nameOf(exported)}, not a topology: export default topology('name', (t) => { ... })`)
}

/** Before it is read: a change that comes while it is being loaded is another one. */
function look(file: string): void {
  if (loaded !== null && !loaded.has(file)) loaded.set(file, signatureOf(file))
}

export type Anew = { readonly files: Seen } & ({ readonly topology: Topology } | { readonly topology: null; readonly error: unknown })

/** The topology as the file has it now, and the files of the user's own that it is made of, as far as they were found, as they were then. */
export async function loadAnew(file: string): Promise<Anew> {
  const files = new Map<string, string>()
  loaded = files
  look(resolve(file))
  try {
    const topology = await loadTopology(file, `?anew=${++loads}`)
    return { topology, files }
  } catch (error) {
    return { topology: null, error, files }
  } finally {
    loaded = null
  }
}

/** The default export of a module that the user named: a topology, or a config file. */
export async function loadDefault(file: string, what: string, cure: string, query = ''): Promise<unknown> {
  const path = resolve(file)
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) throw bad(file, `there is no such file; give the path of ${what}`)
  if (!found.isFile()) throw bad(file, `it is no file; give the path of ${what}`)
  resolveOwnPackage()
  let module: Record<string, unknown>
  try {
    module = (await import(`${pathToFileURL(path).href}${query}`)) as Record<string, unknown>
  } catch (error) {
    if (error instanceof MillraceError && error.disposition === 'usage') {
      throw new MillraceError(error.code, `${file}: ${error.message}`, { cause: error })
    }
    throw bad(file, `it throws when it is loaded: ${reasonOf(error)}`, error)
  }
  if (module.default === undefined) {
    const names = Object.keys(module)
    throw bad(file, `it exports ${names.length === 0 ? 'nothing' : `only ${names.join(', ')}`}; end it with: ${cure}`)
  }
  return module.default
}

/** A syntax error's message does not say where; the first line of its stack does. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return `${nameOf(error)}, which is no Error`
  const place = error instanceof SyntaxError ? /^file:\/\/\S+:\d+$/m.exec(error.stack ?? '') : null
  return place === null ? explain(error) : `${explain(error)} (${fileURLToPath(place[0])})`
}

function nameOf(value: unknown): string {
  if (value === null) return 'null'
  if (value instanceof Promise) return 'a promise'
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

function bad(file: string, what: string, cause?: unknown): MillraceError {
  return new MillraceError('STREAM_TOPOLOGY_FILE', `${file}: ${what}`, { cause })
}
