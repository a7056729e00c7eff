// The lowest keys of one region of a store (the keys that begin with one byte), in order, so that what is due next is found without
// asking the disk: windows to close, rows to expire, updates to let go. It holds keys only, some thousands at most.
//
// Invariants
// 1. Every live row of the region whose key is below `knownTo` is in it (null: every row is). It may hold keys whose rows are gone;
//    they fall out when they come first.
// 2. Of these it never holds more than `keysMax`: the upper half goes, and `knownTo` comes down.
// 3. What is written beyond `knownTo` is remembered until it is on disk, where the next fetch finds it.

/** Places in front of the first that are free before they are given back. */
const TAKEN_MAX = 1_024

export class Front {
  /** Ascending from #first on; what comes in order goes to the end. */
  #texts: string[] = []
  #first = 0
  #knownTo: string | null
  readonly #keysMax: number
  /** Of what lies at `knownTo` and beyond, what may not be on disk yet: written in the open epoch, in the sealed one. */
  #open = new Set<string>()
  #sealed = new Set<string>()

  constructor(region: string, keysMax: number) {
    this.#knownTo = region
    this.#keysMax = keysMax
  }

  get knownTo(): string | null {
    return this.#knownTo
  }

  add(text: string): void {
    if (this.#knownTo !== null && text >= this.#knownTo) {
      this.#open.add(text)
      return
    }
    const texts = this.#texts
    let low = this.#first
    let high = texts.length
    if (high > low && (texts[high - 1] as string) < text) low = high
    while (low < high) {
      const middle = (low + high) >>> 1
      const there = texts[middle] as string
      if (there === text) return
      if (there < text) low = middle + 1
      else high = middle
    }
    if (low === texts.length) texts.push(text)
    else if (low === this.#first && low > 0) texts[--this.#first] = text
    else texts.splice(low, 0, text)
    if (texts.length - this.#first > this.#keysMax) this.#cut()
  }

  /** The lowest live key below `below`; null: there is none; undefined: the disk must be asked first. */
  first(below: string, live: (text: string) => boolean): string | null | undefined {
    const texts = this.#texts
    for (;;) {
      const text = texts[this.#first]
      if (text === undefined) return this.#knownTo === null || below <= this.#knownTo ? null : undefined
      if (text >= below) return null
      if (live(text)) return text
      if (++this.#first <= TAKEN_MAX) continue
      texts.splice(0, this.#first)
      this.#first = 0
    }
  }

  /** The open epoch is sealed. */
  seal(): void {
    this.#sealed = this.#open
    this.#open = new Set()
  }

  /** The sealed epoch is on disk. */
  applied(): void {
    this.#sealed = new Set()
  }

  /** What the disk has between `knownTo` and the new one, in any order. */
  extend(texts: readonly string[], knownTo: string | null): void {
    this.#knownTo = knownTo
    const all = new Set([...this.#texts.slice(this.#first), ...texts])
    for (const written of [this.#open, this.#sealed]) {
      for (const text of written) {
        if (knownTo !== null && text >= knownTo) continue
        written.delete(text)
        all.add(text)
      }
    }
    this.#texts = [...all].sort()
    this.#first = 0
    while (this.#texts.length > this.#keysMax) this.#cut()
  }

  #cut(): void {
    const kept = this.#first + ((this.#texts.length - this.#first + 1) >> 1)
    this.#knownTo = this.#texts[kept] as string
    for (let i = kept; i < this.#texts.length; i++) this.#open.add(this.#texts[i] as string)
    this.#texts.length = kept
  }
}
