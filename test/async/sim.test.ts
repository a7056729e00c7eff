// The cases of the simulator that wait for something outside of their task. More seeds: npm run sim -- --seeds 10000 --case held (or called, blocked).
import { afterEach, expect, test } from 'vitest'
import { seededDraw } from '../sim/chance.ts'
import { restoreLimits, simulate } from '../sim/run.ts'
import { runsOf } from '../support/tier.ts'

const SEEDS = runsOf(40, 150)

afterEach(restoreLimits)

test.each(['held', 'called', 'blocked'])(`%s holds over ${SEEDS} seeds`, { timeout: 60_000 + SEEDS * 1_000 }, async (name) => {
  let faults = 0
  for (let seed = 1; seed <= SEEDS; seed++) {
    const result = await simulate(seededDraw(seed), { case: name })
    expect(result.violations, `seed ${seed}; to see it: npm run sim -- --seed ${seed} --trace --case ${name}`).toEqual([])
    for (const count of result.faults.values()) faults += count
  }
  expect(faults).toBeGreaterThan(SEEDS)
})
