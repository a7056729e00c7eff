// Whether a changelog still holds what a store needs of it. A store that is rebuilt from less would count on from too little, and
// nobody would see it: so that is refused, unless the application has not begun at all.
//
// 1. Asks only where the checkpoint (or none) and the changelog do not fit together: never on the usual path.
// 2. A group without committed offsets begins anew: then what a store holds is of an earlier life, and rebuilding it is right.
import { MillraceError } from '../base/errors.ts'
import { partitionName, type TopicPartition } from '../base/record.ts'
import type { Log } from '../log/log.ts'
import type { Checkpoint } from '../state/store.ts'

export interface Held {
  readonly checkpoint: Checkpoint | null
  readonly earliest: number
  readonly end: number
}

/** Null: the store can be brought up, or may be begun anew. Else what is missing. */
export function gapOf({ checkpoint, earliest, end }: Held): string | null {
  const needed = checkpoint?.changelogOffset ?? 0
  if (needed > end) return `ends at offset ${end}, and the store has been at ${needed}`
  return needed < earliest ? `begins at offset ${earliest}, and the store needs it from ${needed}` : null
}

/** Throws where state is lost: records are committed as processed that the changelog has no trace of. */
export async function refuseGap(
  log: Log,
  groupId: string,
  store: string,
  changelog: TopicPartition,
  held: Held,
  inputs: readonly TopicPartition[],
): Promise<void> {
  const gap = gapOf(held)
  if (gap === null) return
  const committed = await log.committed(groupId, inputs)
  if (committed.every((offset) => offset === null)) return
  throw new MillraceError(
    'STREAM_TOPIC_MISMATCH',
    `store ${store}: its changelog ${partitionName(changelog.topic, changelog.partition)} ${gap}: records were deleted from it, or it was made ` +
      'anew, and the state in them is lost; put the topic back from a copy, or begin anew under another application id',
  )
}
