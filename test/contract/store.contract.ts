// What every state store must do, whatever it keeps its bytes in. Run from test/state/contract.test.ts on each implementation.
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { keyBytes, keyText } from '../../src/base/bytes.ts'
import { LIMITS } from '../../src/base/limits.ts'
import type { ScanRange, StateStore, Stored, StoreProvider, Write } from '../../src/state/store.ts'

const b = (text: string): Buffer => Buffer.from(text, 'latin1')
const put = (key: string, value: string, timestamp = 1): Write => ({ key: b(key), value: b(value), timestamp })
const del = (key: string, timestamp = 1): Write => ({ key: b(key), value: null, timestamp })
const ALL: ScanRange = { from: null, to: null }

/** Keys where a store's own rows, its escapes or the ends of ranges could go wrong. */
const ODD_KEYS = [
  '',
  '\x00',
  '\x00\x00',
  '\x00\xff',
  'a',
  'a\x00',
  'b',
  '\xfe',
  '\xff',
  '\xff\x00',
  '\xff\x00\x00',
  '\xff\x01',
  '\xff\xff',
  '\xff\xffc',
  '\xff\xff\xff',
]

async function rowsOf(scan: AsyncIterable<readonly (readonly [Buffer, Stored])[]>): Promise<[string, string, number][]> {
  const rows: [string, string, number][] = []
  for await (const chunk of scan) {
    expect(chunk.length).toBeGreaterThan(0)
    expect(chunk.length).toBeLessThanOrEqual(LIMITS.scanChunkEntries)
    for (const [key, stored] of chunk) rows.push([keyText(key), keyText(stored.value), stored.timestamp])
  }
  return rows
}

const keysOf = async (store: StateStore, range: ScanRange): Promise<string[]> => (await rowsOf(store.scan(range))).map(([key]) => key)

/** What a scan of a plain Map answers. */
function modelScan(model: ReadonlyMap<string, [string, number]>, range: ScanRange): [string, string, number][] {
  const from = range.from === null ? null : keyText(range.from)
  const to = range.to === null ? null : keyText(range.to)
  const keys = [...model.keys()].sort().filter((key) => {
    if (from !== null && key < from) return false
    return to === null || key < to || (key === to && range.toExclusive !== true)
  })
  if (range.reverse === true) keys.reverse()
  return keys.map((key) => [key, ...(model.get(key) as [string, number])])
}

export interface ContractProvider {
  readonly provider: StoreProvider
  dispose(): Promise<void>
}

export function storeContract(name: string, makeProvider: () => Promise<ContractProvider>): void {
  describe(`store contract: ${name}`, () => {
    const cleanups: (() => Promise<void>)[] = []
    afterEach(async () => {
      for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
    })

    async function fresh(): Promise<{ provider: StoreProvider; store: StateStore }> {
      const made = await makeProvider()
      cleanups.push(() => made.dispose())
      const store = await reopen(made.provider)
      return { provider: made.provider, store }
    }

    async function reopen(provider: StoreProvider): Promise<StateStore> {
      const opened = await provider.open('0_1', 'counts', true)
      expect(opened.rebuilt).toBeNull()
      cleanups.push(() => opened.store.close())
      return opened.store
    }

    test('a new store is empty and has no checkpoint', async () => {
      const { store } = await fresh()
      expect(store.checkpoint()).toBeNull()
      expect(store.damaged).toBeNull()
      expect(store.getSync(b('a'))).toBeUndefined()
      expect(await store.getMany([b('a'), b('')])).toEqual([undefined, undefined])
      expect(await store.getMany([])).toEqual([])
      expect(await rowsOf(store.scan(ALL))).toEqual([])
    })

    test('applied writes are read back, by get, getMany in the order asked, and scan', async () => {
      const { store } = await fresh()
      await store.apply([put('k1', 'v1', 11), put('k2', '', 0), put('k3', 'v3', -1)], { changelogOffset: 3 })
      expect(store.getSync(b('k1'))).toEqual({ value: b('v1'), timestamp: 11 })
      expect(store.getSync(b('k2'))).toEqual({ value: b(''), timestamp: 0 })
      const many = await store.getMany([b('k3'), b('none'), b('k1'), b('k3')])
      expect(many.map((stored) => stored && keyText(stored.value))).toEqual(['v3', undefined, 'v1', 'v3'])
      expect(many[0]?.timestamp).toBe(-1)
      expect(await rowsOf(store.scan(ALL))).toEqual([
        ['k1', 'v1', 11],
        ['k2', '', 0],
        ['k3', 'v3', -1],
      ])
      expect(await store.sizeBytes()).toBeGreaterThan(0)
    })

    test('of two writes of a key in one batch the last counts; null deletes', async () => {
      const { store } = await fresh()
      await store.apply([put('a', '1'), put('a', '2'), put('b', '1'), del('b'), del('c'), put('c', '3'), del('none')], {
        changelogOffset: 7,
      })
      expect(await rowsOf(store.scan(ALL))).toEqual([
        ['a', '2', 1],
        ['c', '3', 1],
      ])
      await store.apply([del('a')], { changelogOffset: 8 })
      expect(store.getSync(b('a'))).toBeUndefined()
      expect(await keysOf(store, ALL)).toEqual(['c'])
    })

    test('odd and binary keys are kept apart and in the order of their bytes', async () => {
      const { store } = await fresh()
      await store.apply(
        ODD_KEYS.map((key, i) => put(key, `v${i}`)),
        { changelogOffset: 1 },
      )
      for (const [i, key] of ODD_KEYS.entries()) expect(store.getSync(b(key))?.value).toEqual(b(`v${i}`))
      expect(await keysOf(store, ALL)).toEqual(ODD_KEYS)
      expect(await keysOf(store, { ...ALL, reverse: true })).toEqual([...ODD_KEYS].reverse())
      for (const from of ODD_KEYS) {
        for (const to of ODD_KEYS) {
          const between = ODD_KEYS.filter((key) => key >= from && key <= to)
          expect(await keysOf(store, { from: b(from), to: b(to) })).toEqual(between)
          expect(await keysOf(store, { from: b(from), to: b(to), toExclusive: true })).toEqual(between.filter((key) => key !== to))
        }
      }
      await store.apply(
        ODD_KEYS.map((key) => del(key)),
        { changelogOffset: 2 },
      )
      expect(await keysOf(store, ALL)).toEqual([])
      expect(store.checkpoint()).toEqual({ changelogOffset: 2 })
    })

    test('ranges: inclusive ends, exclusive end, open ends, reverse, empty, upside down', async () => {
      const { store } = await fresh()
      await store.apply(
        ['a', 'b', 'c', 'd'].map((key) => put(key, key)),
        { changelogOffset: 4 },
      )
      expect(await keysOf(store, { from: b('b'), to: b('c') })).toEqual(['b', 'c'])
      expect(await keysOf(store, { from: b('b'), to: b('c'), toExclusive: true })).toEqual(['b'])
      expect(await keysOf(store, { from: b('b'), to: null })).toEqual(['b', 'c', 'd'])
      expect(await keysOf(store, { from: null, to: b('b') })).toEqual(['a', 'b'])
      expect(await keysOf(store, { from: b('b'), to: b('d'), toExclusive: true, reverse: true })).toEqual(['c', 'b'])
      expect(await keysOf(store, { from: b('bb'), to: b('bz') })).toEqual([])
      expect(await keysOf(store, { from: b('c'), to: b('b') })).toEqual([])
      expect(await keysOf(store, { from: b('b'), to: b('b'), toExclusive: true })).toEqual([])
    })

    test('a long scan comes in chunks, from a snapshot taken at the call, not at the first chunk', async () => {
      const { store } = await fresh()
      const count = LIMITS.scanChunkEntries * 2 + 7
      const key = (i: number): string => `k${String(i).padStart(6, '0')}`
      await store.apply(
        Array.from({ length: count }, (_, i) => put(key(i), 'old')),
        { changelogOffset: count },
      )
      for (const reverse of [false, true]) {
        const unstarted = store.scan({ ...ALL, reverse })
        const started = store.scan({ ...ALL, reverse })[Symbol.asyncIterator]()
        const first = await started.next()
        expect(first.done === true ? 0 : first.value.length).toBe(LIMITS.scanChunkEntries)
        const value = `new${reverse}`
        await store.apply(
          [...Array.from({ length: count }, (_, i) => put(key(i), value)), put('k9', value), del(key(5)), put('a', value)],
          { changelogOffset: 1 },
        )
        await store.apply([del('k9'), del('a'), del(key(count - 3))], { changelogOffset: 2 })
        const seen = await rowsOf(unstarted)
        expect(seen.length).toBe(count)
        expect(seen.every(([, seenValue]) => seenValue !== value)).toBe(true)
        let rest = 0
        for (let next = await started.next(); next.done !== true; next = await started.next()) {
          rest += next.value.length
          expect(next.value.every(([, stored]) => keyText(stored.value) !== value)).toBe(true)
        }
        expect(rest).toBe(count - LIMITS.scanChunkEntries)
        await store.apply([put(key(5), value), put(key(count - 3), value)], { changelogOffset: 3 })
      }
    })

    test('a scan left early can be followed by another, and by a close', async () => {
      const { store } = await fresh()
      await store.apply(
        Array.from({ length: 3_000 }, (_, i) => put(`k${i}`, 'v')),
        { changelogOffset: 1 },
      )
      for await (const chunk of store.scan(ALL)) {
        expect(chunk.length).toBe(LIMITS.scanChunkEntries)
        break
      }
      store.scan(ALL)
      expect((await keysOf(store, ALL)).length).toBe(3_000)
      await store.close()
    })

    test('content and checkpoint come back at a reopen; a set-aside store is empty', async () => {
      const { provider, store } = await fresh()
      await store.apply([put('a', '1', 5), put('\xff', '2', 6)], { changelogOffset: 42, caughtUpAtMs: 7 })
      expect(store.checkpoint()).toEqual({ changelogOffset: 42, caughtUpAtMs: 7 })
      await store.close()
      const again = await reopen(provider)
      expect(again.checkpoint()).toEqual({ changelogOffset: 42, caughtUpAtMs: 7 })
      expect(await rowsOf(again.scan(ALL))).toEqual([
        ['a', '1', 5],
        ['\xff', '2', 6],
      ])
      await again.apply([], { changelogOffset: -1 })
      await again.close()
      const third = await reopen(provider)
      expect(third.checkpoint()).toEqual({ changelogOffset: -1 })
      await third.close()
      await provider.setAside('0_1', 'counts', 'the test says so')
      const empty = await reopen(provider)
      expect(empty.checkpoint()).toBeNull()
      expect(await rowsOf(empty.scan(ALL))).toEqual([])
    })

    test('stores of other tasks and names share nothing', async () => {
      const { provider, store } = await fresh()
      const others = [
        await provider.open('0_2', 'counts', true),
        await provider.open('0_1', 'sums', true),
        await provider.open('0_1', 'lost', false),
      ]
      for (const { store: other } of others) cleanups.push(() => other.close())
      await store.apply([put('a', 'mine')], { changelogOffset: 1 })
      for (const [i, { store: other }] of others.entries()) {
        expect(other.getSync(b('a'))).toBeUndefined()
        await other.apply([put('a', `other${i}`)], { changelogOffset: i })
      }
      expect(store.getSync(b('a'))?.value).toEqual(b('mine'))
      const { store: transient } = others[2] as { store: StateStore }
      expect(transient.durable).toBe(false)
      await transient.close()
      const again = await provider.open('0_1', 'lost', false)
      expect(again.store.checkpoint()).toBeNull()
      expect(again.store.getSync(b('a'))).toBeUndefined()
    })

    test('a closed store refuses everything but another close', async () => {
      const { store } = await fresh()
      await store.apply([put('a', '1')], { changelogOffset: 1 })
      const unread = store.scan(ALL)
      await store.close()
      await store.close()
      const closed = expect.objectContaining({ code: 'STREAM_CLOSED' })
      expect(() => store.getSync(b('a'))).toThrow(closed)
      expect(() => store.checkpoint()).toThrow(closed)
      expect(() => store.scan(ALL)).toThrow(closed)
      await expect(store.getMany([b('a')])).rejects.toThrow(closed)
      await expect(store.apply([put('a', '2')], { changelogOffset: 2 })).rejects.toThrow(closed)
      await expect(store.sizeBytes()).rejects.toThrow(closed)
      await expect(rowsOf(unread)).rejects.toThrow(closed)
    })

    test('applies that are not awaited keep their order; a close waits for them', async () => {
      const { provider, store } = await fresh()
      // The first is so long that it would be overtaken.
      const long = Array.from({ length: 25_000 }, () => put('a', 'long'))
      const applies = Array.from({ length: 50 }, (_, i) =>
        store.apply(i === 0 ? long : [put('a', `${i}`), put(`k${i}`, 'v')], { changelogOffset: i }),
      )
      const closed = store.close()
      await Promise.all([...applies, closed])
      const again = await reopen(provider)
      expect(again.checkpoint()).toEqual({ changelogOffset: 49 })
      expect(keyText(again.getSync(b('a'))?.value as Buffer)).toBe('49')
    })

    test('bad names are refused', async () => {
      const { provider } = await fresh()
      for (const bad of ['', '.', '..', '../x', 'a/b', 'a\0', 'ä', 'counts.damaged', 'counts.damaged-3']) {
        await expect(provider.open('0_1', bad, true)).rejects.toThrow(expect.objectContaining({ code: 'STREAM_NAME' }))
        await expect(provider.open('0_1', bad, false)).rejects.toThrow(expect.objectContaining({ code: 'STREAM_NAME' }))
      }
      for (const bad of ['', '..', 'a/b', '/']) {
        await expect(provider.open(bad, 'counts', true)).rejects.toThrow(expect.objectContaining({ code: 'STREAM_NAME' }))
      }
    })

    test('property: any sequence of batches, reopens and reads answers as a Map does', { timeout: 60_000 }, async () => {
      const keys = fc.oneof(
        { weight: 3, arbitrary: fc.constantFrom(...ODD_KEYS) },
        { weight: 2, arbitrary: fc.uint8Array({ maxLength: 3 }).map((bytes) => keyText(Buffer.from(bytes))) },
      )
      const values = fc.uint8Array({ maxLength: 40 }).map((bytes) => keyText(Buffer.from(bytes)))
      const writes = fc.array(fc.record({ key: keys, value: fc.option(values), timestamp: fc.integer() }), { maxLength: 30 })
      const range = fc.record({ from: fc.option(keys), to: fc.option(keys), toExclusive: fc.boolean(), reverse: fc.boolean() })
      const step = fc.record({ writes, range, reopen: fc.integer({ min: 0, max: 4 }).map((n) => n === 0) })
      const made = await makeProvider()
      cleanups.push(() => made.dispose())
      let run = 0
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
          const name = `run${run++}`
          let store = (await made.provider.open('0_0', name, true)).store
          const model = new Map<string, [string, number]>()
          let offset = 0
          for (const { writes, range, reopen } of steps) {
            for (const { key, value, timestamp } of writes) value === null ? model.delete(key) : model.set(key, [value, timestamp])
            offset += writes.length
            await store.apply(
              writes.map(({ key, value, timestamp }) => ({ key: b(key), value: value === null ? null : b(value), timestamp })),
              { changelogOffset: offset },
            )
            if (reopen) {
              await store.close()
              store = (await made.provider.open('0_0', name, true)).store
            }
            const asked: ScanRange = {
              ...range,
              from: range.from === null ? null : keyBytes(range.from),
              to: range.to === null ? null : keyBytes(range.to),
            }
            expect(await rowsOf(store.scan(asked))).toEqual(modelScan(model, asked))
            const many = await store.getMany(ODD_KEYS.map(b))
            expect(many.map((stored) => stored && [keyText(stored.value), stored.timestamp])).toEqual(ODD_KEYS.map((key) => model.get(key)))
            for (const { key } of writes) {
              const stored = store.getSync(b(key))
              expect(stored && [keyText(stored.value), stored.timestamp]).toEqual(model.get(key))
            }
            expect(store.checkpoint()).toEqual({ changelogOffset: offset })
          }
          await store.close()
        }),
        { numRuns: 60 },
      )
    })
  })
}
