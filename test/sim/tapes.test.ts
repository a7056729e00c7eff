// Tapes of choices instead of seeds: what fails shrinks to the few choices that matter. Each tape is one run under all checks.
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { ran } from '../support/bars.ts'
import { runsOf } from '../support/tier.ts'
import { CASES } from './cases.ts'
import { tapedDraw } from './chance.ts'
import { restoreLimits, simulate } from './run.ts'

const TAPES = runsOf(1_000, 20_000)
const LIMIT_MS = runsOf(60_000, 300_000)

describe('tapes', () => {
  afterEach(restoreLimits)

  it('one of nothing is a run without faults', async () => {
    for (const { name } of CASES) {
      const { violations, guarantee, faults, restarts, transactions } = await simulate(tapedDraw([]), { case: name })
      expect(violations).toEqual([])
      expect(faults.size).toBe(0)
      expect(restarts).toBe(0)
      if (guarantee === 'exactly_once') expect(transactions.committed).toBeGreaterThan(0)
      expect(transactions.aborted).toBe(0)
    }
  })

  it(
    `property: ${TAPES} of them, or as many as ${LIMIT_MS / 1000} s allow, hold; one that does not shrinks to its few faults`,
    async () => {
      const tape = fc.array(fc.nat(9_999), { maxLength: 300, size: 'max' })
      let runs = 0
      await fc.assert(
        fc.asyncProperty(tape, fc.constantFrom(...CASES), async (choices, { name }) => {
          runs++
          const { violations } = await simulate(tapedDraw(choices), { case: name })
          expect(violations).toEqual([])
        }),
        { numRuns: TAPES, interruptAfterTimeLimit: LIMIT_MS, markInterruptAsFailure: false },
      )
      expect(runs, 'the machine is too slow to say anything').toBeGreaterThan(50)
      console.info(`${runs} tapes`)
      ran('2', runs)
    },
    LIMIT_MS * 2,
  )
})
