// When the event loop gets its turn: after each round of the worker's loop, and within one where records have kept it for long. Whoever asks by
// HTTP, heartbeats and timers wait for no more than a portion of records.
//
// 1. Time that nobody moves makes no turns: what runs under a clock of its own has them where the loop ends, and nowhere else.
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'

export class Turns {
  readonly #world: Pick<World, 'clock' | 'timers'>
  #lastMs: number

  constructor(world: Pick<World, 'clock' | 'timers'>) {
    this.#world = world
    this.#lastMs = world.clock.monotonic()
  }

  async take(): Promise<void> {
    const { clock, timers } = this.#world
    await timers.turn()
    this.#lastMs = clock.monotonic()
  }

  get due(): boolean {
    return this.#world.clock.monotonic() - this.#lastMs >= LIMITS.turnMs
  }
}
