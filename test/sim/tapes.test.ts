// Tapes of choices instead of seeds: what fails shrinks to the few choices that matter. Each tape is one run under all checks.
//
// 1. Faults have a tape of their own, and input is drawn apart: on one tape for everything the input would take most of the choices, and
//    nearly no run would have a fault.
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { ran } from '../support/bars.ts'
import { runsOf } from '../support/tier.ts'
import { CASES } from './cases.ts'
import { seededDraw, tapedDraw } from './chance.ts'
import { restoreLimits, simulate } from './run.ts'

const TAPES = runsOf(1_000, 20_000)
const LIMIT_MS = runsOf(60_000, 420_000)

/** Shorter than a seed's: what counts is where a fault comes. */
const STORM = { ms: 1_000, recordsMax: 40 }
const tape = (maxLength: number) => fc.array(fc.nat(9_999), { maxLength, size: 'max' })
const story = fc.record({
  all: tape(200),
  faults: tape(150),
  /** What comes behind the end of the first tape: nothing, or by a seed. */
  past: fc.oneof(fc.constant(0), fc.nat()),
  input: fc.nat(),
  of: fc.constantFrom(...CASES),
})

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
      let [runs, struck] = [0, 0]
      await fc.assert(
        fc.asyncProperty(story, async ({ all, faults, past, input, of }) => {
          const draw = tapedDraw(all, past === 0 ? undefined : seededDraw(past))
          const apart = { input: seededDraw(input), faults: tapedDraw(faults) }
          const result = await simulate(draw, { case: of.name, apart, storm: STORM })
          expect(result.violations).toEqual([])
          runs++
          if (result.faults.size > 0) struck++
        }),
        { numRuns: TAPES, interruptAfterTimeLimit: LIMIT_MS, markInterruptAsFailure: false },
      )
      expect(runs, 'the machine is too slow to say anything').toBeGreaterThan(50)
      expect(struck, 'runs with faults').toBeGreaterThan(runs / 2)
      console.info(`${runs} tapes, ${struck} of them with faults`)
      ran('2', runs)
    },
    LIMIT_MS * 2,
  )
})
