// within(): how far apart in time two records of a stream join may be. Plain data, checked where it is written.
import { type Duration, durationMs } from '../base/duration.ts'
import { checkOptions, given, refuse } from './check.ts'

export interface WithinOptions {
  /** How much earlier than the left record the right one may be. Default: the size. */
  readonly before?: Duration
  /** How much later than the left record the right one may be. Default: the size. */
  readonly after?: Duration
  /** How much later than its window's end a record without a match still waits, by stream time. Default: 0. */
  readonly grace?: Duration
}

export interface JoinWindow {
  readonly kind: 'within'
  readonly beforeMs: number
  readonly afterMs: number
  readonly graceMs: number
}

/** Records whose timestamps differ by at most `size`, or by what `before` and `after` say in its place. */
export function within(size: Duration, options?: WithinOptions): JoinWindow {
  const known = checkOptions('within', options, ['before', 'after', 'grace'])
  const sizeMs = durationMs(size, 'within: size')
  const ms = (name: keyof WithinOptions, fallback: number): number =>
    known[name] === undefined ? fallback : durationMs(known[name], `within: ${name}`)
  return Object.freeze({ kind: 'within', beforeMs: ms('before', sizeMs), afterMs: ms('after', sizeMs), graceMs: ms('grace', 0) })
}

export function checkWindow(operator: string, window: unknown): JoinWindow {
  if (typeof window === 'object' && window !== null && 'kind' in window && window.kind === 'within') return window as JoinWindow
  return refuse(operator, `a join of two streams needs a window: within('5m'), not ${given(window)}`)
}
