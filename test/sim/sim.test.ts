// The simulator in every test run: the same seed is the same story, and a bounded number of seeds holds all checks. More of them:
// npm run sim -- --seeds 100000. What a seed does: npm run sim -- --seed 7 --trace.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/base/limits.ts'
import { CASES } from './cases.ts'
import { seededDraw } from './chance.ts'
import { MUTANTS } from './mutant-list.ts'
import { restoreLimits, simulate } from './run.ts'

const SEEDS = 2_000
const BUDGET_MS = 60_000

/** Seeds that were wrong once. They tell the same story while nothing draws differently; what was wrong is planted in mutant-list.ts too. */
const FOUND = JSON.parse(readFileSync(new URL('./seeds.json', import.meta.url), 'utf8')) as { seed: number; case: string; found: string }[]

async function traceOf(seed: number): Promise<{ lines: number; hash: string }> {
  const hash = createHash('sha256')
  let lines = 0
  await simulate(seededDraw(seed), {
    trace: (line) => {
      hash.update(`${line}\n`)
      lines++
    },
  })
  return { lines, hash: hash.digest('hex') }
}

describe('the simulator', () => {
  afterEach(restoreLimits)

  it('tells the same story for the same seed, another for another', async () => {
    const seen = new Set<string>()
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const first = await traceOf(seed)
      expect(first.lines).toBeGreaterThan(100)
      expect(await traceOf(seed), `seed ${seed}`).toEqual(first)
      seen.add(first.hash)
    }
    expect(seen.size).toBe(6)
  })

  it('leaves the bounds of the product as they were', async () => {
    const before = { ...LIMITS }
    await simulate(seededDraw(7))
    expect(LIMITS).toEqual(before)
  })

  it.each(FOUND)('seed $seed of $case holds: $found', async ({ seed, case: name }) => {
    const { violations } = await simulate(seededDraw(seed), { case: name })
    expect(violations).toEqual([])
  })

  it('knows where to plant each of its bugs (npm run sim:mutants looks for them)', () => {
    for (const { id, edits } of MUTANTS) {
      for (const { file, from } of edits) {
        const text = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
        expect(
          text.split(from).length - 1,
          `the place of mutant ${id} in ${file} has changed: say in test/sim/mutant-list.ts where it is now`,
        ).toBe(1)
      }
    }
  })

  it(
    `holds over seeds 1 to ${SEEDS}, or as many as ${BUDGET_MS / 1000} s allow`,
    async () => {
      const end = performance.now() + BUDGET_MS
      const cases = new Set<string>()
      const faults = new Set<string>()
      let seeds = 0
      for (let seed = 1; seed <= SEEDS && performance.now() < end; seed++) {
        const result = await simulate(seededDraw(seed))
        const again = `npm run sim -- --seed ${seed} --trace`
        expect(result.violations, `seed ${seed}; to see it: ${again}`).toEqual([])
        cases.add(result.case)
        for (const kind of result.faults.keys()) faults.add(kind)
        seeds++
      }
      expect(seeds, 'the machine is too slow to say anything').toBeGreaterThan(100)
      console.info(`${seeds} seeds`)
      expect(cases.size).toBe(CASES.length)
      expect(faults.size, [...faults].join(' ')).toBeGreaterThan(5)
    },
    BUDGET_MS + 20_000,
  )
})
