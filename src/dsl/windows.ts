// tumbling(), hopping(), sliding(), session(): windows as users name them, checked where they are written.
import { type Duration, durationMs } from '../base/duration.ts'
import type { SessionWindows, SlidingWindows, TimeWindows } from '../base/window.ts'
import { checkOptions, refuse } from './check.ts'

export interface GraceOptions {
  /** How much later than stream time a window still takes records. Default: 0. */
  readonly grace?: Duration
}

export interface HoppingOptions extends GraceOptions {
  /** From one window's start to the next one's. */
  readonly advance: Duration
}

/** Windows of one size, one behind the other: [0, size), [size, 2 size), ... */
export function tumbling(size: Duration, options?: GraceOptions): TimeWindows {
  const sizeMs = above0('tumbling', 'size', size)
  return Object.freeze({
    kind: 'time',
    sizeMs,
    advanceMs: sizeMs,
    graceMs: graceOf('tumbling', checkOptions('tumbling', options, ['grace'])),
  })
}

/** Windows of one size that begin every `advance` and overlap. */
export function hopping(size: Duration, options: HoppingOptions): TimeWindows {
  const known = checkOptions('hopping', options, ['advance', 'grace'])
  const sizeMs = above0('hopping', 'size', size)
  if (known.advance === undefined) refuse('hopping', 'advance is missing: how far is it from one window to the next?')
  const advanceMs = above0('hopping', 'advance', known.advance)
  if (advanceMs > sizeMs)
    refuse('hopping', `advance (${advanceMs} ms) must not be over size (${sizeMs} ms): records would fall between windows`)
  return Object.freeze({ kind: 'time', sizeMs, advanceMs, graceMs: graceOf('hopping', known) })
}

/** Windows of records that are at most `difference` apart. */
export function sliding(difference: Duration, options?: GraceOptions): SlidingWindows {
  const differenceMs = durationOf('sliding', 'difference', difference)
  return Object.freeze({ kind: 'sliding', differenceMs, graceMs: graceOf('sliding', checkOptions('sliding', options, ['grace'])) })
}

/** Records of a key with no silence longer than `gap` between them. */
export function session(gap: Duration, options?: GraceOptions): SessionWindows {
  const gapMs = above0('session', 'gap', gap)
  return Object.freeze({ kind: 'session', gapMs, graceMs: graceOf('session', checkOptions('session', options, ['grace'])) })
}

function durationOf(operator: string, what: string, value: unknown): number {
  return durationMs(value as Duration, `${operator}: ${what}`)
}

function above0(operator: string, what: string, value: unknown): number {
  const ms = durationOf(operator, what, value)
  return ms > 0 ? ms : refuse(operator, `${what} must be over 0`)
}

function graceOf(operator: string, { grace }: GraceOptions): number {
  return grace === undefined ? 0 : durationOf(operator, 'grace', grace)
}
