// The simulator with one kind of fault at a time: processes that come back after others have their tasks, clocks that jump, and every
// answer of the table of broker answers, put into a broker's mouth.
import { createHash } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { NETWORK, type Outcome, outcome, type RequestKind, ROWS, TIMEOUT, UNCLASSIFIED } from '../../src/log/outcome.ts'
import { runsOf } from '../support/tier.ts'
import { CASES } from './cases.ts'
import { seededDraw, tapedDraw } from './chance.ts'
import type { Said } from './log/network.ts'
import { type RunOptions, restoreLimits, simulate } from './run.ts'

const ZOMBIES = runsOf(500, 1_000)
const JUMPS = runsOf(200, 1_000)

afterEach(restoreLimits)

describe('one kind of fault', () => {
  it(`${ZOMBIES} zombies write nothing after they wake: paused while an epoch is open, sealed or being applied`, async () => {
    let zombies = 0
    let seed = 0
    for (; zombies < ZOMBIES; seed++) {
      // every other one of records that wait: their timeouts are work that no input brings along
      const of = seed % 2 === 0 ? {} : { case: 'foreign' }
      const result = await simulate(seededDraw(seed), { ...of, kinds: ['pause', 'ambush'] })
      expect(result.violations, `seed ${seed}, case ${result.case}`).toEqual([])
      zombies += result.zombies
    }
    console.info(`${zombies} zombies in ${seed} runs`)
  }, 300_000)

  it(`${JUMPS} jumps of the wall clock leave no trace: the story is the same as when the clock stands`, async () => {
    const storyOf = async (seed: number, options: RunOptions): Promise<{ hash: string; jumps: number }> => {
      const hash = createHash('sha256')
      const trace = (line: string): void => void hash.update(`${line}\n`)
      const { violations, faults } = await simulate(seededDraw(seed), { ...options, kinds: ['clock'], trace })
      expect(violations, `seed ${seed}`).toEqual([])
      return { hash: hash.digest('hex'), jumps: faults.get('clock') ?? 0 }
    }
    let jumps = 0
    for (let seed = 0; jumps < JUMPS; seed++) {
      const of = { case: (CASES[seed % CASES.length] as (typeof CASES)[number]).name }
      const jumping = await storyOf(seed, of)
      const standing = await storyOf(seed, { ...of, clocksStand: true })
      expect(jumping, `seed ${seed}, ${of.case}`).toEqual(standing)
      jumps += jumping.jumps
    }
  }, 300_000)
})

/** Requests that the simulated client makes; the others are tested on a real broker. */
const KINDS: readonly RequestKind[] = [
  'init',
  'addPartitions',
  'addOffsets',
  'produce',
  'txnOffsets',
  'end',
  'offsetFetch',
  'fetch',
  'listOffsets',
  'join',
  'sync',
  'heartbeat',
  'metadata',
]

/** The first or a later request of a kind is answered so; whether it was done as well is open only where the answer leaves it open. */
interface Asked {
  readonly name: string
  readonly nth: number
  readonly done: boolean
  readonly transactionVersion: 1 | 2
}

const FATAL: ReadonlySet<Outcome> = new Set(['missing', 'range', 'tooLarge', 'stop'])

/** Those with a row, and those that no row needs to name: no answer, no connection, a code of tomorrow. */
function answersTo(kind: RequestKind): Asked[] {
  const named = ROWS.filter(({ kinds }) => kinds.includes(kind)).flatMap(({ names }) => names)
  const asked: Asked[] = []
  for (const name of new Set([...named, NETWORK, TIMEOUT, UNCLASSIFIED, 'A_NAME_OF_TOMORROW']))
    for (const nth of [1, 4])
      for (const done of outcome(kind, name).outcome === 'doubt' ? [false, true] : [false])
        for (const transactionVersion of kind.startsWith('add') ? ([1] as const) : ([1, 2] as const))
          asked.push({ name, nth, done, transactionVersion })
  return asked
}

describe('every answer of the table of broker answers', () => {
  it.each(KINDS)(
    'to %s: the run goes on and holds, or the process ends by name with nothing in part',
    async (kind) => {
      let met = 0
      for (const { name, nth, done, transactionVersion } of answersTo(kind)) {
        let seen = 0
        const onArrival = (_from: string, arrived: RequestKind): Said | null => (arrived === kind && ++seen === nth ? { name, done } : null)
        const { violations } = await simulate(tapedDraw([]), { case: 'sums', transactionVersion, onArrival })
        if (seen >= nth) met++
        const where = `${name} to ${kind} number ${nth}${done ? ', which was done' : ''}, version ${transactionVersion}`
        const meaning = outcome(kind, name).outcome
        if (!FATAL.has(meaning)) expect(violations, `${where} (${meaning})`).toEqual([])
        else {
          // what was not done because the process has ended is no news
          expect(
            violations.filter(({ check }) => check !== 'F' && check !== 'L' && check !== 'S'),
            where,
          ).toEqual([])
          for (const { check, what } of violations) if (check === 'F') expect(what, where).toMatch(/gave up with STREAM_[A-Z_]+: /)
        }
      }
      if (kind !== 'addPartitions' && kind !== 'addOffsets') expect(met).toBeGreaterThan(0)
      console.info(`${kind}: ${met} answers met`)
    },
    120_000,
  )
})
