// Engagements under disorder: a user's in their order, causes first, one that hangs expires after 30 s and the next moves up.
import fc from 'fast-check'
import { duplicated, interleavings, TopologyTestDriver } from 'millrace/testing'
import { expect, test } from 'vitest'
import { engaging, judgeCauses, judgeEngagements } from '../../scripts/scenario/engagements.ts'
import type { Sent } from '../../scripts/scenario/scenario.ts'
import { type Engagement, engagements, type Outcome } from '../../topologies/engagements/engagements.ts'
import { seeded } from '../support/seeded.ts'
import { runsOf } from '../support/tier.ts'

const by = (key: string, id: string, options: Partial<Engagement> = {}): Sent => ({
  topic: 'engagements',
  key,
  value: { id, kind: 'post', ...options } satisfies Engagement,
})
const pipe = async (driver: TopologyTestDriver, ...sent: readonly Sent[]): Promise<void> => {
  for (const { topic, key, value } of sent) await driver.input(topic).pipe({ key, value })
}
const written = (driver: TopologyTestDriver, topic = 'engagement-outcomes'): Sent[] =>
  driver
    .output(topic)
    .readAll()
    .map(({ key, value }) => ({ topic, key, value }))
const outcomes = (driver: TopologyTestDriver): string[] =>
  written(driver).map(({ value }) => `${(value as Outcome).id} ${(value as Outcome).outcome}`)
/** One whose delivery never ends, but for its time. */
const hangs = (...ids: readonly string[]) =>
  engagements((what) => (ids.includes((what as Engagement).id) ? new Promise<never>(() => {}) : Promise.resolve({})))

test('any interleaving of the users, twice, with crashes: each delivered once, users in their order, causes first', async () => {
  const arrivals = fc.nat().chain((seed) => {
    const all = engaging(seeded(seed), 15)
    return duplicated(interleavings(['ada', 'bob', 'cyd'].map((user) => all.filter(({ key }) => key === user))))
  })
  await fc.assert(
    fc.asyncProperty(
      arrivals,
      fc.array(fc.nat(1000), { maxLength: 3 }),
      fc.integer({ min: 1, max: 3 }),
      async (given, crashes, partitions) => {
        const sent = given as Sent[]
        await using driver = new TopologyTestDriver(hangs(), { partitions })
        for (const [i, one] of sent.entries()) {
          await pipe(driver, one)
          if (i % 6 === 5) await driver.commit()
          if (crashes.some((at) => Math.floor((at * sent.length) / 1001) === i)) await driver.crash()
        }
        await driver.settle()
        const seen = written(driver)
        expect([...judgeEngagements(sent, seen), ...judgeCauses(sent, seen)]).toEqual([])
      },
    ),
    { numRuns: runsOf(60, 240) },
  )
})

test('one that hangs holds up its user for 30 s, also over a crash; then it has expired and the next moves up', async () => {
  await using driver = new TopologyTestDriver(hangs('a1'))
  await pipe(driver, by('ada', 'a1'), by('ada', 'a2'), by('bob', 'b1'))
  await driver.commit()
  expect(outcomes(driver)).toEqual(['b1 delivered'])
  await driver.advance('29s')
  await driver.crash()
  expect(outcomes(driver)).toEqual([])
  await driver.advance('1s')
  await driver.settle()
  expect(outcomes(driver)).toEqual(['a1 expired', 'a2 delivered'])
})

test('what waits for a cause that never comes is a dead letter after 30 s, and the next of its user moves up', async () => {
  await using driver = new TopologyTestDriver(hangs(), { partitions: 2 })
  await pipe(driver, by('ada', 'a1', { after: ['nowhere'] }), by('ada', 'a2'), by('bob', 'b1'))
  expect(outcomes(driver)).toEqual(['b1 delivered'])
  await driver.advance('29s')
  expect(outcomes(driver)).toEqual([])
  await driver.advance('1s')
  await driver.settle()
  expect(outcomes(driver)).toEqual(['a2 delivered'])
  expect(written(driver, 'engagements-dead-letter')).toHaveLength(1)
})

test('a cause counts when it was delivered, not when it came', async () => {
  await using driver = new TopologyTestDriver(hangs('slow'))
  await pipe(driver, by('ada', 'slow'), by('bob', 'reply', { after: ['slow'] }), by('cyd', 'post'), by('cyd', 'like', { after: ['post'] }))
  await driver.settle()
  expect(outcomes(driver)).toEqual(['post delivered', 'like delivered'])
})

test('unordered skips the queue, also one that waits for a cause', async () => {
  await using driver = new TopologyTestDriver(hangs('a1'))
  await pipe(driver, by('ada', 'a1'), by('ada', 'a2', { unordered: true }), by('ada', 'a3'))
  await pipe(driver, by('bob', 'b1', { after: ['nowhere'] }), by('bob', 'b2', { unordered: true }), by('bob', 'b3'))
  await driver.settle()
  expect(outcomes(driver)).toEqual(['a2 delivered', 'b2 delivered'])
})
