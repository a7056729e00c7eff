// How what is synchronous says that it lacks something from outside (a serde the schema of these bytes): it throws a `NotYet`. Whoever
// can wait awaits `need` and asks again; whoever can't has an error that says what is the matter.
import { type ErrorCode, MillraceError } from './errors.ts'

export class NotYet extends MillraceError {
  /** Resolves when it is worth to ask again; rejects when it will not come. */
  readonly need: () => Promise<void>

  constructor(code: ErrorCode, message: string, need: () => Promise<void>) {
    super(code, message, { disposition: 'retry' })
    this.need = need
  }
}

/** Asks until nothing is lacking. */
export async function whenThere<T>(ask: () => T): Promise<T> {
  for (;;) {
    try {
      return ask()
    } catch (error) {
      if (!(error instanceof NotYet)) throw error
      await error.need()
    }
  }
}

/** Likewise; the answer itself where nothing is lacking. */
export function nowOrWhenThere<T>(ask: () => T): T | Promise<T> {
  try {
    return ask()
  } catch (error) {
    if (!(error instanceof NotYet)) throw error
    return error.need().then(() => whenThere(ask))
  }
}
