import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ordered, take } from '../../src/state/ordered.ts'

test('property: any changes, asked at any time, answer as a sorted array does', { timeout: 60_000 }, () => {
  const text = fc.integer({ min: 0, max: 3_000 }).map((n) => String(n).padStart(4, '0'))
  const step = fc.record({
    // Large blocks make pieces split and sort anew, small ones are placed one by one.
    block: fc.option(fc.record({ from: fc.nat(3_000), count: fc.nat(1_500), present: fc.boolean() })),
    changes: fc.array(fc.tuple(text, fc.boolean()), { maxLength: 20 }),
    from: fc.option(text),
    to: fc.option(text),
    fromExclusive: fc.boolean(),
    toExclusive: fc.boolean(),
    reverse: fc.boolean(),
    limit: fc.constantFrom(1, 3, 700, Number.POSITIVE_INFINITY),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const set = ordered()
      const model = new Set<string>()
      const change = (one: string, present: boolean): void => {
        set.pending.set(one, present)
        if (present) model.add(one)
        else model.delete(one)
      }
      for (const { block, changes, limit, ...range } of steps) {
        for (let i = 0; block !== null && i < block.count; i++) change(String(block.from + i).padStart(4, '0'), block.present)
        for (const [one, present] of changes) change(one, present)
        const { from, to } = range
        const right = [...model].sort().filter((one) => {
          if (from !== null && (one < from || (one === from && range.fromExclusive))) return false
          return to === null || one < to || (one === to && !range.toExclusive)
        })
        if (range.reverse) right.reverse()
        expect(take(set, range, limit)).toEqual(right.slice(0, limit))
      }
    }),
    { numRuns: 300 },
  )
})
