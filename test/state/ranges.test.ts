// Ranges over an overlay: the merge of disk, sealed and open epoch, fetched in pieces, as a model says.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/base/limits.ts'
import { memoryProvider } from '../../src/state/memory.ts'
import { Overlay } from '../../src/state/overlay.ts'
import type { ScanRange, StateStore } from '../../src/state/store.ts'
import { proxied } from '../support/proxied.ts'

const bytes = (text: string) => Buffer.from(text, 'latin1')
const open = async () => new Overlay((await memoryProvider().open('0_0', 's', true)).store)

class Wait {
  readonly fetch: () => Promise<void>
  constructor(fetch: () => Promise<void>) {
    this.fetch = fetch
  }
}

const rowsOf = (overlay: Overlay, range: ScanRange) =>
  overlay.range(range, (fetch) => {
    throw new Wait(fetch)
  })

/** What a task does: the same again, after what it asked for has been fetched. */
async function again<T>(overlay: Overlay, act: () => T): Promise<T> {
  for (let tries = 0; tries < 50; tries++) {
    overlay.mark()
    try {
      return act()
    } catch (error) {
      if (!(error instanceof Wait)) throw error
      overlay.rollback()
      await error.fetch()
    }
  }
  throw new Error('it never came to an end')
}

const texts = (overlay: Overlay, range: ScanRange): string[] =>
  [...rowsOf(overlay, range)].map(([key, { value }]) => `${key.toString('latin1')}=${value.toString('latin1')}`)

async function filled(overlay: Overlay, count: number): Promise<void> {
  for (let i = 0; i < count; i++) overlay.put(bytes(`k${String(i).padStart(5, '0')}`), bytes(String(i)), i)
  overlay.seal()
  await overlay.apply({ changelogOffset: 1 })
}

describe('ranges', () => {
  it('are the merge of all layers, whatever was written, undone, sealed, applied and dropped', async () => {
    const key = fc.constantFrom('', 'a', 'aa', 'ab', 'b', 'b\u00ff', 'c', '\u0000', '\u00ff\u00ff')
    const bound = fc.option(key)
    const step = fc.oneof(
      { weight: 8, arbitrary: fc.tuple(fc.constant('put' as const), key, fc.option(fc.nat(99))) },
      { weight: 4, arbitrary: fc.tuple(fc.constant('range' as const), bound, bound, fc.boolean(), fc.boolean()) },
      { weight: 3, arbitrary: fc.tuple(fc.constantFrom('seal', 'apply', 'drop', 'undone', 'forget')) },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), async (steps) => {
        const overlay = await open()
        let committed = new Map<string, number>()
        let sealed: Map<string, number> | null = null
        let present = new Map<string, number>()
        for (const [kind, ...rest] of steps) {
          if (kind === 'put') {
            const [at, value] = rest as unknown as [string, number | null]
            overlay.mark()
            overlay.put(bytes(at), value === null ? null : bytes(String(value)), 0)
            if (value === null) present.delete(at)
            else present.set(at, value)
          } else if (kind === 'undone') {
            overlay.mark()
            overlay.put(bytes('a'), bytes('undone'), 0)
            overlay.put(bytes('zz'), bytes('undone'), 0)
            overlay.rollback()
          } else if (kind === 'seal' && sealed === null) {
            overlay.seal()
            sealed = new Map(present)
          } else if (kind === 'apply' && sealed !== null) {
            await overlay.apply({ changelogOffset: 1 })
            committed = sealed
            sealed = null
          } else if (kind === 'drop') {
            overlay.drop()
            sealed = null
            present = new Map(committed)
          } else if (kind === 'forget') overlay.forgetRows()
          else if (kind === 'range') {
            const [from, to, reverse, toExclusive] = rest as unknown as [string | null, string | null, boolean, boolean]
            const range = { from: from === null ? null : bytes(from), to: to === null ? null : bytes(to), reverse, toExclusive }
            const expected = [...present]
              .filter(([at]) => (from === null || at >= from) && (to === null || at < to || (at === to && !toExclusive)))
              .sort(([a], [b]) => (a < b !== reverse ? -1 : 1))
              .map(([at, value]) => `${at}=${value}`)
            expect(await again(overlay, () => texts(overlay, range))).toEqual(expected)
          }
        }
      }),
      { numRuns: 400 },
    )
  })

  it('do not see what is written while they are read, however long they are', async () => {
    const overlay = await open()
    await filled(overlay, 300)
    for (let i = 0; i < 300; i++) overlay.put(bytes(`m${String(i).padStart(5, '0')}`), bytes('open'), 0)
    const seen = await again(overlay, () => {
      const keys: string[] = []
      for (const [key] of rowsOf(overlay, { from: null, to: null })) {
        keys.push(key.toString())
        overlay.put(key, null, 0)
        overlay.put(bytes(`${key}+`), bytes('new'), 0)
        overlay.put(bytes('m00299'), null, 0)
      }
      return keys
    })
    expect(seen).toHaveLength(600)
    expect(seen.at(-1)).toBe('m00299')
    expect(await again(overlay, () => texts(overlay, { from: null, to: null }).every((row) => row.includes('+=new')))).toBe(true)
  })

  it.each([false, true])('come in pieces, more each time, and no further than they are read (reverse: %s)', async (reverse) => {
    const overlay = await open()
    await filled(overlay, 9_500)
    let runs = 0
    const first = (count: number) => () => {
      runs++
      const keys: string[] = []
      for (const [key] of rowsOf(overlay, { from: null, to: null, reverse })) {
        keys.push(key.toString())
        if (keys.length === count) break
      }
      return keys
    }
    expect(await again(overlay, first(10))).toHaveLength(10)
    expect(runs).toBe(2)
    runs = 0
    const all = await again(overlay, first(10_000))
    expect(all).toHaveLength(9_500)
    expect(all).toEqual([...new Set(all)].sort((a, b) => (a < b !== reverse ? -1 : 1)))
    expect(runs).toBeLessThan(7)
  })

  it('that hold too much are refused', async () => {
    const { store } = await memoryProvider().open('0_0', 's', true)
    const row = Buffer.alloc(1024 * 1024)
    const large: StateStore = {
      ...store,
      damaged: null,
      async *scan() {
        for (let i = 0; ; i++) yield [[bytes(`k${i}`), { value: row, timestamp: 0 }]]
      },
    }
    const overlay = new Overlay(large)
    await expect(again(overlay, () => texts(overlay, { from: null, to: null }))).rejects.toMatchObject({
      code: 'STREAM_RECORD_TOO_LARGE',
      message: expect.stringContaining(`${LIMITS.rangeBytesMax / 1024 / 1024} MiB`),
    })
  })

  it('are not mixed of two states when an apply comes between two pieces', async () => {
    const overlay = await open()
    await filled(overlay, 2_500)
    for (let i = 0; i < 2_500; i += 2) overlay.put(bytes(`k${String(i).padStart(5, '0')}`), null, 0)
    overlay.seal()
    let applied = false
    for (let tries = 0; ; tries++) {
      overlay.mark()
      try {
        expect(texts(overlay, { from: null, to: null })).toHaveLength(1_250)
        break
      } catch (error) {
        if (!(error instanceof Wait)) throw error
        const fetching = error.fetch()
        if (tries === 1) {
          await overlay.apply({ changelogOffset: 2 })
          applied = true
        }
        await fetching
      }
    }
    expect(applied).toBe(true)
  })

  it('have what an apply brought to the disk while they were fetched for the first time', async () => {
    const { store } = await memoryProvider().open('0_0', 's', true)
    const { promise: come, resolve: go } = Promise.withResolvers<void>()
    // The rows are those of the call, as those of LevelDB's snapshot are; they come late.
    const late: StateStore = {
      ...proxied(store),
      async *scan(range) {
        const rows = store.scan(range)
        await come
        yield* rows
      },
    }
    const overlay = new Overlay(late)
    overlay.put(bytes('a'), bytes('1'), 0)
    overlay.seal()
    overlay.mark()
    let fetching = Promise.resolve()
    expect(() => [
      ...overlay.range({ from: null, to: null }, (fetch) => {
        fetching = fetch()
        throw new Error('wait')
      }),
    ]).toThrow('wait')
    await overlay.apply({ changelogOffset: 1 })
    go()
    await fetching
    expect(await again(overlay, () => texts(overlay, { from: null, to: null }))).toEqual(['a=1'])
  })

  it('that are left over are refused by the next record', async () => {
    const overlay = await open()
    overlay.put(bytes('a'), bytes('1'), 0)
    overlay.put(bytes('b'), bytes('2'), 0)
    const rows = await again(overlay, () => {
      const left = rowsOf(overlay, { from: null, to: null })
      left.next()
      return left
    })
    overlay.mark()
    expect(() => rows.next()).toThrow(/used after its record/)
  })
})
