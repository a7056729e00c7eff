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
