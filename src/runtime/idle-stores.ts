// Finds out from time to time that the stores of running tasks are up to date, also those that nothing is written to: an idle store would
// count as one that may have missed deletes when it is opened the next time. Beside the worker's loop; waits for nothing of it.
//
// Invariant: what is written is the checkpoint as it is, while no epoch is being applied: an older offset never comes after a newer one.
import { explain } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'
import type { Log } from '../log/log.ts'
import type { StateStore } from '../state/store.ts'
import { caughtUp, type Followed, upToDate } from './missed-deletes.ts'
import type { Task } from './task.ts'

const APPLYING_WAITS = 1_000

export interface IdleStoresOptions {
  readonly log: Log
  readonly world: World
  readonly tasks: ReadonlyMap<string, Task>
  /** Some stores may have the sealed epoch, others not yet. */
  readonly applying: () => boolean
}

interface Open extends Followed {
  readonly task: Task
  readonly store: StateStore
}

export class IdleStores {
  readonly #o: IdleStoresOptions
  #dueAtMs: number
  #looking = false

  constructor(options: IdleStoresOptions) {
    this.#o = options
    this.#dueAtMs = options.world.clock.monotonic() + LIMITS.caughtUpLookMs
  }

  /** Called with each turn of the loop. */
  look(): void {
    const { clock, logger } = this.#o.world
    if (this.#looking || clock.monotonic() < this.#dueAtMs) return
    this.#looking = true
    this.#dueAtMs = clock.monotonic() + LIMITS.caughtUpLookMs
    this.#look()
      .catch((error: unknown) => logger.debug({ reason: explain(error) }, 'it is not known whether idle stores are up to date'))
      .finally(() => {
        this.#looking = false
      })
  }

  async #look(): Promise<void> {
    const { log, world, tasks, applying } = this.#o
    const askedAtMs = world.clock.now()
    const fresh = await upToDate(log, [...this.#open()])
    for (let waits = 0; applying(); waits++) {
      if (waits === APPLYING_WAITS) return // of a failed epoch, which is applied no more
      await world.timers.sleep(1)
    }
    const written = fresh.filter(({ task }) => tasks.get(task.id) === task).map(({ store }) => caughtUp(store, askedAtMs))
    await Promise.all(written)
  }

  *#open(): Iterable<Open> {
    for (const task of this.#o.tasks.values()) {
      for (const { overlay, changelogTopic, source } of task.stores) {
        const { store } = overlay
        const topic = changelogTopic ?? source?.topic
        if (topic === undefined || store.damaged !== null) continue
        const position = store.checkpoint()?.changelogOffset
        if (position !== undefined) yield { task, store, changelog: { topic, partition: task.partition }, position }
      }
    }
  }
}
