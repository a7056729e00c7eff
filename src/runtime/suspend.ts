// How a synchronous record waits for something asynchronous: it is thrown, the task undoes the record, awaits `need`, and runs the
// same record again. For the rare reads that nobody could foresee (rows of a prefix, a topic never seen).

// A `Pause` waits for nothing that could be awaited: its input stands still until something else has happened in the task.

import { NotYet } from '../base/not-yet.ts'

export class Suspend {
  readonly need: () => Promise<void>

  constructor(need: () => Promise<void>) {
    this.need = need
  }
}

export class Pause extends Suspend {
  constructor() {
    super(() => Promise.resolve())
  }
}

/** What a thrown error asks to wait for; null: it is an error. */
export function suspendOf(error: unknown): Suspend | null {
  if (error instanceof Suspend) return error
  return error instanceof NotYet ? new Suspend(error.need) : null
}
