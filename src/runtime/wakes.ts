// What the operators of a task have to do by themselves, between records: which of it is due, and which waits for a full operator further
// down. Runs nothing; the task does.
//
// Invariants
// 1. A held wake is not due until something else has happened in the task: else it would be tried again at once, for ever.
// 2. Its clock has no jumps: what they reckon with comes when they have waited for so long.
import type { Wake } from '../operators/operator.ts'

export class Wakes {
  readonly all: Wake[] = []
  readonly #nowMs: () => number

  /** Epoch time without jumps. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  isDue({ wallAtMs, streamAtMs, held }: Wake, streamTime: number): boolean {
    return held !== true && (wallAtMs <= this.#nowMs() || streamAtMs <= streamTime)
  }

  someDue(streamTime: number): boolean {
    return this.all.some((wake) => this.isDue(wake, streamTime))
  }

  /** When the wall clock makes the next one due; infinity: never. */
  get wallAtMs(): number {
    let at = Number.POSITIVE_INFINITY
    for (const { wallAtMs, held } of this.all) if (held !== true && wallAtMs < at) at = wallAtMs
    return at
  }

  /** Where a clock that a test moves stops after that time; infinity: nowhere. */
  stopAfter(ms: number): number {
    let at = Number.POSITIVE_INFINITY
    for (const { wallAtMs, stops } of this.all) if (stops === true && wallAtMs > ms && wallAtMs < at) at = wallAtMs
    return at
  }

  /** Something has happened. */
  release(): void {
    for (const wake of this.all) if (wake.held === true) wake.held = false
  }
}
