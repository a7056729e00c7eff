// The lowest keys of a region: whatever is written, undone, sealed, applied and lost, the first live key is a sorted map's.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { keyText } from '../../src/base/bytes.ts'
import { Front } from '../../src/state/front.ts'
import { memoryProvider } from '../../src/state/memory.ts'
import { Overlay } from '../../src/state/overlay.ts'

const REGION = 1
const keyOf = (n: number): Buffer => Buffer.of(REGION, n >> 8, n & 255)
const value = Buffer.from('v')

describe('front', () => {
  it('cut down to half, it says what it does not know any more', () => {
    const front = new Front('r', 4)
    front.extend([], null)
    for (const text of ['re', 'ra', 'rd', 'rb', 'rc']) front.add(text)
    const live = (): boolean => true
    expect(front.knownTo).toBe('rd')
    expect(front.first('rz', live)).toBe('ra')
    expect(front.first('rb', (text) => text !== 'ra')).toBe(null)
    expect(front.first('rz', () => false)).toBe(undefined)
    expect(front.first('rd', () => false)).toBe(null)
    front.add('rf') // not known to be next
    expect(front.first('rz', live)).toBe(undefined)
    front.extend(['rd', 're', 'rf'], null)
    expect(front.first('rz', live)).toBe('rd')
  })
})

type Op =
  | { readonly op: 'put' | 'delete'; readonly n: number }
  | { readonly op: 'take'; readonly count: number; readonly below: number }
  | { readonly op: 'undo' | 'seal' | 'apply' | 'drop' }

const number = fc.nat(40)
const operation: fc.Arbitrary<Op> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ op: fc.constant('put' as const), n: number }) },
  { weight: 5, arbitrary: fc.record({ op: fc.constant('delete' as const), n: number }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('take' as const), count: fc.nat(5), below: number }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constantFrom('undo' as const, 'seal' as const, 'apply' as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('drop' as const) }) },
)

describe('first', () => {
  it('property: is the lowest live key below the bound', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { minLength: 20, maxLength: 200, size: 'max' }), async (operations) => {
        const overlay = new Overlay((await memoryProvider().open('0_0', 's', true)).store, { cacheEntriesMax: 8, frontKeysMax: 6 })
        // Other regions are not its business.
        overlay.put(Buffer.of(0, 1), value, 0)
        overlay.put(Buffer.of(2, 1), value, 0)
        let live = new Set<number>()
        let marked = new Set<number>()
        let committed = new Set<number>()
        let sealed: Set<number> | null = null
        overlay.mark()
        const first = async (below: number): Promise<Buffer | null> => {
          for (let tries = 0; tries < 10; tries++) {
            const found = overlay.first(REGION, keyOf(below))
            if (found !== undefined) return found
            await overlay.fetchFront(REGION)
          }
          throw new Error('it asks for ever')
        }
        const check = async (below: number): Promise<number | null> => {
          const expected = [...live].filter((n) => n < below).sort((a, b) => a - b)[0] ?? null
          const found = await first(below)
          expect(found === null ? null : keyText(found)).toBe(expected === null ? null : keyText(keyOf(expected)))
          return expected
        }
        for (const step of operations) {
          switch (step.op) {
            case 'put':
              overlay.put(keyOf(step.n), value, 0)
              live.add(step.n)
              break
            case 'delete':
              overlay.put(keyOf(step.n), null, 0)
              live.delete(step.n)
              break
            case 'take':
              for (let i = 0; i < step.count; i++) {
                const n = await check(step.below)
                if (n === null) break
                overlay.put(keyOf(n), null, 0)
                live.delete(n)
              }
              break
            case 'undo':
              overlay.rollback()
              live = new Set(marked)
              break
            case 'seal':
              if (sealed !== null) break
              overlay.seal()
              sealed = new Set(live)
              break
            case 'apply':
              if (sealed === null) break
              await overlay.apply({ changelogOffset: 0 })
              committed = sealed
              sealed = null
              break
            case 'drop':
              overlay.drop()
              sealed = null
              live = new Set(committed)
              break
          }
          if (step.op !== 'put' && step.op !== 'delete') {
            overlay.mark()
            marked = new Set(live)
          }
          await check(601)
        }
      }),
      { numRuns: 300 },
    )
  })
})
