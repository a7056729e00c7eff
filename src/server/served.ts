// What the server is given of a running processor: read-only, and nothing that it could hold up.
import type { Peer } from '../assignment/peers.ts'
import type { World } from '../base/ports.ts'
import type { HeldStore } from '../runtime/reads.ts'
import type { RestoreProgress } from '../runtime/recover.ts'
import type { StandbyFigure } from '../runtime/standbys.ts'
import type { Task } from '../runtime/task.ts'
import type { StateStore } from '../state/store.ts'
import type { Plan, SizedPlan } from '../topology/plan-types.ts'

export interface Figures {
  readonly epochs: number
  readonly rewinds: number
  /** Of these: because another process had taken over. */
  readonly fenced: number
  readonly rebalances: number
  /** Records restored from changelogs since the start. */
  readonly restored: number
  /** The last word of each restore, finished ones too. */
  readonly restores: readonly RestoreProgress[]
  /** Stores that are kept current for tasks of other processes. */
  readonly standbys: readonly StandbyFigure[]
}

/** The other processes of the application, as the last assignment has it. */
export interface Others {
  /** This process, as they know it. */
  readonly self: string
  peers(): readonly Peer[]
}

/** A task whose rows can be read: its stores are open and restored. */
export interface HeldTask {
  readonly id: string
  readonly stores: readonly HeldStore[]
}

export interface Served {
  readonly plan: Plan
  readonly world: World
  /** Its tasks run in other threads: their stores are asked, not read. */
  readonly remote?: boolean
  /** All assigned tasks are restored and running. */
  ready(): boolean
  /** Null until the topics are known. */
  sized(): SizedPlan | null
  tasks(): ReadonlyMap<string, HeldTask>
  /** A committed epoch is on its way to the stores: some have it, others not yet. */
  applying(): boolean
  /** Of a global table that has been read to its end. */
  globalStore(name: string): StateStore | undefined
  figures(): Figures
  /** Left out: no other process can have a key. */
  readonly others?: Others
}

/** A worker of this very thread: its tasks can be looked into. */
export interface Metered extends Served {
  tasks(): ReadonlyMap<string, Task>
}
