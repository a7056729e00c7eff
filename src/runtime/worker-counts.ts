// What a worker counts of itself, for figures.
import { MillraceError } from '../base/errors.ts'

export interface WorkerCounts {
  /** Epochs that failed. */
  rewinds: number
  /** Of these: because another process had taken over. */
  fenced: number
  /** Assignments adopted. */
  rebalances: number
}

/** An epoch has failed: its records are read again. */
export function countFailure(counts: WorkerCounts, error: unknown): void {
  counts.rewinds++
  if (error instanceof MillraceError && error.code === 'STREAM_FENCED') counts.fenced++
}
