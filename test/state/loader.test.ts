// Many rows at once into LevelDB: whatever way they come, record by record, in columns, or through `apply`, the store is the same.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { afterEach, expect, test } from 'vitest'
import { type RecordColumns, recordColumns } from '../../src/base/columns.ts'
import type { LogRecord } from '../../src/base/record.ts'
import { systemWorld } from '../../src/base/system.ts'
import { levelProvider } from '../../src/state/leveldb.ts'
import { memoryProvider } from '../../src/state/memory.ts'
import { type RestoreChunk, type RestoreColumns, restoreStore } from '../../src/state/restore.ts'
import type { Checkpoint, Loader, StateStore, StoreProvider } from '../../src/state/store.ts'

const world = systemWorld()
const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function onDisk(): Promise<StoreProvider> {
  const dir = await mkdtemp(join(tmpdir(), 'millrace-loader-'))
  cleanups.push(() => rm(dir, { recursive: true, force: true }))
  return levelProvider({ dir, world, checkTables: false })
}

let stores = 0
const openIn = async (provider: StoreProvider): Promise<StateStore> => (await provider.open('0_0', `s${stores++}`, true)).store

interface Content {
  readonly rows: readonly string[]
  readonly checkpoint: Checkpoint | null
}

async function rowsOf(store: StateStore): Promise<string[]> {
  const rows: string[] = []
  for await (const chunk of store.scan({ from: null, to: null }))
    for (const [key, { value, timestamp }] of chunk) rows.push(`${key.toString('hex')} ${value.length} ${crc32(value)} ${timestamp}`)
  return rows
}

async function contentOf(store: StateStore): Promise<Content> {
  const content = { rows: await rowsOf(store), checkpoint: store.checkpoint() }
  await store.close()
  return content
}

/** Their keys and values stand in one piece of bytes; the columns are the same ones every time, as a reader's are. */
function* inColumns(chunks: readonly RestoreChunk[]): Generator<RestoreColumns> {
  const columns = recordColumns(100)
  for (const { records, position } of chunks) {
    fill(columns, records)
    yield { columns, position }
    columns.keyAts.fill(0)
  }
}

function fill(columns: RecordColumns, records: readonly LogRecord[]): void {
  const parts: Buffer[] = [Buffer.from('before')]
  let at = 6
  const add = (part: Buffer | null): readonly [number, number] => {
    if (part === null) return [at, -1]
    parts.push(part)
    at += part.length
    return [at - part.length, part.length]
  }
  records.forEach(({ offset, timestamp, key, value }, i) => {
    columns.offsets[i] = offset
    columns.timestamps[i] = timestamp
    ;[columns.keyAts[i], columns.keyLengths[i]] = add(key) as [number, number]
    ;[columns.valueAts[i], columns.valueLengths[i]] = add(value) as [number, number]
  })
  columns.count = records.length
  columns.bytes = Buffer.concat(parts)
}

async function* source<T>(all: Iterable<T>): AsyncGenerator<T> {
  yield* all
}

const key = fc.array(fc.constantFrom(0, 0x61, 0xff), { maxLength: 2 }).map((array) => Buffer.from(array))
const value = fc.oneof(
  { weight: 6, arbitrary: fc.uint8Array({ maxLength: 8 }).map((array) => Buffer.from(array)) },
  { weight: 2, arbitrary: fc.constant(null) },
  { weight: 4, arbitrary: fc.constantFrom(20_000, 400_000, 900_000).map((length) => Buffer.alloc(length, 5)) }, // several batches
)
const history = fc.array(fc.array(fc.tuple(key, value, fc.nat(1_000)), { maxLength: 12 }), { maxLength: 6 }).map((lists) => {
  let offset = 5
  const next = (gap: number): number => {
    offset += gap
    return offset
  }
  return lists.map((list): RestoreChunk => {
    const records = list.map(([k, v, timestamp]) => ({ offset: next(2), timestamp, key: k, value: v, headers: [] }))
    return { records, position: next(3) }
  })
})

test('property: by record, in columns or applied, into LevelDB or memory: the same rows, the same checkpoint', async () => {
  const disk = await onDisk()
  await fc.assert(
    fc.asyncProperty(history, async (chunks) => {
      const applied = await openIn(disk)
      for (const { records, position } of chunks)
        await applied.apply(records as (LogRecord & { key: Buffer })[], { changelogOffset: position })
      const wanted = await contentOf(applied)
      for (const provider of [disk, memoryProvider()]) {
        for (const way of [() => source(chunks), () => source(inColumns(chunks))]) {
          const store = await openIn(provider)
          const done = await restoreStore(store, way(), { world })
          expect(done).toMatchObject({ records: chunks.reduce((sum, { records }) => sum + records.length, 0) })
          expect(await contentOf(store)).toEqual(wanted)
        }
      }
    }),
    { numRuns: 8 },
  )
})

test('property: in columns, what any batch leaves is the changelog up to its checkpoint', async () => {
  await fc.assert(
    fc.asyncProperty(history, async (chunks) => {
      const inner = await openIn(memoryProvider())
      const all = chunks.flatMap(({ records }) => records)
      const foldTo = (end: number): string[] => {
        const rows = new Map<string, string>()
        for (const { key: k, value: v, offset, timestamp } of all) {
          const name = (k as Buffer).toString('hex')
          if (offset >= end) continue
          rows.delete(name)
          if (v !== null) rows.set(name, `${name} ${v.length} ${crc32(v)} ${timestamp}`)
        }
        return [...rows.values()].sort()
      }
      const store: StateStore = {
        ...inner,
        async apply(writes, checkpoint) {
          await inner.apply(writes, checkpoint)
          expect((await rowsOf(inner)).sort()).toEqual(foldTo(checkpoint.changelogOffset))
        },
      }
      await restoreStore(store, source(inColumns(chunks)), { world })
    }),
    { numRuns: 40 },
  )
})

test('a source in columns that breaks off leaves a store that goes on where it was; a key that is null is refused', async () => {
  const disk = await onDisk()
  const store = await openIn(disk)
  const record = (offset: number, k: Buffer | null = Buffer.from(`k${offset}`)): LogRecord => {
    return { offset, timestamp: 1, key: k, value: Buffer.alloc(600_000, offset), headers: [] }
  }
  const chunks = [0, 1, 2, 3, 4].map((offset): RestoreChunk => ({ records: [record(offset)], position: offset + 1 }))
  await expect(restoreStore(store, source(inColumns([...chunks, { records: [record(5, null)], position: 6 }])), { world })).rejects.toThrow(
    /offset 5 has no key/,
  )
  expect(store.checkpoint()).toEqual({ changelogOffset: 4 })
  const rest = [...chunks.slice(4), { records: [{ ...record(6), key: Buffer.from('k0'), value: null }], position: 9 }]
  await restoreStore(store, source(inColumns(rest)), { world, caughtUpAtMs: 77 })
  expect(await contentOf(store)).toMatchObject({
    rows: [1, 2, 3, 4].map((n) => `${Buffer.from(`k${n}`).toString('hex')} 600000 ${crc32(Buffer.alloc(600_000, n))} 1`),
    checkpoint: { changelogOffset: 9, caughtUpAtMs: 77 },
  })
})

test('what is put while a batch is written belongs to the next one, in order with every other write', async () => {
  const store = await openIn(await onDisk())
  const loader = store.loader?.() as Loader
  const put = (text: string): void => {
    const bytes = Buffer.from(text)
    loader.put(bytes, 0, 1, bytes, 1, bytes.length - 1, 1)
  }
  put('a1')
  put('b1')
  const first = loader.apply({ changelogOffset: 1 })
  expect(loader.bytes).toBe(0)
  put('a2')
  const second = loader.apply({ changelogOffset: 2 })
  const third = store.apply([{ key: Buffer.from('a'), value: Buffer.from('3'), timestamp: 1 }], { changelogOffset: 3 })
  put('c4')
  await Promise.all([first, second, third])
  expect(store.checkpoint()).toEqual({ changelogOffset: 3 })
  expect(store.getSync(Buffer.from('a'))?.value.toString()).toBe('3')
  expect(store.getSync(Buffer.from('c'))).toBeUndefined()
  await loader.close()
  const { rows, checkpoint } = await contentOf(store)
  expect(rows).toHaveLength(2)
  expect(checkpoint).toEqual({ changelogOffset: 3 })
})
