// What a driver shows is all that came out, also what a processor has had committed.
import { expect, test } from 'vitest'
import { string, topology } from '../../src/index.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'

const text = { key: string(), value: string() }

test('outputs are there, each once and in order, after context.commit(), commit() and a crash', async () => {
  await using driver = new TopologyTestDriver(
    topology('asking', (t) => {
      t.stream('in', text)
        .process<string, string>(
          (context) => ({
            process(record) {
              context.forward(record)
              if (record.value === 'commit') context.commit()
            },
          }),
          text,
        )
        .to('out', text)
    }),
  )
  const out = driver.output<string, string>('out')
  const input = driver.input('in')
  await input.pipe([
    { key: 'a', value: '1' },
    { key: 'a', value: 'commit' },
  ])
  expect(out.read()?.value).toBe('1')
  await input.pipe({ key: 'a', value: '2' })
  await driver.crash()
  expect(out.readAll().map(({ value }) => value)).toEqual(['commit', '2'])
  await driver.commit()
  await input.pipe({ key: 'b', value: 'commit' })
  expect(out.readAll().map(({ value }) => value)).toEqual(['commit'])
  expect(out.readTable()).toEqual(
    new Map([
      ['a', '2'],
      ['b', 'commit'],
    ]),
  )
})
