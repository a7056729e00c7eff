// How a running process is: totals since its start, for whoever watches it by the control socket. Plain data.

export interface TaskFigures {
  readonly id: string
  readonly records: number
  /** Records written to topics, changelogs not. */
  readonly out: number
  /** Offsets between what is processed and the ends of its inputs. */
  readonly lag: number
  readonly deadLetters: number
  readonly stores: readonly string[]
}

export interface ProcessFigures {
  readonly applicationId: string
  readonly ready: boolean
  readonly epochs: number
  /** Of the last epoch: from its seal until it was in the stores. */
  readonly commitMs: number
  readonly rewinds: number
  readonly rebalances: number
  /** Null: nothing is being restored. */
  readonly restoring: { readonly task: string; readonly store: string; readonly restored: number; readonly remaining: number } | null
  /** Tasks of other processes whose stores this one keeps current. */
  readonly standbys: number
  readonly tasks: readonly TaskFigures[]
}
