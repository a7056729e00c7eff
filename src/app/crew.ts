// What runs the tasks of a processor, as the processor sees it: one worker in its own thread (member.ts), or several in threads of
// their own (threads/).
import type { Peer } from '../assignment/peers.ts'
import type { ProcessFigures, TaskFigures } from '../control/figures.ts'
import type { RestoreProgress } from '../runtime/recover.ts'
import type { StandbyFigure } from '../runtime/standbys.ts'
import type { WorkerReading } from '../server/metrics.ts'
import type { Figures, HeldTask } from '../server/served.ts'
import type { StateStore } from '../state/store.ts'

/** What a worker says of itself; it can be sent between threads. */
export interface Word {
  /** All tasks that it was given are restored and run. */
  readonly ready: boolean
  readonly tasks: readonly TaskWord[]
  readonly epochs: number
  /** Of the last epoch. */
  readonly commitMs: number
  readonly rewinds: number
  readonly fenced: number
  readonly rebalances: number
  /** Null: nothing is being restored. */
  readonly restoring: RestoreProgress | null
  /** The last word of each restore, finished ones too. */
  readonly restores: readonly RestoreProgress[]
  readonly standbys: readonly StandbyFigure[]
}

export type TaskWord = TaskFigures

export interface Crew {
  /** Resolves when all workers have joined the group; tasks are restored and run in the background. */
  start(): Promise<void>
  /** Commits what was processed, ends the membership, closes the stores. `leave`: for good. */
  close(leave: boolean): Promise<void>
  /** Of each worker. */
  words(): readonly Word[]
  tasks(): ReadonlyMap<string, HeldTask>
  /** A committed epoch is on its way to the stores: some have it, others not yet. */
  applying(): boolean
  /** Of a global table that has been read to its end; undefined: there is none of this name, or it is still being read. */
  globalStore(name: string): StateStore | undefined
  /** The processes of the application that answer queries, and their tasks, as the last assignment has it. */
  peers(): readonly Peer[]
  /** The metrics of workers that live elsewhere; null: one that has not answered in time. */
  readings?(): Promise<readonly (WorkerReading | null)[]>
}

export interface CrewStatus extends Figures {
  readonly ready: boolean
  readonly tasks: readonly string[]
  readonly records: number
  readonly deadLetters: number
  readonly restoring: RestoreProgress | null
}

export function figuresOf(applicationId: string, words: readonly Word[]): ProcessFigures {
  const { ready, epochs, rewinds, rebalances, restoring, standbys } = statusOf(words)
  return {
    applicationId,
    ready,
    epochs,
    commitMs: Math.max(0, ...words.map((word) => word.commitMs)),
    rewinds,
    rebalances,
    restoring,
    standbys: new Set(standbys.map(({ task }) => task)).size,
    tasks: words.flatMap((word) => word.tasks),
  }
}

/** The worst of all, and their sums. */
export function statusOf(words: readonly Word[]): CrewStatus {
  const tasks = words.flatMap((word) => word.tasks)
  const restores = words.flatMap((word) => word.restores)
  const sum = (of: (word: Word) => number): number => words.reduce((total, word) => total + of(word), 0)
  return {
    ready: words.length > 0 && words.every((word) => word.ready),
    tasks: tasks.map(({ id }) => id),
    records: tasks.reduce((total, { records }) => total + records, 0),
    deadLetters: tasks.reduce((total, { deadLetters }) => total + deadLetters, 0),
    epochs: sum((word) => word.epochs),
    rewinds: sum((word) => word.rewinds),
    fenced: sum((word) => word.fenced),
    rebalances: sum((word) => word.rebalances),
    restoring: words.find((word) => word.restoring !== null)?.restoring ?? null,
    restored: restores.reduce((total, { restored }) => total + restored, 0),
    restores,
    standbys: words.flatMap((word) => word.standbys),
  }
}
