// What must compile compiles, what must not does not, and each refusal says why.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Checked, checkTypes, errorsIn } from './tsc.ts'

const HERE = fileURLToPath(new URL('.', import.meta.url))
const FILES = readdirSync(HERE)
  .filter((name) => name.endsWith('.types.ts'))
  .map((name) => `${HERE}${name}`)

/** Types that do not fit, members and options that are not there, arguments too many or too few, rows that may be missing: not a name that is
 *  spelt wrong, a parameter without a type, an unused variable. */
const REFUSALS = new Set(
  [2322, 2339, 2345, 2349, 2353, 2365, 2367, 2375, 2379, 2416, 2551, 2554, 2555, 2556, 2559, 2561, 2684, 2739, 2740, 2741, 2769, 2820].map(
    (n) => `TS${n}`,
  ),
)
for (const missing of [2531, 2532, 2533, 18047, 18048, 18049]) REFUSALS.add(`TS${missing}`)

describe('types', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-types-'))
  /** The same files, and an error is reported where they expect one. */
  const copies = FILES.map((file) => join(folder, file.slice(HERE.length)))
  const wrong = join(folder, 'wrong.ts')
  let checked: Checked
  beforeAll(() => {
    for (const [i, copy] of copies.entries())
      writeFileSync(copy, readFileSync(FILES[i] as string, 'utf8').replaceAll('@ts-expect-error', 'refused:'))
    writeFileSync(wrong, "import { topology } from 'millrace'\ntopology('wrong', (t) => t.stream('in').count())\n")
    checked = checkTypes([...FILES, ...copies, wrong]) // all at once: most of it is reading the package
  }, 120_000)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('flow as the files say', () => {
    for (const file of FILES) expect(checked.files).toContain(file)
    expect(errorsIn(checked, FILES)).toEqual([])
  })

  it('are checked at all: an error that nobody expects is seen', () => {
    expect(errorsIn(checked, [wrong])).toEqual([expect.stringMatching(/count/)])
  })

  it('are refused where the files say, and for what they are', () => {
    for (const copy of copies) {
      const lines = readFileSync(copy, 'utf8').split('\n')
      lines.forEach((line, i) => {
        if (!line.includes('refused:')) return
        const found = checked.errors
          .filter((error) => error.startsWith(`${copy}(${i + 2},`))
          .map((error) => /error (TS\d+)/.exec(error)?.[1])
        expect(
          found.some((code) => REFUSALS.has(code as string)),
          `${line.trim()}: ${found.join(', ')}`,
        ).toBe(true)
      })
    }
  })

  it('have a reason wherever an error is expected', () => {
    const directives = FILES.flatMap((file) => readFileSync(file, 'utf8').split('\n')).filter((line) => line.includes('@ts-expect-error'))
    expect(directives.length).toBeGreaterThan(30)
    for (const line of directives) expect(line).toMatch(/@ts-expect-error \S+( \S+){2,}/)
    expect(new Set(directives.map((line) => line.trim())).size).toBe(directives.length)
  })
})
