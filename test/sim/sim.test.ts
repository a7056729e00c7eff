// The simulator in every test run: the same seed is the same story, and a bounded number of seeds holds all checks. More of them:
// npm run sim -- --seeds 100000. What a seed does: npm run sim -- --seed 7 --trace.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/base/limits.ts'
import { CASES } from './cases.ts'
import { seededDraw, tapedDraw } from './chance.ts'
import { MUTANTS } from './mutant-list.ts'
import { restoreLimits, simulate } from './run.ts'

const SEEDS = 500
const BUDGET_MS = 8_000

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

  it('a tape of nothing is a run without faults', async () => {
    for (const { name } of CASES) {
      const { violations, guarantee, faults, restarts, transactions } = await simulate(tapedDraw([]), { case: name })
      expect(violations).toEqual([])
      expect(faults.size).toBe(0)
      expect(restarts).toBe(0)
      if (guarantee === 'exactly_once') expect(transactions.committed).toBeGreaterThan(0)
      expect(transactions.aborted).toBe(0)
    }
  })

  it('property: holds over any tape of choices; one that does not shrinks to its few faults', async () => {
    const tape = fc.array(fc.nat(9_999), { maxLength: 300, size: 'max' })
    await fc.assert(
      fc.asyncProperty(tape, async (choices) => {
        const { violations } = await simulate(tapedDraw(choices))
        expect(violations).toEqual([])
      }),
      { numRuns: 60, interruptAfterTimeLimit: 5_000, markInterruptAsFailure: false },
    )
  }, 120_000)

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
      expect(seeds, 'the machine is too slow to say anything').toBeGreaterThan(20)
      expect(cases.size).toBe(CASES.length)
      expect(faults.size, [...faults].join(' ')).toBeGreaterThan(5)
    },
    BUDGET_MS + 20_000,
  )
})
