// fast-check arbitraries for ordering tests: the same events as they may arrive in the world. Each takes the events (or an arbitrary of
// them) and gives an arbitrary of arrivals, so they nest: `delayed(duplicated(events))`. Events are passed on as they are, never copied.
//
// Invariants
// 1. Every one of them may give the original, and shrinks towards it: a counterexample shows the few disturbances that matter.
// 2. No event is lost, none is invented.
import fc, { type Arbitrary } from 'fast-check'

/** Events in their order, or an arbitrary of them. */
export type Events<T> = readonly T[] | Arbitrary<readonly T[]>

type EventIn<E> = E extends Events<infer T> ? T : never

export interface DuplicatedOptions {
  /** At most so many copies. Default 16. */
  readonly copiesMax?: number
  /** A copy comes at most so many of the original events after the one it copies; 0: right behind it. Default: anywhere later. */
  readonly distanceMax?: number
}

export interface DelayedOptions {
  /** At most so many events are delayed. Default 16. */
  readonly delaysMax?: number
  /** An event is overtaken only by events that were at most so many places behind it. Default 16. */
  readonly distanceMax?: number
}

export interface ReplayedOptions {
  /** At most so many times the reader is set back. Default 3. */
  readonly replaysMax?: number
  /** How many events it is set back at most. Default: to the beginning. */
  readonly distanceMax?: number
}

const FRACTIONS = 2 ** 30

/** A place that does not depend on the number of events, so that events and places shrink apart. No bias: the middle matters too. */
const place = (): Arbitrary<number> => fc.noBias(fc.nat(FRACTIONS - 1))

/** 0 <= n < count. */
const scaled = (fraction: number, count: number): number => Math.floor((fraction / FRACTIONS) * count)

const listOf = <T>(item: Arbitrary<T>, itemsMax: number): Arbitrary<T[]> => fc.array(item, { maxLength: itemsMax, size: 'max' })

const arbitraryOf = <T>(events: Events<T>): Arbitrary<readonly T[]> =>
  Array.isArray(events) ? fc.constant(events) : (events as Arbitrary<readonly T[]>)

function bound(value: number | undefined, otherwise: number, name: string): number {
  if (value === undefined) return otherwise
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new RangeError(`${name}: expected a whole number >= 0, got ${value}`)
}

function merge<T>(sequences: readonly (readonly T[])[], runs: readonly { readonly pick: number; readonly more: number }[]): T[] {
  const open = sequences.map((sequence) => ({ sequence, at: 0 })).filter(({ sequence }) => sequence.length > 0)
  const merged: T[] = []
  const take = (index: number, count: number): void => {
    const from = open[index] as (typeof open)[number]
    const end = Math.min(from.at + count, from.sequence.length)
    while (from.at < end) merged.push(from.sequence[from.at++] as T)
    if (end === from.sequence.length) open.splice(index, 1)
  }
  for (const { pick, more } of runs) {
    if (open.length === 0) break
    take(pick % open.length, more + 1)
  }
  while (open.length > 0) take(0, Number.POSITIVE_INFINITY)
  return merged
}

function mergesOf<T>(sequences: readonly (readonly T[])[]): Arbitrary<T[]> {
  const total = sequences.reduce((sum, sequence) => sum + sequence.length, 0)
  if (total === 0) return fc.constant([])
  const pick = fc.nat(sequences.length - 1)
  // Single steps give every merge; runs let a sequence come in far ahead of another, which single steps hardly ever do.
  const steps = fc.array(fc.record({ pick, more: fc.constant(0) }), { minLength: total, maxLength: total })
  const runs = listOf(fc.record({ pick, more: fc.oneof(fc.nat(3), fc.nat(total - 1)) }), total)
  return fc.oneof(runs, steps).map((tape) => merge(sequences, tape))
}

/**
 * All ways to merge several sequences into one, each keeping its own order: what a reader of several partitions or topics may see.
 * Shrinks towards the sequences one after the other.
 *
 * ```ts
 * import fc from 'fast-check'
 * import { interleavings } from 'millrace/testing'
 *
 * const orders = [{ topic: 'orders', key: 'o1', value: { product: 'p1' } }]
 * const products = [{ topic: 'products', key: 'p1', value: { price: 5 } }, { topic: 'products', key: 'p1', value: { price: 6 } }]
 *
 * fc.assert(
 *   fc.property(interleavings([orders, products]), (events) => {
 *     const prices = events.filter((event) => event.topic === 'products').map((event) => event.value)
 *     return JSON.stringify(prices) === '[{"price":5},{"price":6}]'
 *   }),
 * )
 * ```
 */
export function interleavings<const S extends readonly Events<unknown>[]>(sequences: S): Arbitrary<EventIn<S[number]>[]>
export function interleavings<T>(sequences: Arbitrary<readonly (readonly T[])[]>): Arbitrary<T[]>
export function interleavings<T>(sequences: readonly Events<T>[] | Arbitrary<readonly (readonly T[])[]>): Arbitrary<T[]> {
  if (!Array.isArray(sequences)) return (sequences as Arbitrary<readonly (readonly T[])[]>).chain((given) => mergesOf(given))
  const each = sequences as readonly Events<T>[]
  if (each.every((sequence) => Array.isArray(sequence))) return mergesOf(each as readonly (readonly T[])[])
  return fc.tuple(...each.map((sequence) => arbitraryOf(sequence))).chain((given) => mergesOf(given))
}

/**
 * Some events come again later, as from a producer that retries. Without the copies it is the original, in its order.
 *
 * ```ts
 * import fc from 'fast-check'
 * import { duplicated } from 'millrace/testing'
 *
 * fc.assert(fc.property(duplicated(['a', 'b', 'c']), (arrived) => [...new Set(arrived)].join('') === 'abc'))
 * ```
 */
export function duplicated<T>(events: Events<T>, options: DuplicatedOptions = {}): Arbitrary<T[]> {
  const copiesMax = bound(options.copiesMax, 16, 'copiesMax')
  const distanceMax = bound(options.distanceMax, Number.POSITIVE_INFINITY, 'distanceMax')
  const copies = listOf(fc.record({ of: place(), after: place() }), copiesMax)
  return fc.tuple(arbitraryOf(events), copies).map(([original, wanted]) => {
    if (original.length === 0) return []
    const behind = new Map<number, T[]>()
    for (const copy of wanted) {
      const of = scaled(copy.of, original.length)
      const at = of + scaled(copy.after, Math.min(distanceMax, original.length - 1 - of) + 1)
      const others = behind.get(at)
      if (others === undefined) behind.set(at, [original[of] as T])
      else others.push(original[of] as T)
    }
    return original.flatMap((event, i) => [event, ...(behind.get(i) ?? [])])
  })
}

/**
 * Some events come later than they should. What is not delayed keeps its order, and events more than `distanceMax` places apart do too.
 *
 * ```ts
 * import fc from 'fast-check'
 * import { delayed, duplicated } from 'millrace/testing'
 *
 * const events = [{ key: 'p', version: 1 }, { key: 'p', version: 2 }, { key: 'p', version: 3 }]
 * fc.assert(
 *   fc.property(delayed(duplicated(events), { distanceMax: 2 }), (arrived) => {
 *     const winner = arrived.reduce((best, event) => (event.version > best.version ? event : best))
 *     return winner.version === 3
 *   }),
 * )
 * ```
 */
export function delayed<T>(events: Events<T>, options: DelayedOptions = {}): Arbitrary<T[]> {
  const delaysMax = bound(options.delaysMax, 16, 'delaysMax')
  const distanceMax = bound(options.distanceMax, 16, 'distanceMax')
  const delays = listOf(fc.record({ at: place(), by: fc.nat(distanceMax) }), delaysMax)
  return fc.tuple(arbitraryOf(events), delays).map(([original, wanted]) => {
    const by = new Map<number, number>()
    for (const delay of wanted) {
      const at = scaled(delay.at, original.length)
      by.set(at, Math.max(delay.by, by.get(at) ?? 0))
    }
    const due = original.map((event, i) => ({ event, at: i + (by.get(i) ?? 0), i }))
    // Delayed by n is overtaken by n: of what is due at the same place, the later one goes first.
    return due.sort((a, b) => a.at - b.at || b.i - a.i).map(({ event }) => event)
  })
}

/**
 * A reader that is set back and reads again from there, as after a crash or an offset reset: a prefix, a suffix or a middle part of the
 * events is delivered again, in its order; it may be set back again before it has caught up. It always ends with the last event.
 *
 * ```ts
 * import fc from 'fast-check'
 * import { replayed } from 'millrace/testing'
 *
 * fc.assert(
 *   fc.property(replayed([1, 2, 3, 4, 5]), (arrived) =>
 *     arrived.every((event, i) => event <= (arrived[i - 1] ?? 0) + 1) && arrived.at(-1) === 5),
 * )
 * ```
 */
export function replayed<T>(events: Events<T>, options: ReplayedOptions = {}): Arbitrary<T[]> {
  const replaysMax = bound(options.replaysMax, 3, 'replaysMax')
  const distanceMax = bound(options.distanceMax, Number.POSITIVE_INFINITY, 'distanceMax')
  const replays = listOf(fc.record({ on: place(), back: place() }), replaysMax)
  return fc.tuple(arbitraryOf(events), replays).map(([original, wanted]) => {
    const arrived: T[] = []
    let position = 0
    for (const replay of wanted) {
      const end = position + scaled(replay.on, original.length - position + 1)
      // Set back twice on the same spot would be set back further than distanceMax.
      if (end === position) continue
      while (position < end) arrived.push(original[position++] as T)
      position -= scaled(replay.back, Math.min(distanceMax, position) + 1)
    }
    while (position < original.length) arrived.push(original[position++] as T)
    return arrived
  })
}
