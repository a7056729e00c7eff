// Examples in docstrings, which `npm run docs:api` shows, are programs that compile; test/testing/arbitraries.test.ts runs them.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { root } from '../cli/binary.ts'
import { checkTypes, errorsIn } from '../types/tsc.ts'

interface Example {
  /** `src/x.ts-12`. */
  readonly name: string
  readonly code: string
}

const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
const examples: readonly Example[] = sources.flatMap((name) => examplesOf(`src/${name}`, readFileSync(join(root, 'src', name), 'utf8')))

/** What stands in fences inside of docstrings. */
function examplesOf(path: string, text: string): Example[] {
  return [...text.matchAll(/^ *\* ```(\w*)\n((?: *\*.*\n)*?) *\* ```$/gm)].map((match) => {
    const line = text.slice(0, match.index).split('\n').length
    if (match[1] !== 'ts') throw new Error(`${path}:${line}: a fence of the kind "${match[1]}" is not tested`)
    return { name: `${path}-${line}`, code: (match[2] as string).replaceAll(/^ *\* ?/gm, '') }
  })
}

let folder: string
// Below the repository, so that its packages, and the package itself, are found.
beforeAll(() => {
  mkdirSync(join(root, 'tmp'), { recursive: true })
  folder = mkdtempSync(join(root, 'tmp', 'docstrings-'))
  for (const { name, code } of examples) writeFileSync(fileOf(name), `${code}\nexport {}\n`)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const fileOf = (name: string): string => join(folder, `${name.replaceAll(/\W/g, '-')}.ts`)

test('they are found', () => {
  expect(examples.length).toBeGreaterThan(3)
  expect(examplesOf('a.ts', '/**\n * Adds.\n *\n * ```ts\n * add(1,\n *   2)\n * ```\n */\n')).toEqual([
    { name: 'a.ts-4', code: 'add(1,\n  2)\n' },
  ])
})

test('they compile', { timeout: 60_000 }, () => {
  const broken = fileOf('broken')
  writeFileSync(broken, "import { interleavings } from 'millrace/testing'\nexport const n: number = interleavings([])\n")
  const checked = checkTypes([...examples.map(({ name }) => fileOf(name)), broken])
  expect(errorsIn(checked, [broken]).join('\n')).toMatch(/not assignable/)
  expect(
    errorsIn(
      checked,
      examples.map(({ name }) => fileOf(name)),
    ),
  ).toEqual([])
})
