// What must compile compiles, what must not does not, and each refusal says why.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { checkTypes, errorsIn } from './tsc.ts'

const HERE = fileURLToPath(new URL('.', import.meta.url))
const FILES = readdirSync(HERE)
  .filter((name) => name.endsWith('.types.ts'))
  .map((name) => `${HERE}${name}`)

describe('types', () => {
  it('flow as the files say', () => {
    const checked = checkTypes(FILES)
    for (const file of FILES) expect(checked.files).toContain(file)
    expect(errorsIn(checked, FILES)).toEqual([])
  })

  it('are checked at all: an error that nobody expects is seen', () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-wrong-'))
    try {
      const wrong = join(folder, 'wrong.ts')
      writeFileSync(wrong, "import { topology } from 'millrace'\ntopology('wrong', (t) => t.stream('in').count())\n")
      expect(errorsIn(checkTypes([wrong]), [wrong])).toEqual([expect.stringMatching(/count/)])
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it('have a reason wherever an error is expected', () => {
    const directives = FILES.flatMap((file) => readFileSync(file, 'utf8').split('\n')).filter((line) => line.includes('@ts-expect-error'))
    expect(directives.length).toBeGreaterThan(30)
    for (const line of directives) expect(line).toMatch(/@ts-expect-error \S+( \S+){2,}/)
    expect(new Set(directives.map((line) => line.trim())).size).toBe(directives.length)
  })
})
