// Counts for .ci/run: reads the report of a suite and prints `passed failed`.
//   node scripts/ci-counts.ts vitest FILE              a JSON report of vitest; a missing one or one without tests is one failure
//   node scripts/ci-counts.ts seeds FILE               the output of many seeds of the simulator
//   node scripts/ci-counts.ts mutants FILE             the output of the search for planted bugs
//   node scripts/ci-counts.ts conformance FILE LIST    the output of the conformance runner and the topologies out of reach
//
// 1. A topology out of reach is left out of the counts, but must fail: one that passes counts as a failure, so that the list shrinks.
// 2. A name on the list that no topology has is a failure too.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Counts, conformanceCounts, mutantCounts, seedCounts, vitestCounts } from './counts.ts'

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function counts(): Counts {
  const [kind, file = '', list = ''] = process.argv.slice(2)
  if (kind === 'vitest') return vitestCounts(read(file))
  if (kind === 'seeds') return seedCounts(read(file))
  if (kind === 'mutants') return mutantCounts(read(file))
  if (kind === 'conformance') return conformanceCounts(read(file), read(list))
  throw new Error(`say vitest, seeds, mutants or conformance, not ${kind}`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { passed, failed, notes } = counts()
  for (const note of notes) process.stderr.write(`${note}\n`)
  process.stdout.write(`${passed} ${failed}\n`)
}
