import { readFileSync } from 'node:fs'
import fc, { type Arbitrary } from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as arbitraries from '../../src/testing/arbitraries.ts'

const { delayed, duplicated, interleavings, replayed } = arbitraries

interface Event {
  readonly id: number
}
const events = (count: number, from = 0): readonly Event[] => Array.from({ length: count }, (_, i) => ({ id: from + i }))
const ids = (list: readonly Event[]): number[] => list.map((event) => event.id)
const sorted = (list: readonly number[]): number[] => [...list].sort((a, b) => a - b)
const unique = (list: readonly number[]): number[] => [...new Set(list)]
const lengths = fc.nat(20)

/** Checks a law on what the arbitrary of `count` events gives, for many counts; the source is an array or an arbitrary in turn. */
function law(
  make: (source: arbitraries.Events<Event>) => Arbitrary<Event[]>,
  check: (arrived: readonly Event[], original: readonly Event[]) => void,
): void {
  for (const count of [0, 1, 2, 3, 7, 20]) {
    const original = events(count)
    for (const source of [original, fc.constant(original)])
      fc.assert(
        fc.property(make(source), (arrived) => check(arrived, original)),
        { numRuns: 100 },
      )
  }
}

/** Every distinct result in many draws, as text. */
const seen = (arbitrary: Arbitrary<readonly Event[]>, numRuns: number): Set<string> =>
  new Set(fc.sample(arbitrary, { numRuns, seed: 7 }).map((list) => ids(list).join(' ')))

/** The smallest result that fails the test. */
function shrunk<T>(arbitrary: Arbitrary<T>, holds: (value: T) => boolean, seed: number): T {
  const result = fc.check(fc.property(arbitrary, holds), { numRuns: 5000, seed })
  expect(result.failed).toBe(true)
  return (result.counterexample as [T])[0]
}

describe('interleavings', () => {
  test('keep every event and the order of each sequence', () => {
    fc.assert(
      fc.property(
        fc.array(lengths, { maxLength: 4 }).chain((counts) => {
          const sequences = counts.map((count, i) => events(count, i * 100))
          return fc.tuple(fc.constant(sequences), fc.oneof(interleavings(sequences), interleavings(fc.constant(sequences))))
        }),
        ([sequences, merged]) => {
          for (const [i, sequence] of sequences.entries()) expect(merged.filter(({ id }) => Math.floor(id / 100) === i)).toEqual(sequence)
          expect(merged).toHaveLength(sequences.flat().length)
        },
      ),
    )
  })

  test('all of them are given', () => {
    expect(seen(interleavings([events(3), events(2, 10)]), 2000).size).toBe(10) // 5! / (3! 2!)
    expect(seen(interleavings([events(2), events(2, 10), events(2, 20)]), 5000).size).toBe(90) // 6! / (2! 2! 2!)
  })

  test('long sequences come far ahead of each other too', () => {
    const merged = fc.sample(interleavings([events(30), events(30, 100)]), { numRuns: 300, seed: 3 })
    expect(merged.some(([first, , third]) => first?.id === 100 && third?.id === 1)).toBe(true)
    expect(merged.some((list) => list.findIndex(({ id }) => id < 100) === 30)).toBe(true)
  })

  test('of sequences that are arbitraries themselves', () => {
    fc.assert(
      fc.property(interleavings([duplicated(events(4)), events(4, 100), delayed(events(4, 200))]), (merged) => {
        expect(unique(ids(merged.filter(({ id }) => id < 100)))).toEqual([0, 1, 2, 3])
        expect(ids(merged.filter(({ id }) => id >= 100 && id < 200))).toEqual([100, 101, 102, 103])
        expect(sorted(ids(merged.filter(({ id }) => id >= 200)))).toEqual([200, 201, 202, 203])
      }),
    )
  })

  test('shrink towards one sequence after the other', () => {
    const [a, b] = [events(10), events(10, 100)]
    for (let seed = 0; seed < 10; seed++) {
      const before = (list: readonly Event[]): boolean => ids(list).indexOf(100) > ids(list).indexOf(9)
      const smallest = ids(shrunk(interleavings([a, b]), before, seed))
      const disorder = smallest.filter((id, i) => id < (smallest[i - 1] ?? 0)).length
      expect(disorder).toBe(1)
    }
  })
})

describe('duplicated', () => {
  test('gives the original, and each copy behind what it copies', () => {
    law(
      (source) => duplicated(source),
      (arrived, original) => {
        const first = arrived.filter((event, i) => arrived.indexOf(event) === i)
        expect(first).toEqual(original)
        expect(arrived.every((event) => original.includes(event))).toBe(true)
        expect(arrived.length).toBeLessThanOrEqual(original.length + (original.length > 0 ? 16 : 0))
      },
    )
  })

  test('distanceMax and copiesMax hold', () => {
    law(
      (source) => duplicated(source, { copiesMax: 3, distanceMax: 2 }),
      (arrived, original) => {
        expect(arrived.length - original.length).toBeLessThanOrEqual(3)
        arrived.forEach((event, i) => {
          const newSince = new Set(ids(arrived.slice(0, i))).size - 1 - event.id
          if (arrived.indexOf(event) < i) expect(newSince).toBeLessThanOrEqual(2)
        })
      },
    )
    expect(seen(duplicated(events(2), { copiesMax: 1, distanceMax: 0 }), 500)).toEqual(new Set(['0 1', '0 0 1', '0 1 1']))
  })

  test('any event comes again anywhere later', () => {
    expect(seen(duplicated(events(3), { copiesMax: 1 }), 2000)).toEqual(
      new Set(['0 1 2', '0 0 1 2', '0 1 0 2', '0 1 2 0', '0 1 1 2', '0 1 2 1', '0 1 2 2']),
    )
  })

  test('shrinks to the one copy that matters', () => {
    for (let seed = 0; seed < 10; seed++)
      expect(ids(shrunk(duplicated(events(10)), (list) => list.filter(({ id }) => id === 4).length < 2, seed))).toEqual([
        0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9,
      ])
  })
})

describe('delayed', () => {
  test('is a permutation in which events far apart keep their order', () => {
    for (const distanceMax of [0, 1, 3, 50])
      law(
        (source) => delayed(source, { distanceMax }),
        (arrived, original) => {
          expect(sorted(ids(arrived))).toEqual(ids(original))
          const order = ids(arrived)
          const overtakenBy = order.map((id, i) => Math.max(0, ...order.slice(i + 1).map((later) => id - later)))
          expect(Math.max(0, ...overtakenBy)).toBeLessThanOrEqual(distanceMax)
        },
      )
  })

  test('what is not delayed keeps its order: without delaysMax events it is sorted', () => {
    law(
      (source) => delayed(source, { delaysMax: 2 }),
      (arrived) => {
        const order = ids(arrived)
        const without = (left: number[], out: number): boolean =>
          left.every((id, i) => i === 0 || id > (left[i - 1] as number)) ||
          (out > 0 && left.some((_, i) => without(left.toSpliced(i, 1), out - 1)))
        expect(without(order, 2)).toBe(true)
      },
    )
  })

  test('all permutations of a few are given, and a delay of one is one place', () => {
    expect(seen(delayed(events(4)), 5000).size).toBe(24)
    expect(seen(delayed(events(3), { delaysMax: 1, distanceMax: 1 }), 500)).toEqual(new Set(['0 1 2', '1 0 2', '0 2 1']))
  })

  test('shrinks to the one delay that matters', () => {
    for (let seed = 0; seed < 10; seed++) {
      const inOrder = (list: readonly Event[]): boolean => ids(list).indexOf(5) < ids(list).indexOf(7)
      expect(ids(shrunk(delayed(events(10)), inOrder, seed))).toEqual([0, 1, 2, 3, 4, 6, 7, 5, 8, 9])
    }
  })
})

describe('replayed', () => {
  test('is what a reader sees that is set back: forward one by one, or back', () => {
    law(
      (source) => replayed(source),
      (arrived, original) => {
        const order = ids(arrived)
        expect(unique(order)).toEqual(ids(original))
        let back = 0
        order.forEach((id, i) => {
          const before = i === 0 ? -1 : (order[i - 1] as number)
          expect(id).toBeLessThanOrEqual(before + 1)
          if (id <= before) back++
        })
        expect(back).toBeLessThanOrEqual(3)
        expect(order.at(-1)).toBe(ids(original).at(-1))
      },
    )
  })

  test('distanceMax holds', () => {
    law(
      (source) => replayed(source, { distanceMax: 2 }),
      (arrived) => {
        for (const [i, { id }] of arrived.entries()) expect((arrived[i - 1]?.id ?? -1) - id).toBeLessThan(2)
      },
    )
  })

  test('prefixes, suffixes and middle parts come again', () => {
    const given = seen(replayed(events(3), { replaysMax: 1 }), 3000)
    expect(given).toEqual(new Set(['0 1 2', '0 0 1 2', '0 1 0 1 2', '0 1 1 2', '0 1 2 2', '0 1 2 1 2', '0 1 2 0 1 2']))
    expect(seen(replayed(events(3), { replaysMax: 2 }), 5000)).toContain('0 1 2 0 1 0 1 2')
  })

  test('shrinks to one replay', () => {
    for (let seed = 0; seed < 10; seed++)
      expect(
        ids(shrunk(replayed(events(6)), (list) => list.filter(({ id }) => id === 3).length < 2, seed)).filter((id) => id === 3),
      ).toHaveLength(2)
  })
})

test('they nest, and nested ones shrink to the original but for what matters', () => {
  const nested = replayed(delayed(duplicated(fc.array(fc.nat(5), { maxLength: 8 }).map((list) => list.map((id) => ({ id }))))))
  fc.assert(fc.property(nested, (arrived) => arrived.every(({ id }) => id <= 5)))
  const smallest = shrunk(nested, (list) => new Set(ids(list)).size === list.length, 1)
  expect(ids(smallest)).toEqual([0, 0])
})

test('bounds that are none are refused', () => {
  for (const bad of [-1, 1.5, Number.NaN]) {
    expect(() => duplicated([], { copiesMax: bad })).toThrow('copiesMax: expected a whole number >= 0')
    expect(() => delayed([], { distanceMax: bad })).toThrow('distanceMax: expected a whole number >= 0')
    expect(() => replayed([], { replaysMax: bad })).toThrow('replaysMax: expected a whole number >= 0')
  }
})

test('the examples of the documentation run', () => {
  const source = readFileSync(new URL('../../src/testing/arbitraries.ts', import.meta.url), 'utf8')
  const examples = [...source.matchAll(/\* ```ts\n([\s\S]*?) \* ```/g)].map((match) => (match[1] as string).replaceAll(/^ \* ?/gm, ''))
  expect(examples).toHaveLength(4)
  for (const example of examples) {
    expect(example).toContain('fc.assert(')
    const body = example.replaceAll(/^import .*$/gm, '')
    new Function('fc', ...Object.keys(arbitraries), body)(fc, ...Object.values(arbitraries))
  }
})

test('interleavings: sequences of several kinds of events need no common type', () => {
  const orders = [{ topic: 'orders', value: { cents: 5 } } as const]
  const customers = [{ topic: 'customers', value: { name: 'Ada' } } as const]
  fc.assert(
    fc.property(interleavings([orders, customers]), (arrived) => {
      const cents = arrived.flatMap((event) => (event.topic === 'orders' ? [event.value.cents] : []))
      expect(cents).toEqual([5])
      expect(arrived).toHaveLength(2)
    }),
  )
})
