import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RowCache } from '../../src/state/row-cache.ts'

const row = (bytes: number, fill: number) => ({ value: Buffer.alloc(bytes, fill), timestamp: fill })

describe('row cache', () => {
  test('property: what it answers is what was set last, or nothing; what it handed out does not change', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ key: fc.nat(30), bytes: fc.option(fc.constantFrom(0, 1, 100, 40_000, 70_000)), set: fc.boolean() }), {
          maxLength: 200,
        }),
        fc.constantFrom(2, 8, 100),
        (steps, entries) => {
          const cache = new RowCache(entries, 1_000_000)
          const model = new Map<string, ReturnType<typeof row> | null>()
          const handed: { value: Buffer; copy: Buffer }[] = []
          steps.forEach(({ key, bytes, set }, i) => {
            const name = String(key)
            if (set) {
              const stored = bytes === null ? null : row(bytes, i % 251)
              cache.set(name, stored)
              model.set(name, stored)
              if (stored !== null) model.set(name, { value: Buffer.from(stored.value), timestamp: stored.timestamp })
              stored?.value.fill(255) // the caller's buffer is its own
              return
            }
            const found = cache.get(name)
            if (found === undefined) return
            expect(found).toEqual(model.get(name))
            if (found !== null) handed.push({ value: found.value, copy: Buffer.from(found.value) })
          })
          for (const { value, copy } of handed) expect(value.equals(copy)).toBe(true)
        },
      ),
      { numRuns: 200 },
    )
  })

  test('keeps what was used lately, within its bounds', () => {
    const cache = new RowCache(100, 1_000_000)
    for (let i = 0; i < 1_000; i++) {
      cache.set(`k${i}`, row(10, i % 251))
      expect(cache.get('k0')).toBeDefined()
    }
    let held = 0
    for (let i = 0; i < 1_000; i++) if (cache.get(`k${i}`) !== undefined) held++
    expect(held).toBeGreaterThanOrEqual(50)
    expect(held).toBeLessThanOrEqual(100)
  })

  test('a row that changes all the time does not push the others out', () => {
    const cache = new RowCache(1_000, 8_000_000)
    for (let i = 0; i < 100; i++) cache.set(`k${i}`, row(1_000, i))
    for (let i = 0; i < 100_000; i++) cache.set('hot', row(1_000, i % 251))
    for (let i = 0; i < 100; i++) expect(cache.get(`k${i}`)).toEqual(row(1_000, i))
    expect(cache.get('hot')).toEqual(row(1_000, 99_999 % 251))
    cache.clear()
    expect(cache.touch('hot')).toBe(false)
  })

  test('what is touched counts as used, and keeps its bytes', () => {
    const cache = new RowCache(4, 8_000_000)
    cache.set('a', row(10, 1))
    cache.set('b', row(10, 2)) // both are old now
    expect(cache.touch('a')).toBe(true)
    expect(cache.touch('none')).toBe(false)
    cache.set('c', row(10, 3))
    expect(cache.get('a')).toEqual(row(10, 1))
    expect(cache.touch('b')).toBe(false)
  })
})
