// The foreign-key join under a schedule that fast-check owns: internal messages wait as long as it likes, come in any order and again.
// Whatever it does, the result is the join of the two final tables.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ForeignKeyWorld, type Mutant, type Step } from './foreign-key-world.ts'
import { KafkaStreamsWorld } from './kafka-streams-world.ts'

const KEYS = ['', 'a', 'ab', 'b']
const FOREIGN = ['', 'x', 'xx', 'y']

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('left' as const),
      key: fc.constantFrom(...KEYS),
      foreignKey: fc.option(fc.constantFrom(...FOREIGN)),
      at: fc.nat(50),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leftDelete' as const), key: fc.constantFrom(...KEYS), at: fc.nat(50) }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('right' as const), key: fc.constantFrom(...FOREIGN), present: fc.boolean(), at: fc.nat(50) }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      kind: fc.constant('deliver' as const),
      which: fc.nat(1000),
      again: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
    }),
  },
)
const schedule = fc.record({
  steps: fc.array(step, { minLength: 5, maxLength: 60 }),
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
      { numRuns: 1000 },
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
  return fc.check(property, { numRuns: 3000, endOnFailure: true }).failed
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
