// The foreign-key join under a schedule that fast-check owns: internal messages wait as long as it likes, come in any order and again.
// Whatever it does, the result is the join of the two final tables.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ForeignKeyWorld, type Mutant, type Step } from './foreign-key-world.ts'
import { KafkaStreamsWorld } from './kafka-streams-world.ts'
import { runsOf } from '../support/tier.ts'

/** A few keys make for entangled histories, more of them (prefixes of each other, and empty) for mixed-up ones. */
function stepsOver(keys: readonly string[], foreignKeys: readonly string[]): fc.Arbitrary<readonly Step[]> {
  const kind = <K extends Step['kind']>(name: K) => fc.constant(name)
  const at = fc.nat(50)
  const key = fc.constantFrom(...keys)
  const foreignKey = fc.constantFrom(...foreignKeys)
  const again = fc.nat(5).map((n) => n === 0)
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: kind('left'), key, foreignKey: fc.option(foreignKey), at }) },
    { weight: 1, arbitrary: fc.record({ kind: kind('leftDelete'), key, at }) },
    { weight: 4, arbitrary: fc.record({ kind: kind('right'), key: foreignKey, present: fc.boolean(), at }) },
    { weight: 7, arbitrary: fc.record({ kind: kind('deliver'), which: fc.nat(1000), again }) },
  )
  return fc.array(step, { minLength: 5, maxLength: 60 })
}
const schedule = fc.record({
  steps: fc.oneof(stepsOver(['', 'a', 'ab', 'b'], ['', 'x', 'xx', 'y']), stepsOver(['a'], ['x', 'y'])),
  rest: fc.array(fc.nat(1000), { minLength: 20, maxLength: 20 }),
  leftPartitions: fc.integer({ min: 1, max: 3 }),
  rightPartitions: fc.integer({ min: 1, max: 3 }),
})

describe.each(['inner', 'left'] as const)('%s', (type) => {
  test('the result is the join of the final tables, whatever the order of internal messages', () => {
    fc.assert(
      fc.property(schedule, ({ steps, rest, leftPartitions, rightPartitions }) => {
        const world = new ForeignKeyWorld(type, leftPartitions, rightPartitions)
        for (const each of steps) world.run(each)
        world.drain(rest)
        expect(world.result()).toEqual(world.expected())
        expect(world.downstream()).toEqual(world.expected())
        expect(world.oldsWereRight).toBe(true)
      }),
      { numRuns: runsOf(1_000, 20_000) },
    )
  })

  test('no subscription stays behind when channels keep their order', () => {
    fc.assert(
      fc.property(schedule, ({ steps, leftPartitions, rightPartitions }) => {
        const world = new ForeignKeyWorld(type, leftPartitions, rightPartitions)
        for (const each of steps) if (each.kind !== 'deliver') world.run(each)
        world.drain([])
        expect(world.result()).toEqual(world.expected())
        expect(world.subscriptions()).toBe(world.leftRowsWithForeignKey())
      }),
      { numRuns: 200 },
    )
  })
})

interface World {
  run(step: Step): void
  drain(picks: readonly number[]): void
  result(): Map<string, string>
  expected(): Map<string, string>
}

function findsWrongTable(world: (leftPartitions: number, rightPartitions: number) => World): boolean {
  const property = fc.property(schedule, ({ steps, rest, leftPartitions, rightPartitions }) => {
    const under = world(leftPartitions, rightPartitions)
    for (const each of steps) under.run(each)
    under.drain(rest)
    const sorted = (rows: Map<string, string>): string => JSON.stringify([...rows].sort())
    return sorted(under.result()) === sorted(under.expected())
  })
  // One seed: 1whether a mutant is found must not hang on the day.
  return fc.check(property, { numRuns: 20_000, endOnFailure: true, seed: 1 }).failed
}

describe('what the property is worth: a rule of the protocol taken away makes it fail', () => {
  const mutants: Record<string, Mutant> = {
    'answers to another sequence are believed': { response: 'anySequence' },
    'an answer with a lower counter is believed': { response: 'anyCounter' },
    'absence is not told': { response: 'dropAbsent' },
    'older subscriptions are applied': { subscription: 'anySequence' },
  }
  test.each(Object.entries(mutants))('%s', (_name, mutant) => {
    expect(findsWrongTable((left, right) => new ForeignKeyWorld('inner', left, right, mutant))).toBe(true)
  })

  test("Kafka Streams' rules", () => expect(findsWrongTable(() => new KafkaStreamsWorld())).toBe(true))

  test("Kafka Streams' rules go wrong even when every channel keeps its order", () => {
    // Joined; then two quick changes to a row that does not exist. The retraction carries the hash of the first of them.
    const history: Step[] = [
      { kind: 'right', key: 'c1', present: true, at: 1 },
      { kind: 'left', key: 'p', foreignKey: 'c1', at: 2 },
      { kind: 'deliver', which: 0, again: false },
      { kind: 'deliver', which: 0, again: false },
      { kind: 'left', key: 'p', foreignKey: 'c999', at: 3 },
      { kind: 'left', key: 'p', foreignKey: 'c999', at: 4 },
    ]
    const theirs = new KafkaStreamsWorld()
    const ours = new ForeignKeyWorld('inner', 1, 1)
    for (const world of [theirs, ours]) {
      for (const each of history) world.run(each)
      world.drain([])
      expect(world.expected()).toEqual(new Map())
    }
    expect(theirs.result()).toEqual(new Map([['p', 'p:2/R1']]))
    expect(ours.result()).toEqual(new Map())
  })
})
