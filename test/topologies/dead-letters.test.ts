// A record that cannot be processed goes to the dead letters with its origin, and leaves no other trace: the rest of the topology is as
// if it had never come, wherever it stands and whatever it did before it threw.
import fc from 'fast-check'
import { int64, json, string, topology } from 'millrace'
import { TopologyTestDriver } from 'millrace/testing'
import { expect, test } from 'vitest'
import { withoutStacks } from '../support/many.ts'
import { runsOf } from '../support/tier.ts'

interface Payment {
  cents: number
  /** Where this record goes wrong. */
  wrong?: 'guard' | 'before' | 'after' | 'write'
}

const payments = topology('payments', (t) => {
  const all = t.stream('payments', { key: string(), value: json<Payment>((v) => (v as Payment).wrong !== 'guard') })
  all
    .peek(({ wrong }) => {
      if (wrong === 'before') throw new Error('before the store')
    })
    .groupByKey()
    .aggregate(
      () => 0,
      (sum, { cents }) => sum + cents,
      { store: 'sums' },
    )
    .toStream()
    .to('sums', { key: string(), value: json<number>() })
  // Runs behind the aggregate: what that wrote and sent for the same record has to be undone.
  all
    .mapValues(({ wrong, cents }) => {
      if (wrong === 'after') throw new Error('after the store')
      return wrong === 'write' ? 0.5 : cents
    })
    .to('cents', { key: string(), value: int64() })
})

const steps = fc.array(
  fc.record({
    key: fc.constantFrom('a', 'b', 'c'),
    cents: fc.nat(1_000),
    wrong: fc.option(fc.constantFrom('guard', 'before', 'after', 'write'), { freq: 2, nil: undefined }),
    at: fc.nat(2),
    next: fc.constantFrom('nothing', 'nothing', 'commit', 'crash'),
  }),
  { maxLength: 30 },
)
const exceptions = { guard: 'STREAM_SERDE', before: 'STREAM_CALLBACK', after: 'STREAM_CALLBACK', write: 'STREAM_SERDE' }

interface Step {
  readonly key: string
  readonly value: Payment
  readonly timestamp: number
  readonly partition: number
  readonly next: string
}

async function outputsOf(
  given: readonly Step[],
  partitions: number,
): Promise<readonly [sums: unknown[], cents: unknown[], letters: unknown[]]> {
  await using driver = new TopologyTestDriver(payments, { partitions })
  for (const { next, timestamp, ...record } of given) {
    await driver.input('payments').pipe({ ...record, timestamp, headers: { trace: `${timestamp}` } })
    if (next === 'commit' || next === 'crash') await driver[next]()
  }
  const [sums, cents, letters] = ['sums', 'cents', 'payments-dead-letter'].map((topic) => driver.output(topic).readAll())
  return [sums as unknown[], cents as unknown[], letters as unknown[]]
}

function letterOf({ key, value, timestamp, partition }: Step, offset: number): object {
  const headers = {
    trace: `${timestamp}`,
    '__streams.errors.exception': exceptions[value.wrong as NonNullable<Payment['wrong']>],
    '__streams.errors.message': expect.stringMatching(/./),
    '__streams.errors.stacktrace': expect.any(String),
    '__streams.errors.topic': 'payments',
    '__streams.errors.partition': `${partition}`,
    '__streams.errors.offset': `${offset}`,
  }
  return { key, value: JSON.stringify(value), timestamp, partition, headers }
}

test('bad records leave no trace but their dead letters, which say where they came from', async () => {
  const property = fc.asyncProperty(steps, fc.integer({ min: 1, max: 3 }), async (drawn, partitions) => {
    const all = drawn.map(({ key, cents, wrong, at, next }, timestamp): Step => {
      return { key, value: wrong === undefined ? { cents } : { cents, wrong }, timestamp, partition: at % partitions, next }
    })
    const bad = ({ value }: Step): boolean => value.wrong !== undefined
    const offsetOf = (step: Step): number => all.filter(({ partition }) => partition === step.partition).indexOf(step)
    const [sums, cents, letters] = await outputsOf(all, partitions)
    expect([sums, cents, []]).toEqual(
      await outputsOf(
        all.filter((step) => !bad(step)),
        partitions,
      ),
    )
    expect(letters).toEqual(all.filter(bad).map((step) => letterOf(step, offsetOf(step))))
  })
  await withoutStacks(() => fc.assert(property, { numRuns: runsOf(150, 3_000) }))
})
