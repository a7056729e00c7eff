// What a fault run answers: the judge's findings and figures.
import type { Fleet } from './fleet.ts'
import type { GlimpseCounts } from './glimpses.ts'

export interface Outcome {
  readonly wrong: readonly string[]
  readonly events: number
  /** Milliseconds, each time, until everything that was there at the fault was processed. */
  readonly recoveredMs: readonly number[]
  /** How often the stores were read meanwhile, where that was asked for. */
  readonly glimpses: GlimpseCounts | null
}

/** More than anything may take: what takes too long is seen in the figures. */
export const PATIENCE_MS = 120_000

export async function finish(fleet: Fleet, recoveredMs: readonly number[]): Promise<Outcome> {
  await fleet.drained()
  return { ...(await fleet.verdict()), recoveredMs, glimpses: fleet.glimpses() }
}
