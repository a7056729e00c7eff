// The timers of a task's processors: what is due next on stream time and on the wall clock. Knows no record; the task fires.
//
// Invariants
// 1. A timer on stream time is due from 0 on, one on the wall clock an interval after it was set. What was missed is one call, and the
//    next time keeps the phase: never a loop over the intervals in between.
//    After the wall clock was set back a timer is due an interval later at most.
// 2. Setting, cancelling and firing are undone by `rollback`, back to `mark`.
// 3. Timers that a supplier set go along with the commit (`text`) by the name of their node and their number, so that a restart
//    goes on where they were; those set later are lost with the task.
import { MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { murmur2 } from '../base/murmur2.ts'
import type { Cancellable, TimerClock } from '../topology/processor.ts'

export interface Timer {
  /** Null: it was not set by a supplier. */
  readonly id: string | null
  readonly node: string
  readonly clock: TimerClock
  readonly intervalMs: number
  readonly run: (timestamp: number) => void
  next: number
  cancelled: boolean
  /** It has met a full operator, and waits until something else has happened. */
  held: boolean
}

export type TimerInit = Pick<Timer, 'node' | 'intervalMs' | 'clock' | 'run'> & { readonly kept: boolean }

const CANCELLED = 'x'

export class Timers {
  #list: Timer[] = []
  readonly #undo: (() => void)[] = []
  readonly #cancelledIds = new Set<string>()
  readonly #counts = new Map<string, number>()
  #kept = 0
  #lastWallMs = Number.NEGATIVE_INFINITY
  #opening = true
  /** Something that goes along with the commit is not committed yet. */
  changed = false

  /** `nowMs`: the wall clock. */
  add({ node, intervalMs, clock, run, kept }: TimerInit, nowMs: number): Cancellable {
    // Of those that a supplier sets, the ones that it cancels are remembered too.
    if (this.#list.length >= LIMITS.timersMax || (kept && this.#opening && this.#kept >= LIMITS.timersMax)) {
      throw new MillraceError(
        'STREAM_CALLBACK',
        `${node}: there are ${LIMITS.timersMax} timers in this task already; cancel those that are over, or let one timer look after many keys`,
      )
    }
    const isKept = kept && this.#opening
    const count = this.#counts.get(node) ?? 0
    const id = isKept ? `${(murmur2(Buffer.from(node)) >>> 0).toString(36)}.${count.toString(36)}` : null
    if (isKept) {
      this.#counts.set(node, count + 1)
      this.#kept++
    }
    const timer: Timer = {
      id,
      node,
      clock,
      intervalMs,
      run,
      next: clock === 'wall' ? nowMs + intervalMs : 0,
      cancelled: false,
      held: false,
    }
    const before = this.#list
    this.#list = [...before, timer]
    this.#undo.push(() => {
      this.#list = before
    })
    if (isKept) this.changed ||= clock === 'wall'
    return { cancel: () => this.#cancel(timer) }
  }

  #cancel(timer: Timer): void {
    if (timer.cancelled) return
    const before = this.#list
    timer.cancelled = true
    this.#list = before.filter((other) => other !== timer)
    if (timer.id !== null) this.#cancelledIds.add(timer.id)
    this.#undo.push(() => {
      timer.cancelled = false
      this.#list = before
      if (timer.id !== null) this.#cancelledIds.delete(timer.id)
    })
    this.changed ||= timer.id !== null
  }

  /** The suppliers have run; `text` is what the last commit said. */
  opened(text: string, streamTime: number, nowMs: number): void {
    this.#opening = false
    const saved = new Map(text.split(',').map((each) => [each.split(':')[0] as string, each.split(':')[1] ?? ''] as const))
    for (const timer of [...this.#list]) {
      const at = timer.id === null ? undefined : saved.get(timer.id)
      if (at === undefined) continue
      if (at === CANCELLED) {
        this.#cancel(timer)
        continue
      }
      const next = Number.parseInt(at, 36)
      // Further away than an interval: the interval was made shorter since.
      const latest = (timer.clock === 'wall' ? nowMs : Math.max(0, streamTime)) + timer.intervalMs
      if (Number.isSafeInteger(next) && next <= latest) timer.next = next
    }
    this.changed = this.#list.some((timer) => timer.clock === 'wall' && timer.id !== null && !saved.has(timer.id))
    this.mark()
  }

  /** The timer that is due first, or null. */
  due(clock: TimerClock, now: number): Timer | null {
    let first: Timer | null = null
    if (now < 0) return null
    if (clock === 'wall' && now < this.#lastWallMs) this.#setBack(now)
    if (clock === 'wall') this.#lastWallMs = now
    for (const timer of this.#list)
      if (timer.clock === clock && timer.next <= now && !timer.held && (first === null || timer.next < first.next)) first = timer
    return first
  }

  /** When the next timer on the wall clock is due; null: there is none. */
  get wallAtMs(): number | null {
    let at: number | null = null
    for (const { clock, next, held } of this.#list) if (clock === 'wall' && !held && (at === null || next < at)) at = next
    return at
  }

  /** The wall clock was set back: none fires later than its interval from now. */
  #setBack(now: number): void {
    for (const timer of this.#list) {
      if (timer.clock !== 'wall' || timer.next <= now + timer.intervalMs) continue
      timer.next = now + timer.intervalMs
      this.changed ||= timer.id !== null
    }
  }

  get someHeld(): boolean {
    return this.#list.some(({ held }) => held)
  }

  /** Those that were held, in the order of their times. */
  release(): Timer[] {
    const held = this.#list.filter((timer) => timer.held).sort((a, b) => a.next - b.next)
    for (const timer of held) timer.held = false
    return held
  }

  /** It was run at `now`: sets its next time. */
  fired(timer: Timer, now: number): void {
    const before = timer.next
    timer.next = before + (Math.floor((now - before) / timer.intervalMs) + 1) * timer.intervalMs
    this.#undo.push(() => {
      timer.next = before
    })
    this.changed ||= timer.id !== null
  }

  mark(): void {
    this.#undo.length = 0
  }

  rollback(): void {
    for (const undo of this.#undo.reverse()) undo()
    this.#undo.length = 0
  }

  /** What goes along with the commit; '' when there is nothing to say. */
  text(): string {
    const live = this.#list.filter(({ id }) => id !== null).map(({ id, next }) => `${id}:${next.toString(36)}`)
    return [...live, ...[...this.#cancelledIds].map((id) => `${id}:${CANCELLED}`)].join(',')
  }
}
