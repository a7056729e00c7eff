// What a task commits of its inputs: where they go on, and the note that goes along with each.
import type { CommittedOffset } from '../log/log.ts'
import type { InputQueue } from './input-queue.ts'
import { writePositionNote } from './position.ts'
import type { TaskStore } from './task-parts.ts'
import type { Timers } from './timers.ts'

/** Those that have moved; they count as committed from now on. `dirty`: something was processed since the last time. */
export function positionsOf(
  queues: readonly InputQueue[],
  stores: readonly Pick<TaskStore, 'source'>[],
  timers: Timers,
  dirty: boolean,
): CommittedOffset[] {
  const offsets: CommittedOffset[] = []
  const text = timers.text()
  // What timers alone have made is committed with a position too, moved or not: it carries the generation, by which a broker refuses
  // whoever has lost the task meanwhile (R4).
  const unmoved = dirty && queues.every((queue) => queue.position === queue.committed)
  const everywhere = timers.changed || unmoved
  timers.changed = false
  for (const queue of queues) {
    if (queue.position === queue.committed && !everywhere) continue
    queue.committed = queue.position
    const feeds = stores.some(({ source }) => source?.topic === queue.topic)
    const metadata = writePositionNote({ partitionTime: queue.partitionTime, timers: text, feeds })
    offsets.push({ topic: queue.topic, partition: queue.partition, offset: queue.position, metadata })
  }
  return offsets
}
