// Who watches the epochs and batches of a worker, if anybody does. The runtime tells; it waits for nothing and gets nothing back but what it
// is to tell of next. Imports no tracing library: app/tracing.ts has the one there is.
//
// 1. Told once a batch and a few times an epoch. Of records it is told only while a batch is being recorded.
// 2. Nothing that is processed depends on it.
import type { LogRecord, TopicPartition } from './record.ts'

/** Of one worker. */
export interface Tracing {
  /** A batch of a task begins, in the open epoch; null: nobody records it. */
  batch(task: TracedTask): BatchTrace | null
  /** The open epoch is sealed; what becomes of it is told to the answer. */
  seal(): CommitTrace | null
  /** What is open will never be committed; null: not by an error. */
  lost(error: unknown): void
}

export interface TracedTask {
  readonly id: string
  readonly partition: number
  readonly queues: readonly TopicPartition[]
}

export interface BatchTrace {
  /** Runs it with the batch as what is under way: what callbacks begin there belongs to it. */
  within<T>(run: () => T): T
  /** A record was processed. */
  record(at: TopicPartition, record: LogRecord): void
  end(records: number, deadLetters: number): void
  failed(error: unknown): void
}

export interface CommitTrace {
  committed(records: number, bytes: number): void
  failed(error: unknown): void
}
