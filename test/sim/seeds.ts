// Many runs, one after the other, and their sums: plain data, so that other processes can do a share of them.
import { seededDraw } from './chance.ts'
import type { CheckName, Violation } from './history.ts'
import { type RunOptions, simulate } from './run.ts'

export interface Totals {
  readonly seeds: number
  /** Seeds with violations, none of them of a check that was asked for. */
  readonly aside: number
  readonly events: number
  readonly faults: number
  readonly restarts: number
  readonly committed: number
  readonly aborted: number
}

export const NO_RUNS: Totals = { seeds: 0, aside: 0, events: 0, faults: 0, restarts: 0, committed: 0, aborted: 0 }

export interface SeedOptions extends Pick<RunOptions, 'case' | 'kinds'> {
  /** Only these count; left out: all of them. */
  readonly checks?: readonly CheckName[]
}

/** A seed with violations. */
export interface Bad {
  readonly seed: number
  readonly case: string
  readonly events: number
  readonly violations: readonly Violation[]
}

export function add(a: Totals, b: Totals): Totals {
  return {
    seeds: a.seeds + b.seeds,
    aside: a.aside + b.aside,
    events: a.events + b.events,
    faults: a.faults + b.faults,
    restarts: a.restarts + b.restarts,
    committed: a.committed + b.committed,
    aborted: a.aborted + b.aborted,
  }
}

/** Until `onBad` says that it is enough. */
export async function runSeeds(from: number, count: number, options: SeedOptions, onBad: (bad: Bad) => boolean): Promise<Totals> {
  let totals = NO_RUNS
  for (let seed = from; seed < from + count; seed++) {
    const { events, restarts, faults, transactions, violations, case: name } = await simulate(seededDraw(seed), options)
    const struck = [...faults.values()].reduce((sum, n) => sum + n, 0)
    const isBad = violations.some(({ check }) => options.checks?.includes(check) ?? true)
    const aside = violations.length > 0 && !isBad ? 1 : 0
    totals = add(totals, { seeds: 1, aside, events, restarts, faults: struck, ...transactions })
    if (isBad && !onBad({ seed, case: name, events, violations })) break
  }
  return totals
}
