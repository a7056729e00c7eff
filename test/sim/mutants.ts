// npm run sim:mutants [-- --only 7,8] [--seeds N] [--jobs J]: plants each bug of mutant-list.ts in a copy of the sources and lets the
// simulator look for it, several at once. Prints the table of test/sim/README.md; status 1 when one is not found within its seeds by the
// checks that are to see it.
import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { MUTANTS, type Mutant } from './mutant-list.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const { values } = parseArgs({
  options: { only: { type: 'string' }, seeds: { type: 'string' }, jobs: { type: 'string', default: String(availableParallelism()) } },
})
const only = values.only?.split(',')

function planted(mutant: Mutant): string {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-mutant-'))
  for (const part of ['src', 'test/sim', 'test/support', 'test/runtime/buffering-join-oracle.ts', 'package.json'])
    cpSync(join(ROOT, part), join(dir, part), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'))
  for (const { file, from, to } of mutant.edits) {
    const path = join(dir, file)
    const text = readFileSync(path, 'utf8')
    if (text.split(from).length !== 2) throw new Error(`mutant ${mutant.id}: ${file} has not exactly one place for it`)
    writeFileSync(
      path,
      text.replace(from, () => to),
    )
  }
  return dir
}

/** What a program prints, to its end. */
function printed(words: readonly string[], cwd: string): Promise<{ readonly out: string; readonly errors: string }> {
  const child = spawn(process.execPath, words, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  const last = (): void => void child.kill()
  process.once('exit', last)
  const said = { out: '', errors: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said.out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said.errors = (said.errors + text).slice(-2_000)
  })
  return new Promise((resolve) =>
    child.once('close', () => {
      process.removeListener('exit', last)
      resolve(said)
    }),
  )
}

/** Its line of the table. */
async function lookFor(mutant: Mutant): Promise<{ readonly line: string; readonly found: boolean }> {
  const dir = planted(mutant)
  try {
    const seeds = values.seeds ?? String(mutant.seedsMax)
    const words = ['test/sim/cli.ts', '--seeds', seeds, '--stop-after', '1', '--jobs', '1', '--checks', mutant.by.join()]
    if (mutant.case !== undefined) words.push('--case', mutant.case)
    if (mutant.kinds !== undefined) words.push('--kinds', mutant.kinds.join())
    const { out, errors } = await printed(words, dir)
    const seed = /^seed (\d+) /m.exec(out)?.[1]
    const checks = [...new Set([...out.matchAll(/^ {2}([A-Z]) {2}/gm)].map((match) => match[1]))].join(' ')
    const aside = /^\d+ seeds with violations of other checks$/m.exec(out)?.[0] ?? ''
    const how = seed === undefined ? `**not found** ${aside} ${errors.trim().slice(-500)}` : `seed ${seed}`
    const of = `${seeds}${mutant.case === undefined ? '' : ` of \`${mutant.case}\``}`
    return { line: `| ${mutant.id} | ${mutant.what} | ${how} of ${of} | ${checks} |`, found: seed !== undefined }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1)) // which ends what was started
const chosen = MUTANTS.filter(({ id }) => only === undefined || only.includes(id))
const lines: (string | undefined)[] = []
/** Those that may need most seeds begin first: no job is left alone with one of them in the end. */
const waiting = chosen.map((mutant, place) => ({ mutant, place })).sort((a, b) => b.mutant.seedsMax - a.mutant.seedsMax)
let [told, missed] = [0, 0]
const work = async (): Promise<void> => {
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const { line, found } = await lookFor(next.mutant)
    lines[next.place] = line
    if (!found) missed++
    for (; lines[told] !== undefined; told++) console.log(lines[told])
  }
}
console.log('| # | planted bug | found at | by |\n| --- | --- | --- | --- |')
await Promise.all(Array.from({ length: Number(values.jobs) }, work))
console.log(`\n${chosen.length - missed} planted bugs found, ${missed} not`)
process.exitCode = missed > 0 ? 1 : 0
