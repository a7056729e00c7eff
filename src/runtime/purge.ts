// Repartition topics hold what goes from one task to another: what has been processed there nobody reads again, and it is deleted now and
// then (as Kafka Streams does, KIP-811). The user's own topics are never touched.
//
// Invariants
// 1. Only what lies before a committed offset is deleted: whatever fails, nobody begins before that.
// 2. Nothing waits for it. What fails is tried again with the next round; the log says it once, until it has gone
//    well again.
import { explain } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'
import { partitionName, type TopicPartition } from '../base/record.ts'
import type { Log, ReadFrom } from '../log/log.ts'

export interface PurgeOptions {
  readonly log: Pick<Log, 'committed' | 'purge'>
  readonly groupId: string
  readonly world: World
  /** Of repartition topics, those that tasks of this worker read now. */
  readonly partitions: () => readonly TopicPartition[]
}

/** Answers what ends it. */
export function purgeProcessed({ log, groupId, world, partitions }: PurgeOptions): () => void {
  /** Up to where each partition was deleted, by its name. */
  const done = new Map<string, number>()
  let ended = false
  let told = false
  let cancel = (): void => {}

  const round = async (): Promise<void> => {
    const wanted = partitions()
    const committed = await log.committed(groupId, wanted)
    const before = wanted.flatMap(({ topic, partition }, i): readonly ReadFrom[] => {
      const offset = committed[i]?.offset ?? 0
      return offset > (done.get(partitionName(topic, partition)) ?? 0) ? [{ topic, partition, offset }] : []
    })
    if (before.length === 0 || ended) return
    await log.purge?.(before)
    told = false
    for (const { topic, partition, offset } of before) done.set(partitionName(topic, partition), offset)
  }
  const again = (): void => {
    cancel = world.timers.after(LIMITS.purgeIntervalMs, () => {
      round()
        .catch((error: unknown) => {
          if (ended) return
          const said = { cause: explain(error) }
          const text = 'processed records of repartition topics could not be deleted (it takes the right Delete); they stay'
          if (told) world.logger.debug(said, text)
          else world.logger.warn(said, text)
          told = true
        })
        .finally(() => {
          if (!ended) again()
        })
    })
  }
  if (log.purge !== undefined) again()
  return () => {
    ended = true
    cancel()
  }
}
