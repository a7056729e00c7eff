// Chance that a seed decides: the same seed gives the same numbers on every machine (mulberry32).

export interface Seeded {
  /** 0 <= n < bound. */
  below(bound: number): number
  /** True with this probability. */
  chance(probability: number): boolean
  pick<T>(of: readonly T[]): T
  /** The same things in another order; the original stays as it is. */
  shuffled<T>(of: readonly T[]): T[]
}

export function seeded(seed: number): Seeded {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
  const below = (bound: number): number => Math.floor(next() * bound)
  return {
    below,
    chance: (probability) => next() < probability,
    pick: <T>(of: readonly T[]): T => {
      if (of.length === 0) throw new Error('nothing to pick from')
      return of[below(of.length)] as T
    },
    shuffled: <T>(of: readonly T[]): T[] => {
      const all = [...of]
      for (let i = all.length - 1; i > 0; i--) {
        const j = below(i + 1)
        const moved = all[i] as T
        all[i] = all[j] as T
        all[j] = moved
      }
      return all
    },
  }
}
