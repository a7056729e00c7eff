// Answers that are kept for a while.
import { expect, test } from 'vitest'
import { remembered } from '../../src/base/remembered.ts'

test('each name is asked for once in the time, and again after it or after a failure', async () => {
  let nowMs = 0
  let failing = false
  const asked: string[] = []
  const ask = remembered({ now: () => 0, monotonic: () => nowMs }, 100, async (name) => {
    asked.push(name)
    if (failing) throw new Error('nobody answers')
    return `${name} at ${nowMs}`
  })
  expect(await Promise.all([ask('a'), ask('b'), ask('a')])).toEqual(['a at 0', 'b at 0', 'a at 0'])
  nowMs = 99
  expect(await ask('a')).toBe('a at 0')
  nowMs = 100
  expect(await ask('a')).toBe('a at 100')
  expect(asked).toEqual(['a', 'b', 'a'])
  failing = true
  await expect(ask('b')).rejects.toThrow('nobody answers')
  failing = false
  expect(await ask('b')).toBe('b at 100')
})
