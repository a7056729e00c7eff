// Runs random histories, with commits and crashes at random points, through a topology, and gives what it put out.
import fc from 'fast-check'
import type { Topology, Windowed } from '../../src/index.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'

export interface Event {
  readonly topic: string
  readonly key: string | null
  readonly value: string | null
  readonly timestamp: number
  readonly partition: number
}
export type Step = Event | 'commit' | 'crash'

/** key, value, timestamp */
export type Out = readonly [key: unknown, value: unknown, timestamp: number]

/** Keys belong to partitions, so that the oracle need not hash: `a0`, `b1`, ... */
export function history(topics: readonly string[], partitions: number, maxTime = 120): fc.Arbitrary<Step[]> {
  const event = fc
    .record({
      topic: fc.constantFrom(...topics),
      letter: fc.constantFrom('a', 'b', 'c', null),
      value: fc.constantFrom('p', 'q', 'r', 's', null),
      // In order on the whole, out of order in the small, now and then a jump.
      step: fc.oneof(
        { weight: 8, arbitrary: fc.integer({ min: -12, max: 9 }) },
        { weight: 1, arbitrary: fc.integer({ min: 10, max: maxTime / 2 }) },
      ),
      partition: fc.nat(partitions - 1),
    })
    .map(({ topic, letter, value, step, partition }) => ({
      topic,
      key: letter === null ? null : `${letter}${partition}`,
      value,
      step,
      partition,
    }))
  const marks = fc.constantFrom('commit' as const, 'crash' as const)
  return fc.array(fc.oneof({ weight: 6, arbitrary: event }, { weight: 1, arbitrary: marks }), { maxLength: 60 }).map((steps) => {
    let time = 0
    return steps.map((each): Step => {
      if (typeof each === 'string') return each
      time = Math.max(0, time + each.step)
      return { topic: each.topic, key: each.key, value: each.value, partition: each.partition, timestamp: time }
    })
  })
}

export async function play(topology: Topology, partitions: number, steps: readonly Step[], topic = 'out'): Promise<Out[][]> {
  const driver = new TopologyTestDriver(topology, { partitions })
  try {
    const inputs = new Map<string, ReturnType<typeof driver.input>>()
    for (const step of steps) {
      if (step === 'commit') await driver.commit()
      else if (step === 'crash') await driver.crash()
      else {
        const input = inputs.get(step.topic) ?? driver.input(step.topic)
        inputs.set(step.topic, input)
        const { topic: _, ...record } = step
        await input.pipe(record)
      }
    }
    const outs: Out[][] = Array.from({ length: partitions }, () => [])
    for (const { key, value, timestamp } of driver.output(topic).readAll()) {
      const name = typeof key === 'string' ? key : (key as Windowed<string>).key
      outs[Number(name.at(-1))]?.push([key, value, timestamp])
    }
    return outs
  } finally {
    await driver.close()
  }
}

export function eventsOf(steps: readonly Step[], partition: number): Event[] {
  return steps.filter((step): step is Event => typeof step !== 'string' && step.partition === partition)
}
