// What flows through running tasks: how much they take in, how a batch goes through one, when its timers fire. Functions without state;
// the loop says when.
import type { Barrier } from '../barrier/barrier.ts'
import { LIMITS } from '../base/limits.ts'
import type { Tracing } from '../base/tracing.ts'
import { partitionName } from '../base/record.ts'
import type { Chunk, Reader } from '../log/log.ts'
import type { Task } from './task.ts'
import type { Turns } from './turns.ts'

/** Gives the tasks what was read. True: a position has moved with no record to bring it along (a transaction's marker, records of one that was
 *  aborted). It is committed all the same, or the group would stay short of the end until the next record comes. */
export function acceptAll(chunks: readonly Chunk[], byPartition: ReadonlyMap<string, Task>): boolean {
  let moved = false
  for (const chunk of chunks) {
    const task = byPartition.get(partitionName(chunk.topic, chunk.partition))
    task?.accept(chunk)
    if (task !== undefined && chunk.records.length === 0) moved = true
  }
  return moved
}

export interface Flow {
  readonly barrier: Barrier
  readonly turns: Turns
  readonly tracing: Tracing | null
}

/** One batch of a task's input: what the records ask to wait for is awaited, for the batch as a whole where that is known before. What those
 *  of `next` will ask for is read meanwhile. */
export async function processBatch(task: Task, next: Task, flow: Flow): Promise<void> {
  const { barrier, tracing } = flow
  const trace = tracing?.batch(task) ?? null
  if (trace === null) return await takeBatch(task, next, flow, (records) => task.run(records, barrier.append))
  const { records, deadLetters } = task.counts
  task.trace = trace
  try {
    await takeBatch(task, next, flow, (most) => trace.within(() => task.run(most, barrier.append)))
  } catch (error) {
    trace.failed(error)
    throw error
  } finally {
    task.trace = null
  }
  trace.end(task.counts.records - records, task.counts.deadLetters - deadLetters)
}

async function takeBatch(task: Task, next: Task, { barrier, turns }: Flow, run: (recordsMax: number) => number): Promise<void> {
  await task.resume()
  const read = task.prefetch.rows(LIMITS.taskBatchRecords)
  if (next !== task) next.prefetch.ahead(LIMITS.taskBatchRecords)
  await read
  let done = 0
  for (;;) {
    const portion = Math.min(LIMITS.portionRecords, LIMITS.taskBatchRecords - done)
    const records = run(portion)
    done += records
    if (task.suspended !== null) await task.resume()
    else if (records < portion || done === LIMITS.taskBatchRecords) break
    else if (turns.due) await turns.take()
  }
  task.forgetRows()
  if (done > 0 || task.dirty) barrier.worked(done)
  if (turns.due) await turns.take()
}

/** Updates wait in record caches: they must go on before a seal. */
export function hasCached(task: Task): boolean {
  return task.program.caches.some(({ size }) => size > 0)
}

/** What waits in the record caches goes on. */
export async function flushCaches(tasks: Iterable<Task>, barrier: Barrier): Promise<void> {
  for (const task of tasks) {
    while (hasCached(task)) {
      await task.resume()
      task.flush(barrier.append)
      barrier.worked(0)
    }
  }
}

/** Timers on the wall clock. */
export async function fireTimers(task: Task, barrier: Barrier): Promise<void> {
  if (task.suspended !== null) return
  if (task.dueInMs === 0) await task.prefetch.begun()
  while (task.runTimers(barrier.append)) {
    barrier.worked(0)
    // Once: a timer that takes longer than its interval must not keep the records waiting.
    if (task.suspended === null) break
    await task.resume()
  }
  task.forgetRows()
}

/** How long until a clock makes something due. */
export function timerInMs(tasks: readonly Task[]): number {
  let inMs = Number.POSITIVE_INFINITY
  for (const task of tasks) inMs = Math.min(inMs, task.dueInMs)
  return inMs === Number.POSITIVE_INFINITY ? LIMITS.pollWaitMs : inMs
}

/** How long until an empty input is not waited for any more. */
export function inputInMs(tasks: readonly Task[], monotonicMs: number): number {
  let atMs = Number.POSITIVE_INFINITY
  for (const { choice } of tasks) atMs = Math.min(atMs, choice.endsAtMs)
  return Math.max(0, atMs - monotonicMs)
}

/** What the tasks hold of the open epoch. */
export function openBytes(tasks: Iterable<Task>): number {
  let bytes = 0
  for (const task of tasks) bytes += task.openBytes
  return bytes
}

/** A queue that is full is not fetched until it has come down to half. */
export function throttle(tasks: Iterable<Task>, reader: Reader): void {
  for (const task of tasks) {
    for (const queue of task.queues) {
      const full = queue.records > LIMITS.queueRecordsHigh || queue.bytes > LIMITS.queueBytesHigh
      if (full && !queue.paused) {
        queue.paused = true
        reader.pause(queue)
      } else if (queue.paused && queue.records < LIMITS.queueRecordsHigh / 2 && queue.bytes < LIMITS.queueBytesHigh / 2) {
        queue.paused = false
        reader.resume(queue)
      }
    }
  }
}
