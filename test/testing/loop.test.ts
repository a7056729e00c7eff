// A topic that is read and written (`loop: true`) in a driver: what the topology writes to it comes back to it, as on a log.
import { json, string, topology } from 'millrace'
import { TopologyTestDriver } from 'millrace/testing'
import { expect, test } from 'vitest'

const text = { key: string(), value: json<number>() }
const countdown = topology('countdown', (t) => {
  const steps = t.stream('steps', text)
  steps.groupByKey().count({ store: 'seen' })
  steps
    .filter((n) => n > 0)
    .mapValues((n) => n - 1, { value: json<number>() })
    .to('steps', { ...text, loop: true })
})

test('what is written to a looped topic is read again, in any partition, once, whatever crashes', async () => {
  for (const partitions of [1, 3]) {
    await using driver = new TopologyTestDriver(countdown, { partitions })
    await driver.input('steps').pipe({ key: 'a', value: 3 })
    await driver.crash()
    await driver.input('steps').pipe({ key: 'b', value: 1 })
    await driver.commit()
    await driver.crash()
    await driver.input('steps').pipe({ key: 'a', value: 1 })
    await driver.crash()
    // What is piped in is no output; what comes back is.
    const seen = driver
      .output<string, number>('steps')
      .readAll()
      .map(({ key, value }) => `${key}${value}`)
    expect(seen).toEqual(['a2', 'a1', 'a0', 'b0', 'a0'])
    expect(driver.store('seen').get('a')).toBe(6)
    expect(driver.store('seen').get('b')).toBe(2)
  }
})

/** Writes to the topic that the value names. */
const routed = (loop: boolean) =>
  topology('routed', (t) => {
    const orders = t.stream('orders', { key: string(), value: string() })
    orders.groupByKey().count({ store: 'seen' })
    t.stream(/^more-.*$/, { key: string(), value: string() }).to('all', { key: string(), value: string() })
    orders.filter((topic) => topic !== '').to((topic) => topic, { key: string(), value: string(), loop })
  })

test('a topic that a function names may be no input of the topology, nor one of its own: that record is a dead letter', async () => {
  await using driver = new TopologyTestDriver(routed(false))
  for (const value of ['elsewhere', 'orders', 'more-orders', 'routed-seen-changelog'])
    await driver.input('orders').pipe({ key: 'a', value })
  const letters = driver.output<string, string>('routed-dead-letter').readAll()
  expect(letters.map(({ value, headers }) => [value, headers['__streams.errors.message']])).toEqual([
    ['orders', expect.stringMatching(/returned "orders", which this topology reads, an endless loop; if it is meant, give .*loop: true/)],
    ['more-orders', expect.stringMatching(/which this topology reads/)],
    ['routed-seen-changelog', expect.stringMatching(/which is an internal topic of this application/)],
  ])
  expect(driver.output('elsewhere').readAll()).toHaveLength(1)
  expect(driver.store('seen').get('a')).toBe(1)
})

test('where a loop is meant, what a function sends there comes back; never to a topic of its own', async () => {
  const chain = topology('chain', (t) => {
    const steps = t.stream('steps', text)
    steps.groupByKey().count({ store: 'seen' })
    steps
      .mapValues((n) => n - 1, { value: json<number>() })
      .to((n) => (n > 0 ? 'steps' : n === 0 ? 'done' : 'chain-seen-changelog'), { ...text, loop: true })
  })
  await using driver = new TopologyTestDriver(chain)
  await driver.input('steps').pipe({ key: 'a', value: 3 })
  expect(
    driver
      .output('steps')
      .readAll()
      .map(({ value }) => value),
  ).toEqual([2, 1])
  expect(
    driver
      .output('done')
      .readAll()
      .map(({ value }) => value),
  ).toEqual([0])
  expect(driver.store('seen').get('a')).toBe(3)
  await driver.input('steps').pipe({ key: 'a', value: 0 })
  expect(driver.output('chain-dead-letter').readAll()).toHaveLength(1)
})
