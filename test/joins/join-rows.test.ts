// A busy key's rows: many chunks in one bucket, each bounded, read back in order.
import { expect, test } from 'vitest'
import { JoinRows, LEFT, RIGHT } from '../../src/operators/join-rows.ts'
import { plainStore } from './plain-store.ts'

test('a busy key is kept in chunks of bounded size', () => {
  const { view, rows } = plainStore()
  const left = new JoinRows(view, LEFT, 1000)
  const key = Buffer.from('busy')
  const expected: string[] = []
  for (let i = 0; i < 500; i++) {
    const value = `${i}:${'x'.repeat(300)}`
    left.add(key, 500 - i, Buffer.from(value))
    expected.unshift(value)
  }
  left.add(key, 3, Buffer.from('later'))
  expect(Math.max(...[...rows.values()].map((row) => row.value.length))).toBeLessThanOrEqual(16_384)
  expect(rows.size).toBeGreaterThan(9)
  const found = left.between(key, 0, 1999).map((entry) => entry.value.toString())
  expect(found).toEqual([...expected.slice(0, 3), 'later', ...expected.slice(3)])
  expect(left.between(key, 2, 2).map((entry) => entry.time)).toEqual([2])
  expect(left.between(Buffer.from('bus'), 0, 1999)).toEqual([])
  expect(new JoinRows(view, RIGHT, 1000).between(key, 0, 1999)).toEqual([])
})

test('a value larger than a chunk has one of its own', () => {
  const { view } = plainStore()
  const rows = new JoinRows(view, LEFT, 10)
  const values = ['a', 'b'.repeat(20_000), 'c', 'd'.repeat(20_000)].map((text) => Buffer.from(text))
  values.forEach((value) => void rows.add(Buffer.from('k'), 7, value))
  expect(rows.between(Buffer.from('k'), 7, 7).map((entry) => entry.value.length)).toEqual([1, 20_000, 1, 20_000])
})
