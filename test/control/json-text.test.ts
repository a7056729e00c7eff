// JSON as it is shown: what JSON.stringify says, and bigints as their digits.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { jsonText } from '../../src/control/serdes.ts'

const withDigits = (value: unknown): string =>
  JSON.stringify(value, (_name, each: unknown) => (typeof each === 'bigint' ? each.toString() : each))

it('property: as with every bigint replaced', () => {
  fc.assert(
    fc.property(fc.anything({ withBigInt: true, withDate: true, withNullPrototype: true }), (value) => {
      expect(jsonText(value)).toBe(withDigits(value))
    }),
    { numRuns: 300 },
  )
  expect(jsonText({ n: 2n ** 64n, of: [1n, { deep: -3n }] })).toBe('{"n":"18446744073709551616","of":["1",{"deep":"-3"}]}')
})

it('what has no JSON form is refused as ever', () => {
  const cycle: Record<string, unknown> = {}
  cycle.self = cycle
  expect(() => jsonText(cycle)).toThrow(TypeError)
})
