// What a worker is told as it is made. Data only.
import type { Peering } from '../assignment/hand-over.ts'
import type { EpochFigure } from '../barrier/barrier.ts'
import type { EpochLimits } from '../barrier/machine.ts'
import type { Tracing } from '../base/tracing.ts'
import type { Guarantee } from '../log/log.ts'
import type { TaskDeps } from './recover.ts'

export interface WorkerOptions {
  readonly deps: TaskDeps
  readonly transactionalId: string
  readonly instanceId: string | null
  readonly together?: readonly string[] // as in `GroupOptions`
  readonly guarantee: Guarantee
  readonly limits: EpochLimits
  /** Tasks whose state is on this disk: preferred by the assignor. */
  readonly stored: readonly string[]
  /** Their bytes. */
  readonly storedBytes?: Readonly<Record<string, number>>
  /** What the state of one task may have; left out, or null: as much as there is. */
  readonly stateQuotaBytes?: number | null
  /** Whose disk it is on: two members of one host share it. Left out: its own. */
  readonly host?: string
  /** How many other hosts are to keep the stores of each task current. */
  readonly standbys?: number
  /** Left out: its process answers no queries for others. */
  readonly peering?: Peering
  readonly onFatal: (error: unknown) => void
  readonly onEpoch?: (figure: EpochFigure) => void
  readonly tracing?: Tracing | null
}
