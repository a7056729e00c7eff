// What a window is, as data: how wide, how late. Times in epoch ms. No behaviour but the arithmetic of epoch-aligned windows.
//
// Invariants
// 1. A time window is [start, end), aligned to multiples of `advanceMs`. A sliding window and a session are [start, end], both inclusive.

export interface TimeWindows {
  readonly kind: 'time'
  readonly sizeMs: number
  readonly advanceMs: number
  readonly graceMs: number
}

export interface SlidingWindows {
  readonly kind: 'sliding'
  /** Two records are in one window when their timestamps differ by at most this. */
  readonly differenceMs: number
  readonly graceMs: number
}

export interface SessionWindows {
  readonly kind: 'session'
  /** A longer silence than this ends a session. */
  readonly gapMs: number
  readonly graceMs: number
}

export type Windows = TimeWindows | SlidingWindows | SessionWindows

/** A key in a window. */
export interface Windowed<K> {
  readonly key: K
  /** Epoch ms. */
  readonly start: number
  /** Epoch ms; exclusive for tumbling and hopping windows, inclusive for sliding ones and sessions. */
  readonly end: number
}

/** Start of the first window that holds the timestamp; the others follow by `advanceMs`, up to the timestamp. */
export function firstStart({ sizeMs, advanceMs }: TimeWindows, timestamp: number): number {
  return Math.floor(Math.max(0, timestamp - sizeMs + advanceMs) / advanceMs) * advanceMs
}

/** How long after its end a window takes records. */
export function closesAfterMs(windows: Windows): number {
  return windows.kind === 'session' ? windows.graceMs + windows.gapMs : windows.graceMs
}
