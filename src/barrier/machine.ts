// The life of an epoch as a pure state machine: no clock, no promise, no log. `barrier.ts` drives it.
//
//   idle -> open -> (seal) -> flushing -> committing -> applying -> idle          exactly_once
//                             flushing -> applying -> committing -> idle          at_least_once
//
// Invariants
// 1. One sealed epoch at a time; the next one opens at once and waits to be sealed until the sealed one has ended (R2).
// 2. `applying` is entered under exactly_once only from `committing` (R1: disk holds committed bytes only).
// 3. After a failure nothing but `recovered` is accepted: whoever holds the epoch drops it.
import { MillraceError } from '../base/errors.ts'

export type SealedPhase = 'none' | 'flushing' | 'committing' | 'applying'

export interface EpochState {
  readonly open: { readonly sinceMs: number; readonly records: number } | null
  readonly sealed: SealedPhase
  readonly failed: boolean
  /** Epochs committed and applied. */
  readonly epochs: number
}

export const IDLE: EpochState = { open: null, sealed: 'none', failed: false, epochs: 0 }

export interface EpochLimits {
  readonly intervalMs: number
  readonly recordsMax: number
  readonly bytesMax: number
}

/** Records were processed (0: a timer or a moved position made work). */
export function worked(state: EpochState, records: number, nowMs: number): EpochState {
  refuseFailed(state, 'work')
  const open = state.open ?? { sinceMs: nowMs, records: 0 }
  return { ...state, open: { sinceMs: open.sinceMs, records: open.records + records } }
}

/** Whether the open epoch is to be sealed now. */
export function sealDue(state: EpochState, nowMs: number, bytes: number, limits: EpochLimits): boolean {
  if (state.open === null || state.sealed !== 'none' || state.failed) return false
  return nowMs - state.open.sinceMs >= limits.intervalMs || state.open.records >= limits.recordsMax || bytes >= limits.bytesMax
}

/** The open epoch has grown past its bounds while another is being committed: no more input until that has ended. */
export function overfull(state: EpochState, bytes: number, limits: EpochLimits): boolean {
  return state.sealed !== 'none' && full(state, bytes, limits)
}

/** The open epoch has reached its bounds, but for the time. */
export function full(state: EpochState, bytes: number, limits: EpochLimits): boolean {
  return state.open !== null && (state.open.records >= limits.recordsMax || bytes >= limits.bytesMax)
}

/** How long until `sealDue` by the interval; null: nothing is open. */
export function dueInMs(state: EpochState, nowMs: number, limits: EpochLimits): number | null {
  return state.open === null ? null : Math.max(0, state.open.sinceMs + limits.intervalMs - nowMs)
}

export function seal(state: EpochState): EpochState {
  refuseFailed(state, 'seal')
  if (state.sealed !== 'none') throw broken('sealed while an epoch is being committed')
  return { ...state, open: null, sealed: 'flushing' }
}

export function advance(
  state: EpochState,
  to: 'committing' | 'applying' | 'none',
  guarantee: 'exactly_once' | 'at_least_once',
): EpochState {
  refuseFailed(state, to)
  const order = guarantee === 'exactly_once' ? EXACTLY_ONCE : AT_LEAST_ONCE
  if (order[state.sealed] !== to) throw broken(`${to} after ${state.sealed}`)
  return { ...state, sealed: to, epochs: to === 'none' ? state.epochs + 1 : state.epochs }
}

export function failed(state: EpochState): EpochState {
  return { ...state, failed: true }
}

/** Everything uncommitted was dropped and the inputs rewound. */
export function recovered(state: EpochState): EpochState {
  return { ...IDLE, epochs: state.epochs }
}

const EXACTLY_ONCE: Readonly<Record<SealedPhase, string>> = { none: '', flushing: 'committing', committing: 'applying', applying: 'none' }
const AT_LEAST_ONCE: Readonly<Record<SealedPhase, string>> = { none: '', flushing: 'applying', applying: 'committing', committing: 'none' }

function refuseFailed(state: EpochState, what: string): void {
  if (state.failed) throw broken(`${what} after a failure`)
}

function broken(what: string): MillraceError {
  return new MillraceError('STREAM_INTERNAL', `epoch: ${what}`)
}
