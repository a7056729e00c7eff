import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { memoryProvider } from '../../src/state/memory.ts'
import { Overlay } from '../../src/state/overlay.ts'
import type { StateStore } from '../../src/state/store.ts'

const open = async (cacheEntriesMax = 8) => new Overlay((await memoryProvider().open('0_0', 's', true)).store, { cacheEntriesMax })
const bytes = (text: string) => Buffer.from(text)
const text = (overlay: Overlay, key: string) => overlay.get(bytes(key))?.value.toString() ?? null

describe('overlay', () => {
  it('reads what is open, then what is sealed, then what is committed', async () => {
    const overlay = await open()
    overlay.put(bytes('a'), bytes('1'), 1)
    overlay.seal()
    overlay.put(bytes('a'), bytes('2'), 2)
    expect(text(overlay, 'a')).toBe('2')
    overlay.put(bytes('b'), null, 2)
    await overlay.apply({ changelogOffset: 1 })
    expect(overlay.store.getSync(bytes('a'))?.value.toString()).toBe('1')
    expect(text(overlay, 'a')).toBe('2')
    overlay.drop()
    expect(text(overlay, 'a')).toBe('1')
  })

  it('puts nothing on disk before apply (R1)', async () => {
    const overlay = await open()
    overlay.put(bytes('a'), bytes('1'), 1)
    overlay.seal()
    expect(overlay.store.getSync(bytes('a'))).toBeUndefined()
    expect(overlay.store.checkpoint()).toBe(null)
  })

  it('counts what is undone no longer: a record that is tried again and again does not fill the epoch', async () => {
    const overlay = await open()
    overlay.put(bytes('a'), bytes('1'), 1)
    const { openBytes } = overlay
    for (let i = 0; i < 3; i++) {
      overlay.mark()
      overlay.put(bytes('b'), bytes('2'), 2)
      overlay.rollback()
      overlay.put(bytes('c'), bytes('3'), 3)
      overlay.rollback()
    }
    expect(openBytes).toBeGreaterThan(0)
    expect(overlay.openBytes).toBe(openBytes)
  })

  it('does not let a prefetch that raced an apply bring back an old value', async () => {
    const { store } = await memoryProvider().open('0_0', 's', true)
    let answer = (): void => {}
    const late: StateStore = {
      ...store,
      async getMany(keys) {
        const found = await store.getMany(keys)
        await new Promise<void>((resolve) => (answer = resolve))
        return found
      },
    }
    const overlay = new Overlay(late)
    const reading = overlay.prefetch([bytes('a')])
    overlay.put(bytes('a'), bytes('1'), 1)
    overlay.seal()
    await overlay.apply({ changelogOffset: 1 })
    answer()
    await reading
    expect(text(overlay, 'a')).toBe('1')
  })

  it('keeps what a prefetch has read while an epoch of other keys was applied', async () => {
    const { store } = await memoryProvider().open('0_0', 's', true)
    await store.apply([{ key: bytes('a'), value: bytes('1'), timestamp: 1 }], { changelogOffset: 1 })
    let single = 0
    const counted: StateStore = {
      ...store,
      getSync(key) {
        single++
        return store.getSync(key)
      },
    }
    const overlay = new Overlay(counted)
    overlay.put(bytes('b'), bytes('2'), 1)
    overlay.seal()
    await Promise.all([overlay.prefetch([bytes('a'), bytes('b')]), overlay.apply({ changelogOffset: 2 })])
    expect([text(overlay, 'a'), text(overlay, 'b')]).toEqual(['1', '2'])
    expect(single).toBe(0)
  })

  it('answers from outside never go back: what is on the disk already is not answered from the cache', async () => {
    const { store } = await memoryProvider().open('0_0', 's', true)
    await store.apply([{ key: bytes('a'), value: bytes('1'), timestamp: 1 }], { changelogOffset: 1 })
    let end = (): void => {}
    const slow: StateStore = {
      ...store,
      async apply(writes, checkpoint) {
        await store.apply(writes, checkpoint)
        await new Promise<void>((resolve) => (end = resolve))
      },
    }
    const overlay = new Overlay(slow)
    const outside = (): string | undefined => overlay.committed(bytes('a'))?.value.toString()
    expect([text(overlay, 'a'), outside()]).toEqual(['1', '1'])
    overlay.put(bytes('a'), bytes('2'), 2)
    expect(outside()).toBe('1')
    overlay.seal()
    expect(outside()).toBe('1')
    const applying = overlay.apply({ changelogOffset: 2 })
    await new Promise((resolve) => setImmediate(resolve))
    expect(store.getSync(bytes('a'))?.value.toString()).toBe('2')
    expect(outside()).toBe('2')
    end()
    await applying
    expect(outside()).toBe('2')
    await store.close()
    expect(outside).toThrow(/closed/)
  })

  it('applies an epoch in one write with its checkpoint, and nothing for an epoch without writes', async () => {
    const { store } = await memoryProvider().open('0_0', 's', true)
    const applied: unknown[] = []
    const watched: StateStore = {
      ...store,
      apply(writes, checkpoint) {
        applied.push([writes.map(({ key }) => key.toString()), checkpoint.changelogOffset])
        return store.apply(writes, checkpoint)
      },
    }
    const overlay = new Overlay(watched)
    overlay.put(bytes('a'), bytes('1'), 1)
    overlay.put(bytes('b'), null, 1)
    overlay.seal()
    await overlay.apply({ changelogOffset: 2 })
    overlay.seal()
    await overlay.apply({ changelogOffset: 2 })
    expect(applied).toEqual([[['a', 'b'], 2]])
  })

  it('caches rows, not the response that they came in', async () => {
    const overlay = await open()
    const response = Buffer.alloc(1_000_000, 'x')
    overlay.put(response.subarray(10, 20), response.subarray(20, 40), 1)
    overlay.seal()
    await overlay.apply({ changelogOffset: 1 })
    const cached = overlay.get(response.subarray(10, 20))
    expect(cached?.value.toString()).toBe('x'.repeat(20))
    expect(Object.keys(cached ?? {})).toEqual(['value', 'timestamp'])
    expect(cached?.value.buffer.byteLength).toBeLessThan(100_000)
  })

  it('caches no more than so many bytes', async () => {
    const { store } = await memoryProvider().open('0_0', 's', true)
    let reads = 0
    const counting: StateStore = {
      ...store,
      getSync(key) {
        reads++
        return store.getSync(key)
      },
    }
    const overlay = new Overlay(counting, { cacheBytesMax: 100_000 })
    const keys = Array.from({ length: 200 }, (_, i) => bytes(`k${i}`))
    for (const key of keys) overlay.put(key, Buffer.alloc(1_000, 'v'), 1)
    overlay.seal()
    await overlay.apply({ changelogOffset: 1 })
    for (const key of keys) overlay.get(key)
    expect(reads).toBe(200)
    reads = 0
    for (const key of keys.slice(-40)) overlay.get(key)
    expect(reads).toBe(0)
  })

  it('merges rows of a prefix from disk and from both epochs', async () => {
    const overlay = new Overlay((await memoryProvider().open('0_0', 's', true)).store, { prefixLength: () => 1 })
    for (const key of ['a1', 'a2', 'b1']) overlay.put(bytes(key), bytes('disk'), 1)
    overlay.seal()
    await overlay.apply({ changelogOffset: 3 })
    overlay.put(bytes('a2'), null, 2)
    overlay.put(bytes('a3'), bytes('sealed'), 2)
    overlay.seal()
    overlay.put(bytes('a0'), bytes('open'), 3)
    expect(overlay.prefix(bytes('a'))).toBe(null)
    await overlay.fetchRows(bytes('a'))
    expect(overlay.prefix(bytes('a'))?.map(([key, row]) => `${key}=${row.value}`)).toEqual(['a0=open', 'a1=disk', 'a3=sealed'])
  })

  it('property: equals a model under any puts, marks, rollbacks, seals, applies and drops, with a cache of any size', async () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd', 'e')
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.tuple(fc.constant('put'), key, fc.option(fc.nat(99))) },
      { weight: 4, arbitrary: fc.tuple(fc.constant('get'), key) },
      { weight: 2, arbitrary: fc.tuple(fc.constantFrom('mark', 'rollback', 'seal', 'apply', 'drop', 'prefetch')) },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80 }), fc.integer({ min: 2, max: 6 }), async (steps, cache) => {
        const overlay = await open(cache)
        let committed = new Map<string, string>()
        let sealed: Map<string, string> | null = null
        let current = new Map<string, string>()
        let marked = new Map<string, string>()
        let offset = 0
        for (const [name, k, v] of steps as [string, string, number | null][]) {
          if (name === 'put') {
            overlay.put(bytes(k), v === null ? null : bytes(String(v)), offset++)
            if (v === null) current.delete(k)
            else current.set(k, String(v))
          } else if (name === 'get') expect(text(overlay, k)).toBe(current.get(k) ?? null)
          else if (name === 'mark') {
            overlay.mark()
            marked = new Map(current)
          } else if (name === 'rollback') {
            overlay.rollback()
            current = new Map(marked)
          } else if (name === 'seal' && sealed === null) {
            overlay.seal()
            sealed = new Map(current)
            marked = new Map(current)
          } else if (name === 'apply' && sealed !== null) {
            await overlay.apply({ changelogOffset: offset })
            committed = sealed
            sealed = null
          } else if (name === 'drop') {
            overlay.drop()
            sealed = null
            current = new Map(committed)
            marked = new Map(committed)
          } else if (name === 'prefetch') await overlay.prefetch(['a', 'b', 'c', 'd', 'e'].map(bytes))
          for (const k of ['a', 'b', 'c', 'd', 'e']) {
            const stored = overlay.store.getSync(bytes(k))?.value.toString()
            expect(stored).toBe(committed.get(k))
            expect(overlay.committed(bytes(k))?.value.toString()).toBe(committed.get(k))
          }
        }
      }),
      { numRuns: 300 },
    )
  })
})
