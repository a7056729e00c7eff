// A password or token: it prints as [hidden] wherever an object is shown, logged or written as JSON. `reveal` is for the one place
// that sends it.

const HIDDEN = '[hidden]'

export class Secret {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  reveal(): string {
    return this.#text
  }

  toString(): string {
    return HIDDEN
  }

  toJSON(): string {
    return HIDDEN
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return HIDDEN
  }
}
