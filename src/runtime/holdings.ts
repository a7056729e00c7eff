// What this process has of the tasks' states, as the leader is told of it: which lie on its disk, how large they are, how far they go.
// Decides nothing.
//
// Invariants
// 1. What was seen last of a task stays known when it has gone elsewhere: its state is on this disk still, as it was.
import type { Claim } from '../assignment/hand-over.ts'
import type { World } from '../base/ports.ts'
import type { StateStore } from '../state/store.ts'
import { Sizes, type StateQuota } from './sizes.ts'
import type { Standbys } from './standbys.ts'
import type { Task } from './task.ts'

export interface HoldingsOptions {
  readonly world: World
  readonly tasks: ReadonlyMap<string, Task>
  readonly standbys: Standbys
  /** On disk at the start, and their bytes. */
  readonly stored: readonly string[]
  readonly storedBytes: Readonly<Record<string, number>>
  readonly quota: StateQuota | null
}

export class Holdings {
  readonly sizes: Sizes
  readonly #o: HoldingsOptions
  readonly #stored: Set<string>
  readonly #at = new Map<string, number>()

  constructor(options: HoldingsOptions) {
    this.#o = options
    this.#stored = new Set(options.stored)
    this.sizes = new Sizes(options.world, options.storedBytes, () => this.#open(), options.quota)
  }

  /** These will have state on this disk. */
  add(ids: readonly string[]): void {
    for (const id of ids) this.#stored.add(id)
  }

  claim(): Pick<Claim, 'stored' | 'bytes' | 'at' | 'standingBy'> {
    const { tasks, standbys } = this.#o
    for (const task of tasks.values()) this.#see(task)
    for (const [id, at] of Object.entries(standbys.at)) this.#at.set(id, at)
    return { stored: [...this.#stored], bytes: this.sizes.bytes, at: Object.fromEntries(this.#at), standingBy: standbys.ids }
  }

  #see({ id, stores }: Task): void {
    let at = 0
    for (const { overlay, changelogTopic, source } of stores) {
      if (changelogTopic === null && source === undefined) continue
      if (overlay.store.damaged !== null) return void this.#at.delete(id)
      at += overlay.store.checkpoint()?.changelogOffset ?? 0
    }
    this.#at.set(id, at)
  }

  *#open(): Iterable<readonly [task: string, store: StateStore]> {
    for (const task of this.#o.tasks.values()) for (const { overlay } of task.stores) yield [task.id, overlay.store]
    yield* this.#o.standbys.stores()
  }
}
