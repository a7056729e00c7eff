// Looks every now and then whether an input still has the partitions that the plan was made for. More of them would stay unread, and
// keys would move to partitions whose state is elsewhere.
import { explain, MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'
import type { Log } from '../log/log.ts'

/** `failed` is called once, with what is wrong. Answers what ends it. */
export function watchPartitions(
  log: Log,
  inputs: readonly string[],
  partitionsOf: (topic: string) => number,
  world: World,
  failed: (error: MillraceError) => void,
): () => void {
  let ended = false
  let cancel = (): void => {}
  const look = async (): Promise<void> => {
    try {
      const grown = [...(await log.topics(inputs)).values()].find(({ name, partitions }) => partitions !== partitionsOf(name))
      if (ended) return
      if (grown !== undefined) {
        failed(partitionsChanged(grown.name, partitionsOf(grown.name), grown.partitions))
        return
      }
    } catch (error) {
      if (ended) return
      world.logger.warn({ reason: explain(error) }, 'the partition counts of the inputs could not be looked at')
    }
    again()
  }
  const again = (): void => {
    cancel = world.timers.after(LIMITS.topicLookMs, () => void look())
  }
  again()
  return () => {
    ended = true
    cancel()
  }
}

function partitionsChanged(topic: string, before: number, now: number): MillraceError {
  return new MillraceError(
    'STREAM_TOPIC_MISMATCH',
    `topic ${topic} had ${before} partitions at the start and has ${now} now: what is in the new ones would not be read; start again (with state, ` +
      'begin anew under another application id: the keys have moved to other partitions)',
  )
}
