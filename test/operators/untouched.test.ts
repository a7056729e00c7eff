// Values that a callback has changed in place before anything is written: what is written is what they are then.
import { expect, test } from 'vitest'
import { json, string, topology } from '../../src/index.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'

interface Noted {
  at: number
  seen?: boolean
}

test('by the extractor of timestamps', async () => {
  const serdes = { key: string(), value: json<Noted>() }
  const program = topology('noted', (t) => {
    const timestamp = (value: Noted | null): number => {
      if (value !== null) value.seen = true
      return value?.at ?? 0
    }
    t.stream('in', { ...serdes, timestamp })
      .toTable({ store: 'rows' })
      .toStream()
      .to('out', serdes)
  })
  await using driver = new TopologyTestDriver(program)
  await driver.input('in').pipe({ key: 'k', value: { at: 7 } })
  expect(driver.output('out').readAll()).toMatchObject([{ key: 'k', value: { at: 7, seen: true }, timestamp: 7 }])
  expect(await driver.store('rows').get('k')).toEqual({ at: 7, seen: true })
})
