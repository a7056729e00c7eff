// Each stateful operator, over random histories on 1 to 3 partitions: what it puts out and what it keeps do not depend on where its stores
// are, nor on when it commits and crashes. What is right is asked elsewhere, by an oracle each; here all ways are held against one.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { operators } from '../../src/operators/index.ts'
import { plan } from '../../src/topology/plan.ts'
import { LEVEL_EACH_STEP, PLAIN, run, type Step, waysOf } from '../support/every-step.ts'
import { runsOf } from '../support/tier.ts'
import { STATEFUL } from './stateful-flows.ts'

const KEYS = ['a', 'b', 'c', 'p', 'q'] as const
const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      topic: fc.constantFrom('in', 'in', 'other'),
      key: fc.option(fc.constantFrom(...KEYS), { freq: 12 }),
      value: fc.option(fc.constantFrom('p', 'q', 'r', 's'), { freq: 6 }),
      ahead: fc.oneof(
        { weight: 9, arbitrary: fc.integer({ min: -9, max: 9 }) },
        { weight: 1, arbitrary: fc.integer({ min: 10, max: 70 }) },
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ advanceMs: fc.integer({ min: 1, max: 20 }) }) },
)

/** Time goes forward on the whole, and falls back in the small. */
const history = (most: number): fc.Arbitrary<Step[]> =>
  fc.array(step, { minLength: Math.floor(most / 2), maxLength: most, size: 'max' }).map((drawn) => {
    let time = 0
    return drawn.map((each): Step => {
      if ('advanceMs' in each) return each
      time = Math.max(0, time + each.ahead)
      return { topic: each.topic, key: each.key, value: each.value, timestamp: time }
    })
  })

describe.each([...STATEFUL.keys()])('%s', (name) => {
  const topology = STATEFUL.get(name) as NonNullable<ReturnType<typeof STATEFUL.get>>
  const read = new Set(plan(topology, 'x').inputs)
  const cases = (most: number) =>
    fc.record({
      partitions: fc.integer({ min: 1, max: 3 }),
      steps: history(most).map((steps) => steps.filter((each) => 'advanceMs' in each || read.has(each.topic))),
      at: fc.nat(most),
    })

  test('wherever its stores are, whenever it commits and crashes', { timeout: 300_000 }, async () => {
    let outputs = 0
    await fc.assert(
      fc.asyncProperty(cases(24), async ({ partitions, steps, at }) => {
        const plain = await run(topology, partitions, steps, PLAIN)
        outputs += Object.values(plain.outputs).flat().length
        for (const way of waysOf(at))
          expect({ way: way.name, ...(await run(topology, partitions, steps, way)) }).toEqual({ way: way.name, ...plain })
      }),
      { numRuns: runsOf(2, 6) },
    )
    // The few histories of a quick run may all be without a match: then one with outputs is looked for, so that this can't pass by silence.
    for (const { partitions, steps } of outputs > 0 ? [] : fc.sample(cases(24), 200)) {
      outputs += Object.values((await run(topology, partitions, steps, PLAIN)).outputs).flat().length
      if (outputs > 0) break
    }
    expect(outputs).toBeGreaterThan(0)
  })

  test('on LevelDB, a crash behind each step', { timeout: 300_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(cases(8), async ({ steps }) => {
        expect(await run(topology, 1, steps, LEVEL_EACH_STEP)).toEqual(await run(topology, 1, steps, PLAIN))
      }),
      { numRuns: runsOf(1, 2) },
    )
  })
})

test('no stateful operator is left out', () => {
  const kinds = new Set<string>()
  for (const made of STATEFUL.values())
    for (const sub of plan(made, 'x').subTopologies) for (const { operator } of sub.nodes) kinds.add(operator.kind)
  const stateless = [
    'filter',
    'filterNot',
    'map',
    'mapValues',
    'flatMap',
    'flatMapValues',
    'selectKey',
    'peek',
    'forEach',
    'merge',
    'split',
    'branch',
  ]
  const elsewhere = ['processValues', 'blockKey'] // as `process` is; test/block
  const missing = Object.keys(operators).filter((kind) => !kinds.has(kind) && !stateless.includes(kind) && !elsewhere.includes(kind))
  expect(missing).toEqual([])
})
