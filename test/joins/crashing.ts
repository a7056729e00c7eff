// Random input for joins, out of order, with commits and crashes at random places; what came out, by partition.
import fc from 'fast-check'
import { partitionOf } from '../../src/base/murmur2.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'
import type { Topology } from '../../src/topology/node.ts'

export interface Input {
  readonly topic: string
  readonly key: string | null
  readonly value: string | null
  readonly timestamp: number
}

export type Step = Input | 'commit' | 'crash'
export type Output = readonly [key: string | null, value: string | null, timestamp: number]

export interface Choices {
  readonly topics: readonly string[]
  readonly keys: readonly (string | null)[]
  readonly timeMax: number
  readonly steps: number
}

/** Time goes forward by small steps and falls back; now and then it jumps. Values tell the records apart. */
export function steps({ topics, keys, timeMax, steps: length }: Choices): fc.Arbitrary<Step[]> {
  const record = fc.record({
    topic: fc.constantFrom(...topics),
    key: fc.constantFrom(...keys),
    gone: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    step: fc.oneof({ weight: 9, arbitrary: fc.integer({ min: -timeMax, max: timeMax }) }, fc.constant(6 * timeMax)),
  })
  const step = fc.oneof(
    { weight: 12, arbitrary: record },
    { weight: 1, arbitrary: fc.constant('commit' as const) },
    { weight: 1, arbitrary: fc.constant('crash' as const) },
  )
  return fc.array(step, { maxLength: length, size: 'max' }).map((drawn) => {
    let time = 0
    return drawn.map((each, n): Step => {
      if (typeof each === 'string') return each
      time = Math.max(0, time + each.step)
      return { topic: each.topic, key: each.key, value: each.gone ? null : `${each.topic[0]}${n}`, timestamp: time }
    })
  })
}

export const inputsOf = (all: readonly Step[]): Input[] => all.filter((step) => typeof step !== 'string')

export function partitionOfInput({ key }: Input, partitions: number): number {
  return key === null ? 0 : partitionOf(Buffer.from(key), partitions)
}

/** What the topology writes to `out`, by partition, in order. */
export async function play(topology: Topology, partitions: number, all: readonly Step[]): Promise<Output[][]> {
  const driver = new TopologyTestDriver(topology, { partitions })
  try {
    for (const step of all) {
      if (step === 'commit') await driver.commit()
      else if (step === 'crash') await driver.crash()
      else await driver.input(step.topic).pipe(step)
    }
    await driver.commit()
    const written = driver.output<string, string>('out').readAll()
    expectNoDeadLetters(driver)
    return Array.from({ length: partitions }, (_, partition) =>
      written.filter((record) => record.partition === partition).map(({ key, value, timestamp }): Output => [key, value, timestamp]),
    )
  } finally {
    await driver.close()
  }
}

function expectNoDeadLetters(driver: TopologyTestDriver): void {
  const [letter] = driver.output('joins-dead-letter').readAll()
  if (letter !== undefined) throw new Error(`a dead letter: ${JSON.stringify(letter.headers)}`)
}

/** Runs an oracle on each partition's records by itself. */
export function expectedBy(partitions: number, all: readonly Step[], oracle: (inputs: readonly Input[]) => Output[]): Output[][] {
  const inputs = inputsOf(all)
  return Array.from({ length: partitions }, (_, partition) =>
    oracle(inputs.filter((input) => partitionOfInput(input, partitions) === partition)),
  )
}
