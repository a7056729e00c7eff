// What a task is made of, and what it counts. Data; what happens to it is in task.ts.
import type { Writer } from '../log/log.ts'
import type { UnderWay } from '../operators/operator.ts'
import type { Overlay } from '../state/overlay.ts'
import type { ErrorPolicies } from './dead-letter.ts'
import type { GivenUp } from './given-up.ts'
import type { GlobalReaders } from './global-readers.ts'
import type { InputQueue } from './input-queue.ts'
import type { Program } from './program.ts'
import type { Timers } from './timers.ts'
import type { Wakes } from './wakes.ts'

export interface TaskStore {
  readonly name: string
  readonly overlay: Overlay
  /** Null: the store keeps no changelog. */
  readonly changelogTopic: string | null
  /** Of a store whose rows are its table's topic. */
  readonly source?: Feeding
}

export interface Feeding {
  readonly topic: string
  /** Of the sealed epoch; -1: this task has none of it. */
  position: number
  /** It had all of the topic then. */
  isAtEnd: boolean
}

export interface TaskParts {
  readonly id: string
  readonly partition: number
  readonly program: Program
  readonly queues: InputQueue[]
  readonly stores: readonly TaskStore[]
  readonly policies: ErrorPolicies
  readonly deadLetterTopic: string
  readonly partitionsOf: (topic: string) => number
  readonly givenUp: GivenUp
  readonly timers: Timers
  readonly wakes: Wakes
  /** Of global tables. */
  readonly readers?: GlobalReaders
  /** Of its operators. */
  readonly underWay: ReadonlySet<UnderWay>
  /** Wall clock. */
  readonly nowMs: () => number
  /** The same without its jumps. */
  readonly steadyMs: () => number
  readonly monotonicMs: () => number
  /** How long an empty input is waited for; -1: not at all. */
  readonly maxIdleMs: number
}

export interface TaskCounts {
  records: number
  deadLetters: number
  skipped: number
  /** Records appended to topics, dead letters too, changelogs not; bytes of their keys and values. */
  out: number
  outBytes: number
}

export type Append = Writer['append']
