// The restore line: shown while something is restored, gone when all runs, and no timer left behind.
import { expect, test } from 'vitest'
import { type Restoring, showProgress } from '../../src/cli/progress.ts'
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
