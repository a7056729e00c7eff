// The lowest keys of one region of a store (the keys that begin with one byte), in order, so that what is due next is found without
// asking the disk: windows to close, rows to expire, updates to let go. It holds keys only, some thousands at most.
//
// Invariants
// 1. Every live row of the region whose key is below `knownTo` is in it (null: every row is). It may hold keys whose rows are gone;
//    they fall out when they come first.
// 2. It never grows past `keysMax`: the upper half goes, and `knownTo` comes down.

export class Front {
  /** Descending, so that the lowest is taken off the end. */
  #texts: string[] = []
  #knownTo: string | null
  readonly #keysMax: number

  constructor(region: string, keysMax: number) {
    this.#knownTo = region
    this.#keysMax = keysMax
  }

  get knownTo(): string | null {
    return this.#knownTo
  }

  add(text: string): void {
    if (this.#knownTo !== null && text >= this.#knownTo) return
    const texts = this.#texts
    let low = 0
    let high = texts.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const there = texts[middle] as string
      if (there === text) return
      if (there > text) low = middle + 1
      else high = middle
    }
    texts.splice(low, 0, text)
    if (texts.length > this.#keysMax) this.#cut()
  }

  /** The lowest live key below `below`; null: there is none; undefined: the disk must be asked first. */
  first(below: string, live: (text: string) => boolean): string | null | undefined {
    const texts = this.#texts
    for (;;) {
      const text = texts.at(-1)
      if (text === undefined) return this.#knownTo === null || below <= this.#knownTo ? null : undefined
      if (text >= below) return null
      if (live(text)) return text
      texts.pop()
    }
  }

  /** What lies between `knownTo` and the new one, in any order. */
  extend(texts: readonly string[], knownTo: string | null): void {
    this.#knownTo = knownTo
    this.#texts = [...new Set([...texts, ...this.#texts])].sort().reverse()
    while (this.#texts.length > this.#keysMax) this.#cut()
  }

  #cut(): void {
    const cut = this.#texts.splice(0, this.#texts.length >> 1)
    this.#knownTo = cut.at(-1) as string
  }
}
