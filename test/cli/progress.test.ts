// What is shown on a terminal: the restore line, gone when all runs and no timer left behind; the count of produced lines.
import { expect, test } from 'vitest'
import { type Restoring, showCount, showProgress } from '../../src/cli/progress.ts'
import { virtualWorld } from '../../src/testing/virtual-world.ts'

test('shows how far it is, clears itself when ready', async () => {
  const world = virtualWorld(0, 1)
  const written: string[] = []
  const stream = { write: (text: string) => written.push(text) } as unknown as NodeJS.WriteStream
  let status: Restoring = { ready: false, restored: 10, restoring: { task: '0_1', store: 'counts', remaining: 90 } }
  let asked = 0
  const ask = (): Restoring => {
    asked++
    return status
  }
  showProgress(stream, ask, world)
  expect(written).toEqual(['restoring counts of task 0_1: 10 records, 90 to go'])
  status = { ...status, restored: 60, restoring: { task: '0_1', store: 'counts', remaining: 40 } }
  await world.advance(200)
  expect(written.slice(1)).toEqual(['\r\x1b[K', 'restoring counts of task 0_1: 60 records, 40 to go'])
  status = { ready: true, restored: 100, restoring: null }
  await world.advance(200)
  expect(written.at(-1)).toBe('\r\x1b[K')
  const before = asked
  await world.advance(10_000)
  expect(asked).toBe(before)
})

test('the count of produced lines: now and then, and the sum at the end', async () => {
  const world = virtualWorld(0, 1)
  const written: string[] = []
  const counting = showCount({ write: (text: string) => written.push(text) } as unknown as NodeJS.WriteStream, world.clock)
  counting.add(10)
  counting.add(10)
  expect(written).toEqual([])
  await world.advance(200)
  counting.add(5)
  expect(written).toEqual(['\r\x1b[K25 lines written'])
  counting.add(7)
  counting.end()
  expect(written.slice(1)).toEqual(['\r\x1b[K32 lines written\n'])
})
