// Which of a task's inputs goes next: the one whose head is the oldest, and how long an empty one is waited for before that is said.
//
// Invariants
// 1. An empty input that is known to have more, or that was not heard of yet, is waited for, so that the choice does not depend on which
//    fetch was faster; `maxIdleMs` long, but `LIMITS.inputWaitMs` at least. One that was read to its end is waited for `maxIdleMs` long.
//    -1: neither is.
// 2. A wait begins when another input has something, and is counted when it ends in vain. Then that input is not waited for until it has had
//    something again.
// 3. A single input is never waited for, and costs no look at a clock.
import { LIMITS } from '../base/limits.ts'
import type { InputQueue } from './input-queue.ts'

export class InputChoice {
  /** Inputs that a `Pause` keeps waiting. */
  readonly held = new Set<InputQueue>()
  /** Waits that ended in vain. */
  waitedOut = 0
  /** When the present wait ends, monotonic; infinity: there is none. */
  endsAtMs = Number.POSITIVE_INFINITY
  readonly #queues: readonly InputQueue[]
  readonly #maxIdleMs: number
  readonly #monotonicMs: () => number

  /** `queues` may grow. */
  constructor(queues: readonly InputQueue[], maxIdleMs: number, monotonicMs: () => number) {
    this.#queues = queues
    this.#maxIdleMs = maxIdleMs
    this.#monotonicMs = monotonicMs
  }

  ready(): boolean {
    this.endsAtMs = Number.POSITIVE_INFINITY
    let some = false
    let missing = false
    for (const queue of this.#queues) {
      if (this.held.has(queue)) continue
      if (queue.records > 0) some = true
      else if (this.#waitMs(queue) > 0) missing = true
      else queue.awaitedSinceMs = -1
    }
    return some && (!missing || this.#isOver())
  }

  /** The input whose head is the oldest; one whose head can't be read yet goes before all. */
  next(): InputQueue | null {
    if (this.#queues.length === 1) {
      const only = this.#queues[0] as InputQueue
      return only.records > 0 && !this.held.has(only) ? only : null
    }
    let best: InputQueue | null = null
    let bestTimestamp = 0
    for (const queue of this.#queues) {
      const head = this.held.has(queue) ? null : queue.head()
      if (head === null) continue
      if (queue.isLacking) return queue
      if (best !== null && head.timestamp >= bestTimestamp) continue
      best = queue
      bestTimestamp = head.timestamp
    }
    return best
  }

  #waitMs({ endOffset, position, isLetters }: InputQueue): number {
    const maxMs = this.#maxIdleMs
    if (maxMs < 0) return 0
    if (endOffset < 0 || position < endOffset) return Math.max(LIMITS.inputWaitMs, maxMs)
    return isLetters ? 0 : maxMs // nobody sends letters back as long as all is well
  }

  #isOver(): boolean {
    const now = this.#monotonicMs()
    for (const queue of this.#queues) {
      if (queue.records > 0 || this.held.has(queue)) continue
      const waitMs = this.#waitMs(queue)
      if (waitMs === 0) continue
      if (queue.awaitedSinceMs < 0) queue.awaitedSinceMs = now
      const endMs = queue.awaitedSinceMs + waitMs
      if (now < endMs) this.endsAtMs = Math.min(this.endsAtMs, endMs)
      else if (!queue.waitedOut) {
        queue.waitedOut = true
        this.waitedOut++
      }
    }
    return this.endsAtMs === Number.POSITIVE_INFINITY
  }
}
