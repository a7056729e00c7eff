// The timers of a task by themselves: what goes along with a commit, and clocks that are set back.
import { expect, test } from 'vitest'
import { LIMITS } from '../../src/base/limits.ts'
import { readPositionNote, writePositionNote } from '../../src/runtime/position.ts'
import { Timers } from '../../src/runtime/timers.ts'

test('the timers of a task at their bound, as far away as they can be, fit', () => {
  const timers = new Timers()
  const latestMs = Number.MAX_SAFE_INTEGER
  for (let i = 0; i < LIMITS.timersMax; i++)
    timers.add({ node: 'a-node', intervalMs: latestMs, clock: 'wall', run() {}, kept: true }, i % 2 === 0 ? 0 : -1)
  const note = { partitionTime: latestMs, timers: timers.text(), feeds: true }
  const text = writePositionNote(note)
  expect(text.length).toBeGreaterThan(LIMITS.timersMax * 20)
  expect(text.length).toBeLessThanOrEqual(LIMITS.positionNoteBytesMax)
  expect(readPositionNote(text)).toEqual(note)
})

test('a longer one is refused by name before it is sent', () => {
  expect(() => writePositionNote({ partitionTime: 1, timers: 'x'.repeat(LIMITS.positionNoteBytesMax), feeds: false })).toThrow(
    expect.objectContaining({ code: 'STREAM_USAGE', disposition: 'stop' }),
  )
})

test('after the wall clock was set back a timer waits for its interval at most', () => {
  const timers = new Timers()
  const day = 86_400_000
  const timer = { node: 'a-node', intervalMs: 1_000, clock: 'wall', run() {}, kept: true } as const
  timers.add(timer, 10 * day)
  timers.opened('', -1, 10 * day)
  timers.changed = false
  expect(timers.due('wall', 10 * day + 999)).toBe(null)
  expect(timers.due('wall', 9 * day)).toBe(null)
  expect([timers.wallAtMs, timers.changed]).toEqual([9 * day + 1_000, true])
  expect(timers.due('wall', 9 * day + 1_000)?.node).toBe('a-node')
})
