// GlobalTable<K, V>: a topic that every process holds all of. Streams join it by any key; nothing else can be done with it.
import { PLACE, type Place } from './draft.ts'

export class GlobalTable<K, V> {
  readonly [PLACE]: Place
  /** For the compiler: what its rows are. */
  declare readonly rows?: (key: K) => V

  readonly #isGlobal = true

  constructor(place: Place) {
    this[PLACE] = place
    if (this.#isGlobal) Object.freeze(this)
  }
}
