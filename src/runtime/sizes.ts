// How many bytes the states of the tasks have: looked up now and then beside the loop, for the assignor, and for the quota where there is
// one. An estimate: what a store says of itself on disk, or in memory. Never scans a store.
//
// Invariants
// 1. What was seen last of a task stays known when it has gone elsewhere: its state is on this disk still.
import { MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'
import type { StateStore } from '../state/store.ts'

export type OpenStores = () => Iterable<readonly [task: string, store: StateStore]>

export interface StateQuota {
  /** Of one task. */
  readonly bytes: number
  over(error: MillraceError): void
}

export class Sizes {
  readonly #world: World
  readonly #stores: OpenStores
  readonly #bytes: Map<string, number>
  readonly #quota: StateQuota | null
  #cancel: () => void = () => {}
  #closed = false

  /** `known`: what lay on the disk at the start. */
  constructor(world: World, known: Readonly<Record<string, number>>, stores: OpenStores, quota: StateQuota | null = null) {
    this.#world = world
    this.#stores = stores
    this.#bytes = new Map(Object.entries(known))
    this.#quota = quota
  }

  get bytes(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#bytes)
  }

  /** Now and from now on. */
  begin(): void {
    void this.look().then(() => {
      const inMs = this.#quota === null ? LIMITS.sizeLookMs : LIMITS.quotaLookMs
      if (!this.#closed) this.#cancel = this.#world.timers.after(inMs, () => this.begin())
    })
  }

  /** One that is closed meanwhile is left as it was. */
  async look(): Promise<void> {
    const sums = new Map<string, number>()
    const unknown = new Set<string>()
    for (const [task, store] of [...this.#stores()]) {
      try {
        sums.set(task, (sums.get(task) ?? 0) + (await store.sizeBytes()))
      } catch {
        unknown.add(task)
      }
    }
    for (const [task, bytes] of sums) {
      if (!unknown.has(task)) this.#bytes.set(task, bytes)
      if (!this.#closed && this.#quota !== null && bytes > this.#quota.bytes) this.#quota.over(overQuota(task, bytes, this.#quota.bytes))
    }
  }

  close(): void {
    this.#closed = true
    this.#cancel()
  }
}

function overQuota(task: string, bytes: number, most: number): MillraceError {
  return new MillraceError(
    'STREAM_QUOTA',
    `the state of task ${task} has ${bytes} bytes, over the stateQuota of ${most}: raise it, or have the topology keep less`,
  )
}
