// Which topics a pattern reads: whole names, whatever its flags; never the log's and the application's own ones.
import { describe, expect, test } from 'vitest'
import { prepareTopics } from '../../src/app/topics.ts'
import { topology } from '../../src/dsl/topology.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { string } from '../../src/serde/text.ts'
import { TopologyTestDriver } from '../../src/testing/test-driver.ts'
import { virtualWorld } from '../../src/testing/virtual-world.ts'
import { matchesTopic, readsTopic } from '../../src/topology/pattern.ts'
import { plan } from '../../src/topology/plan.ts'

const serdes = { key: string(), value: string() }
const counting = (pattern: RegExp) =>
  topology('shop', (t) => t.stream(pattern, serdes).groupByKey().count({ store: 'counts' }).toStream().to('out'))

describe('a pattern', () => {
  const cases: readonly (readonly [RegExp, string, boolean])[] = [
    [/orders/, 'orders', true],
    [/orders/, 'old-orders', false],
    [/orders/, 'orders-eu', false],
    [/orders-.*/, 'orders-eu', true],
    [/^orders-.*$/, 'orders-eu', true],
    [/^orders-/, 'orders-eu', false],
    [/a|ab/, 'ab', true],
    [/a|b.*/, 'ab', false],
    [/ORDERS/i, 'orders', true],
    [/(?<name>a+)\k<name>/u, 'aaaa', true],
  ]
  for (const [pattern, topic, reads] of cases) test(`${pattern} ${topic}`, () => expect(matchesTopic(pattern, topic)).toBe(reads))
  test('remembers nothing, and leaves the pattern as it is', () => {
    for (const pattern of [/a+/g, /a+/y]) {
      expect([1, 2, 3].map(() => matchesTopic(pattern, 'aa'))).toEqual([true, true, true])
      expect(pattern.lastIndex).toBe(0)
    }
  })
  test('beside names', () => {
    expect(readsTopic('a', 'a')).toBe(true)
    expect(readsTopic(['a', 'b'], 'c')).toBe(false)
    expect(readsTopic(/b./, 'bc')).toBe(true)
  })
})

test('a store over a pattern alone, several topics, a crash', async () => {
  await using driver = new TopologyTestDriver(counting(/in-./), { partitions: 3 })
  await driver.input('in-1').pipe({ key: 'a', value: 'x' })
  await driver.commit()
  await driver.input('in-2').pipe({ key: 'a', value: 'x' })
  await driver.crash()
  await driver.input('in-1').pipe({ key: 'a', value: 'x' })
  expect(driver.store('counts').get('a')).toBe(3)
  expect(() => driver.input('x-in-1')).toThrow(/does not read x-in-1/)
})

describe('at the start', () => {
  const open = async (names: readonly string[], partitions = 4) => {
    const log = memoryLog(virtualWorld(0, 1))
    await log.createTopics([...names, 'out'].map((name) => ({ name, partitions, kind: 'plain' })))
    return log
  }
  const sourceOf = (prepared: Awaited<ReturnType<typeof prepareTopics>>) => {
    for (const { operator } of prepared.sized.plan.subTopologies[0]?.nodes ?? []) if (operator.kind === 'source') return operator
    throw new Error('no source')
  }
  test('a wide pattern reads no internal topic, of an earlier shape neither', async () => {
    const made = plan(counting(/(?!out).*/), 'shop')
    const log = await open(['in', 'shop-orders', '__consumer_offsets', 'shop-old-changelog', 'shop-by-key-repartition'])
    for (const _start of [1, 2]) {
      const prepared = await prepareTopics(log, made, null)
      expect([...prepared.inputTopics(sourceOf(prepared))].sort()).toEqual(['in', 'shop-orders'])
      expect(prepared.unmatched).toEqual([])
    }
    expect(await log.topicNames()).toContain('shop-dead-letter')
  })
  test('nothing matches yet: no tasks, and said; it widens later, the dead letters stay', async () => {
    const made = plan(counting(/in-.*/), 'shop')
    const log = await open(['in'])
    const before = await prepareTopics(log, made, null)
    expect(before.unmatched.map(String)).toEqual(['/in-.*/'])
    expect(before.sized.tasks).toEqual([0])
    await log.createTopics([{ name: 'in-1', partitions: 4, kind: 'plain' }])
    const after = await prepareTopics(log, made, null)
    expect(after.unmatched).toEqual([])
    expect(after.sized.tasks).toEqual([4])
    expect(after.partitionsOf('shop-dead-letter')).toBe(1)
    expect(after.partitionsOf('shop-counts-changelog')).toBe(4)
  })
})
