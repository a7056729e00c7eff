import fc from 'fast-check'
import { expect, test } from 'vitest'
import { recordColumns } from '../../src/base/columns.ts'
import { keyOrder, ORDERED_MAX } from '../../src/state/key-order.ts'

const order = keyOrder()

function ordered(keys: readonly Buffer[]): number[] {
  const columns = recordColumns(Math.max(1, keys.length))
  columns.count = keys.length
  columns.bytes = Buffer.concat([Buffer.from('xx'), ...keys, Buffer.from('zz')])
  let at = 2
  keys.forEach((key, i) => {
    columns.keyAts[i] = at
    columns.keyLengths[i] = key.length
    at += key.length
  })
  return [...order(columns)]
}

/** Few different bytes behind a prefix that all share, or most. */
const keys = fc.tuple(
  fc.constantFrom('', 'product-', '\xff'),
  fc.array(fc.array(fc.constantFrom(0, 1, 0xfe, 0xff), { maxLength: 7 }), { maxLength: 40 }),
)

test('property: every row once, by the bytes behind the common prefix, rows of one key in their order', () => {
  fc.assert(
    fc.property(keys, fc.boolean(), ([prefix, tails], odd) => {
      const all = tails.map((tail, i) => Buffer.concat([Buffer.from(odd && i === 3 ? 'q' : prefix, 'latin1'), Buffer.from(tail)]))
      const found = ordered(all)
      expect([...found].sort((a, b) => a - b)).toEqual(all.map((_, i) => i))
      let skipped = all[0]?.length ?? 0
      for (const key of all) while (key.compare(all[0] as Buffer, 0, skipped, 0, Math.min(skipped, key.length)) !== 0) skipped--
      const compared = (key: Buffer): Buffer => Buffer.concat([key.subarray(skipped), Buffer.alloc(5)]).subarray(0, 5)
      for (let i = 1; i < found.length; i++) {
        const [a, b] = [found[i - 1] as number, found[i] as number]
        const sign = compared(all[a] as Buffer).compare(compared(all[b] as Buffer))
        expect(sign < 0 || (sign === 0 && a < b)).toBe(true)
      }
    }),
    { numRuns: 200 },
  )
})

test('as many rows as fit, with the largest and the smallest bytes', () => {
  const all = Array.from({ length: ORDERED_MAX }, (_, i) => Buffer.alloc(6, i % 2 === 0 ? 0xff : 0))
  const found = ordered(all)
  expect(found).toEqual([...all.keys()].sort((a, b) => ((a % 2) - (b % 2)) * -1 || a - b))
})
