// What a barrier takes of a task's stores, and how far they go when it has been committed.
import { NO_HEADERS } from '../base/record.ts'
import type { EndOffsets } from '../log/log.ts'
import type { Checkpoint } from '../state/store.ts'
import type { InputQueue } from './input-queue.ts'
import { sinceOf } from './missed-deletes.ts'
import type { Append, TaskStore } from './task-parts.ts'

/** Seals the store's epoch and appends its changelog records, where it has a changelog. */
export function sealStore(
  { overlay, changelogTopic, source }: TaskStore,
  partition: number,
  queues: readonly InputQueue[],
  append: Append,
) {
  const writes = overlay.seal()
  if (source !== undefined) {
    const queue = queues.find(({ topic }) => topic === source.topic)
    source.position = queue?.position ?? -1
    source.isAtEnd = queue !== undefined && queue.position >= queue.endOffset
  }
  if (changelogTopic === null) return
  for (const { timestamp, key, value } of writes) append(changelogTopic, partition, Math.max(0, timestamp), key, value, NO_HEADERS)
}

/** Of the sealed epoch. A store with a changelog of its own has all that is in it. */
export function checkpointOf(store: TaskStore, partition: number, ends: EndOffsets, sealedAtMs: number): Checkpoint {
  const { overlay, changelogTopic, source } = store
  const before = overlay.store.checkpoint()
  if (source !== undefined) {
    const since = source.isAtEnd ? { caughtUpAtMs: sealedAtMs } : sinceOf(before, sealedAtMs)
    return { changelogOffset: source.position, ...since }
  }
  const end = changelogTopic === null ? -1 : ends.get(`${changelogTopic}-${partition}`)
  return { changelogOffset: end ?? before?.changelogOffset ?? 0, caughtUpAtMs: sealedAtMs }
}
