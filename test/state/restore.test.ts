import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { keyText } from '../../src/base/bytes.ts'
import { LIMITS } from '../../src/base/limits.ts'
import type { LogRecord } from '../../src/base/record.ts'
import { systemWorld } from '../../src/base/system.ts'
import { memoryProvider } from '../../src/state/memory.ts'
import { checkpointFits, type RestoreChunk, type RestoreProgress, restoreStore } from '../../src/state/restore.ts'
import type { StateStore } from '../../src/state/store.ts'

const world = systemWorld()

const record = (offset: number, key: string, value: string | null): LogRecord => ({
  offset,
  timestamp: offset * 10,
  key: Buffer.from(key),
  value: value === null ? null : Buffer.from(value),
  headers: [],
})

async function* sourceOf(chunks: readonly RestoreChunk[]): AsyncGenerator<RestoreChunk> {
  for (const chunk of chunks) yield chunk
}

async function freshStore(): Promise<StateStore> {
  return (await memoryProvider().open('0_0', 'counts', true)).store
}

async function contentOf(store: StateStore): Promise<Record<string, string>> {
  const content: Record<string, string> = {}
  for await (const chunk of store.scan({ from: null, to: null })) {
    for (const [key, { value, timestamp }] of chunk) content[keyText(key)] = `${keyText(value)}@${timestamp}`
  }
  return content
}

describe('restoreStore', () => {
  test('the last record of a key counts, null deletes, the checkpoint is the position', async () => {
    const store = await freshStore()
    const records = [
      record(5, 'a', '1'),
      record(6, 'b', '1'),
      record(7, 'a', '2'),
      record(9, 'c', '1'),
      record(10, 'b', null),
      record(11, 'd', null),
    ]
    const done = await restoreStore(store, sourceOf([{ records, position: 14 }]), { world, endOffset: 20 })
    expect(await contentOf(store)).toEqual({ a: '2@70', c: '1@90' })
    expect(store.checkpoint()).toEqual({ changelogOffset: 14 })
    expect(done).toMatchObject({ records: 6, offset: 14, remaining: 6 })
  })

  test('only control and aborted records: the checkpoint moves, nothing else does; no chunk: nothing is written', async () => {
    const store = await freshStore()
    await restoreStore(store, sourceOf([]), { world })
    expect(store.checkpoint()).toBeNull()
    await restoreStore(store, sourceOf([{ records: [], position: 0 }]), { world })
    expect(store.checkpoint()).toEqual({ changelogOffset: 0 })
    await restoreStore(store, sourceOf([{ records: [], position: 3 }]), { world })
    expect(store.checkpoint()).toEqual({ changelogOffset: 3 })
    expect(await contentOf(store)).toEqual({})
  })

  test('long changelogs go in several batches, with progress after each', async () => {
    const store = await freshStore()
    const value = 'v'.repeat(100_000)
    const count = Math.ceil((LIMITS.restoreBatchBytes * 3.5) / value.length)
    const chunks = Array.from({ length: count }, (_, i) => ({ records: [record(i, `k${i}`, value)], position: i + 1 }))
    const seen: RestoreProgress[] = []
    let now = 0
    const clock = { now: () => 0, monotonic: () => (now += 1) }
    const done = await restoreStore(store, sourceOf(chunks), {
      world: { ...world, clock },
      endOffset: count,
      onProgress: (progress) => seen.push(progress),
    })
    expect(seen).toHaveLength(4)
    expect(seen.map(({ remaining }) => remaining)).toEqual([...seen.map(({ remaining }) => remaining)].sort((a, b) => (b ?? 0) - (a ?? 0)))
    expect(seen.at(-1)).toMatchObject({ records: count, offset: count, remaining: 0 })
    expect(done.recordsPerSecond).toBeGreaterThan(0)
    expect(Object.keys(await contentOf(store))).toHaveLength(count)
  })

  test('a source that breaks off leaves a store that goes on where it was', async () => {
    const store = await freshStore()
    const value = 'v'.repeat(LIMITS.restoreBatchBytes / 2)
    async function* broken(): AsyncGenerator<RestoreChunk> {
      for (let i = 0; i < 5; i++) yield { records: [record(i, `k${i}`, value)], position: i + 1 }
      throw new Error('the log is gone')
    }
    await expect(restoreStore(store, broken(), { world })).rejects.toThrow('the log is gone')
    expect(store.checkpoint()).toEqual({ changelogOffset: 4 })
    expect(Object.keys(await contentOf(store))).toEqual(['k0', 'k1', 'k2', 'k3'])
  })

  test('an error of the store ends it; the store is not written again', async () => {
    const store = await freshStore()
    let applies = 0
    const failing: StateStore = {
      ...store,
      async apply() {
        applies++
        throw new Error('no space')
      },
    }
    const value = 'v'.repeat(LIMITS.restoreBatchBytes)
    const chunks = Array.from({ length: 5 }, (_, i) => ({ records: [record(i, 'k', value)], position: i + 1 }))
    await expect(restoreStore(failing, sourceOf(chunks), { world })).rejects.toThrow('no space')
    expect(applies).toBe(1)
  })

  test('a changelog record without a key is refused by its offset', async () => {
    const chunk = { records: [{ ...record(7, 'a', '1'), key: null }], position: 8 }
    await expect(restoreStore(await freshStore(), sourceOf([chunk]), { world })).rejects.toThrow(/offset 7 has no key/)
  })

  test('property: cut into chunks and restored in any number of runs, the content is the fold of the changelog', async () => {
    const changes = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e'), fc.option(fc.string({ maxLength: 4 }))), { maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(changes, fc.integer({ min: 1, max: 9 }), fc.nat(40), async (list, chunkRecords, again) => {
        const records = list.map(([key, value], i) => record(i * 2, key, value))
        const chunksFrom = (from: number): RestoreChunk[] => {
          const rest = records.filter(({ offset }) => offset >= from)
          const chunks: RestoreChunk[] = []
          for (let i = 0; i < rest.length; i += chunkRecords) {
            const piece = rest.slice(i, i + chunkRecords)
            chunks.push({ records: piece, position: (piece.at(-1) as LogRecord).offset + 2 })
          }
          return chunks
        }
        const store = await freshStore()
        await restoreStore(store, sourceOf(chunksFrom(0).slice(0, again)), { world })
        await restoreStore(store, sourceOf(chunksFrom(store.checkpoint()?.changelogOffset ?? 0)), { world })
        const fold: Record<string, string> = {}
        for (const { key, value, timestamp } of records) {
          if (value === null) delete fold[String(key)]
          else fold[String(key)] = `${keyText(value)}@${timestamp}`
        }
        expect(await contentOf(store)).toEqual(fold)
        if (records.length > 0) expect(store.checkpoint()).toEqual({ changelogOffset: records.length * 2 })
      }),
    )
  })
})

test('checkpointFits: within what the changelog still has, its end included', () => {
  const fits = (changelogOffset: number, earliest: number, end: number): boolean => checkpointFits({ changelogOffset }, earliest, end)
  expect(fits(5, 5, 9)).toBe(true)
  expect(fits(9, 5, 9)).toBe(true)
  expect(fits(4, 5, 9)).toBe(false)
  expect(fits(10, 5, 9)).toBe(false)
  expect(fits(0, 0, 0)).toBe(true)
  expect(fits(-1, 0, 0)).toBe(false)
})
