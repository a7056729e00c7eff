// When a processor may read, write and forward, and what must not be lost on the way: a user's `try` around a read or a `forward`
// must not make half a record of it.
//
// 1. Stores and `forward` may be used while `process` or a timer runs, at no other time.
// 2. An error that came out of a read or of what is below the processor ends the record, whether it was caught or not.
import { MillraceError } from '../base/errors.ts'

export class Life {
  readonly node: string
  /** Of the record or timer that runs. */
  timestamp = 0
  #depth = 0
  #failed: { readonly error: unknown } | null = null

  constructor(node: string) {
    this.node = node
  }

  /** Runs a user's function as one piece. */
  run(timestamp: number, fn: () => void): void {
    const before = this.timestamp
    this.timestamp = timestamp
    this.#depth++
    try {
      fn()
      if (this.#failed !== null) throw this.#failed.error
    } finally {
      this.timestamp = before
      this.#depth--
      if (this.#depth === 0) this.#failed = null
    }
  }

  /** What the user's function does while it runs. */
  within<T>(what: string, fn: () => T): T {
    this.check(what)
    try {
      return fn()
    } catch (error) {
      this.#failed ??= { error }
      throw error
    }
  }

  check(what: string): void {
    if (this.#depth === 0) {
      throw new MillraceError(
        'STREAM_CALLBACK',
        `${this.node}: ${what} works only while process() or a timer runs, and not behind an await`,
      )
    }
    if (this.#failed !== null) throw this.#failed.error
  }
}
