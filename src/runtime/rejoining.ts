// When a member asks its group for another assignment: when what it has to let go of is gone, and again and again while others do not let
// go of what it awaits. It says when; the worker asks.
//
// 1. What has to be let go of is what the leader says, not only what is here: whoever has lost its membership, or was killed and has its
//    place back, knows nothing of it any more, and the others wait for it all the same.
import type { Share } from '../assignment/hand-over.ts'
import { LIMITS } from '../base/limits.ts'

export class Rejoining {
  #wanted = false
  #awaitsSinceMs: number | null = null

  /** As soon as nothing is on its way out. */
  get wanted(): boolean {
    return this.#wanted
  }

  /** Others are to let go of tasks for us. */
  get awaits(): boolean {
    return this.#awaitsSinceMs !== null
  }

  /** `also`: something else is to be told to the group. */
  adopted({ refused, released, awaited }: Pick<Share, 'refused' | 'released' | 'awaited'>, also: boolean, nowMs: number): void {
    this.#awaitsSinceMs = awaited.length === 0 ? null : nowMs
    if (also || released.length + refused.length > 0) this.#wanted = true
  }

  /** The membership is over, and what was said with it. */
  forget(): void {
    this.#wanted = false
    this.#awaitsSinceMs = null
  }

  /** True: it is to ask now, and counts as having asked. `gone`: nothing is on its way out. */
  due(gone: boolean, nowMs: number): boolean {
    if (this.#wanted && gone) {
      this.#wanted = false
      return true
    }
    if (this.#awaitsSinceMs === null || nowMs - this.#awaitsSinceMs < LIMITS.handOverWaitMs) return false
    this.#awaitsSinceMs = nowMs // whoever was to let go has not, for whatever reason
    return true
  }
}
