// Histories for property tests: most of them short, so that many fit into the time, and some as long as it takes to fill what can be full.
import fc from 'fast-check'

export function histories<T>(step: fc.Arbitrary<T>, short: number, long: number): fc.Arbitrary<T[]> {
  return fc.oneof(
    { weight: 9, arbitrary: fc.array(step, { maxLength: short, size: 'max' }) },
    { weight: 1, arbitrary: fc.array(step, { maxLength: long, size: 'max' }) },
  )
}
