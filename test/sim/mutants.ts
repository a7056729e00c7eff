// npm run sim:mutants [-- --only 7,8] [--seeds N]: plants each bug of mutant-list.ts in a copy of the sources and lets the simulator look
// for it. Prints the table of test/sim/README.md; status 1 when one is not found within its seeds.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { MUTANTS, type Mutant } from './mutant-list.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const { values } = parseArgs({ options: { only: { type: 'string' }, seeds: { type: 'string' } } })
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

let missed = 0
console.log('| # | planted bug | found at | checks | of seeds |\n| --- | --- | --- | --- | --- |')
for (const mutant of MUTANTS) {
  if (only !== undefined && !only.includes(mutant.id)) continue
  const dir = planted(mutant)
  try {
    const seeds = values.seeds ?? String(mutant.seedsMax)
    const words = [
      'test/sim/cli.ts',
      '--seeds',
      seeds,
      '--stop-after',
      '1',
      '--jobs',
      '1',
      ...(mutant.case === undefined ? [] : ['--case', mutant.case]),
      ...(mutant.kinds === undefined ? [] : ['--kinds', mutant.kinds.join()]),
    ]
    const { stdout, stderr } = spawnSync(process.execPath, words, { cwd: dir, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
    const seed = /^seed (\d+) /m.exec(stdout)?.[1]
    const checks = [...new Set([...stdout.matchAll(/^ {2}([A-Z]) {2}/gm)].map((match) => match[1]))].join(' ')
    if (seed === undefined) missed++
    const found = seed === undefined ? `**not found** ${stderr.trim().slice(-500)}` : `seed ${seed}`
    console.log(
      `| ${mutant.id} | ${mutant.what} | ${found} | ${checks} | ${seeds}${mutant.case === undefined ? '' : ` (${mutant.case})`} |`,
    )
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
process.exitCode = missed > 0 ? 1 : 0
