// The bound that the row caches of a worker's stores share: all of them together hold no more. A store that is much used has more of it
// than the others. Never reads a row.
//
// Invariant: what is counted is what rows cost, not their bytes alone: a small row costs more around it than in it.
import { LIMITS } from '../base/limits.ts'

/** Has two generations; `age` makes the young one the old one. */
export interface Ages {
  age(): void
}

export class CacheBudget {
  readonly #generationBytesMax: number
  readonly #caches = new Set<Ages>()
  #youngBytes = 0

  constructor(bytesMax: number = LIMITS.cachesBytesMax) {
    this.#generationBytesMax = bytesMax / 2
  }

  join(cache: Ages): void {
    this.#caches.add(cache)
  }

  leave(cache: Ages): void {
    this.#caches.delete(cache)
  }

  spend(bytes: number): void {
    this.#youngBytes += bytes
    if (this.#youngBytes < this.#generationBytesMax) return
    this.#youngBytes = 0
    for (const cache of this.#caches) cache.age()
  }
}
