// The order pipeline: any order of arrival gives the same strict steps; a hot order that is slow holds up itself only.
import fc from 'fast-check'
import { duplicated, replayed, TopologyTestDriver } from 'millrace/testing'
import { expect, test } from 'vitest'
import { eventsOf, HOT, judgePipeline } from '../../scripts/scenario/pipeline.ts'
import type { Sent } from '../../scripts/scenario/scenario.ts'
import { type OrderEvent, pipeline, type Step } from '../../topologies/pipeline/pipeline.ts'
import { seeded } from '../support/seeded.ts'
import { runsOf } from '../support/tier.ts'

const written = (driver: TopologyTestDriver): Sent[] =>
  driver
    .output('order-steps')
    .readAll()
    .map(({ key, value }) => ({ topic: 'order-steps', key, value }))
const event = (key: string, value: OrderEvent): Sent => ({ topic: 'order-events', key, value })
const pipe = async (driver: TopologyTestDriver, ...sent: readonly Sent[]): Promise<void> => {
  for (const { topic, key, value } of sent) await driver.input(topic).pipe({ key, value })
}

test('any order, duplicates, replays and crashes: created, parts, authorized, fulfilled, once each', async () => {
  const histories = fc.nat().map((seed) => eventsOf(seeded(seed), 4, 5))
  const anyOrder = histories.chain((all) => fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length }))
  await fc.assert(
    fc.asyncProperty(
      replayed(duplicated(anyOrder)),
      fc.array(fc.nat(1000), { maxLength: 3 }),
      fc.integer({ min: 1, max: 3 }),
      async (sent, crashes, partitions) => {
        await using driver = new TopologyTestDriver(
          pipeline(async () => ({})),
          { partitions },
        )
        for (const [i, one] of sent.entries()) {
          await pipe(driver, one)
          if (i % 6 === 5) await driver.commit()
          if (crashes.some((at) => Math.floor((at * sent.length) / 1001) === i)) await driver.crash()
        }
        await driver.settle()
        expect(judgePipeline(sent, written(driver))).toEqual([])
      },
    ),
    { numRuns: runsOf(80, 320) },
  )
})

test('a hot order whose steps hang: all others end; then it goes on in its order', async () => {
  let hanging = true
  const asked: string[] = []
  const topology = pipeline((what, { signal }) => {
    const { order, step } = what as { order: string } & Step
    if (order !== HOT) return Promise.resolve({})
    asked.push(step)
    return hanging ? new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('given up')))) : Promise.resolve({})
  })
  await using driver = new TopologyTestDriver(topology)
  const sent = eventsOf(seeded(1), 6, 10)
  await pipe(driver, ...sent)
  await driver.commit()
  const others = sent.filter(({ key }) => key !== HOT)
  expect(judgePipeline(others, written(driver))).toEqual([])
  expect(asked).toEqual(['created'])
  hanging = false
  await driver.crash() // what was under way is asked again
  await driver.settle()
  expect(
    judgePipeline(
      sent.filter(({ key }) => key === HOT),
      written(driver),
    ),
  ).toEqual([])
  expect(asked.slice(0, 2)).toEqual(['created', 'created'])
})

test('fulfilled waits for the whole sum, and the sum for the order', async () => {
  await using driver = new TopologyTestDriver(pipeline(async () => ({})))
  const steps = (): string[] => written(driver).map(({ value }) => (value as Step).step)
  await pipe(driver, event('o', { type: 'fulfilled' }), event('o', { type: 'authorized', id: 'p1', cents: 60 }))
  expect(steps()).toEqual([])
  await pipe(driver, event('o', { type: 'created', cents: 100 }), event('o', { type: 'authorized', id: 'p1', cents: 60 }))
  expect(steps()).toEqual(['created', 'part'])
  await pipe(driver, event('o', { type: 'authorized', id: 'p2', cents: 40 }), event('o', { type: 'fulfilled' }))
  expect(steps()).toEqual(['part', 'authorized', 'fulfilled'])
  await pipe(driver, event('o', { type: 'authorized', id: 'p3', cents: 40 }))
  expect(steps()).toEqual([])
})
