// What is read ahead of a batch: once, while something else runs, and its failure is told to whoever waits for it.
import { expect, it } from 'vitest'
import { NO_HEADERS } from '../../src/base/record.ts'
import { InputQueue } from '../../src/runtime/input-queue.ts'
import { Prefetch } from '../../src/runtime/prefetch.ts'
import type { SourceEntry } from '../../src/runtime/program.ts'
import { Overlay } from '../../src/state/overlay.ts'
import type { StateStore } from '../../src/state/store.ts'

const KEYS = ['a', 'b', 'c']

const full = (getMany: StateStore['getMany']): Prefetch => prefetchOf(getMany).prefetch

function prefetchOf(getMany: StateStore['getMany'], isEmpty = false): { prefetch: Prefetch; come: () => void } {
  const overlay = new Overlay({ getMany } as StateStore)
  const queue = new InputQueue({ topic: 't', partition: 0 }, [{ reads: [overlay], ahead: [] } as unknown as SourceEntry], 0)
  const records = KEYS.map((key, offset) => ({ offset, timestamp: 0, key: Buffer.from(key), value: null, headers: NO_HEADERS }))
  const come = (): void => queue.accept({ topic: 't', partition: 0, records, bytes: 3, position: 3, endOffset: 3 })
  if (!isEmpty) come()
  return { prefetch: new Prefetch([queue]), come }
}

it('what was begun ahead is waited for, and not asked for again', async () => {
  const asked: string[] = []
  const reading = Promise.withResolvers<void>()
  const prefetch = full(async (keys) => {
    asked.push(...keys.map(String))
    await reading.promise
    return keys.map(() => undefined)
  })
  prefetch.ahead(10)
  prefetch.ahead(10)
  expect(asked).toEqual(KEYS)
  let there = false
  const rows = prefetch.rows(10).then(() => {
    there = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  expect(there).toBe(false)
  reading.resolve()
  await rows
  expect(asked).toEqual(KEYS)
})

it('a failure of it is thrown once, by the one that waits', async () => {
  const prefetch = full(() => Promise.reject(new Error('no disk')))
  prefetch.ahead(10)
  await new Promise((resolve) => setImmediate(resolve)) // nobody has heard of it yet, and that is no unhandled rejection
  await expect(prefetch.rows(10)).rejects.toThrow('no disk')
  await prefetch.rows(10)
})

it('what comes after a look at an empty input is read ahead too', async () => {
  const asked: string[] = []
  const { prefetch, come } = prefetchOf(async (keys) => {
    asked.push(...keys.map(String))
    return keys.map(() => undefined)
  }, true)
  prefetch.ahead(10)
  await new Promise((resolve) => setImmediate(resolve))
  come()
  prefetch.ahead(10)
  expect(asked).toEqual(KEYS)
  await prefetch.rows(10)
  expect(asked).toEqual(KEYS)
})
