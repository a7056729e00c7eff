// Whether a failure ends the worker, or is recovered from. One kind needs a look at the log: records that are gone before they were read.
//
// 1. A worker that was cut off for long may find them deleted because its heir has processed them (purge.ts): it goes on from what is
//    committed, and hears there that it has lost its place. Records that were lost to everybody end it.
import { MillraceError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'
import { type Log, OffsetOutOfRange } from '../log/log.ts'

interface Asked {
  readonly log: Pick<Log, 'committed'>
  readonly groupId: string
  readonly world: Pick<World, 'timers'>
}

export async function isFinal(error: unknown, { log, groupId, world }: Asked): Promise<boolean> {
  if (!(error instanceof MillraceError)) return false
  if (!(error instanceof OffsetOutOfRange)) return ends(error)
  const { offset, ...at } = error.at
  // The answer waits for open transactions, and the worker attends to nothing meanwhile.
  const committed = await within(world, LIMITS.finalWaitMs, log.committed(groupId, [at]))
  if (committed === null) return false // it cannot be asked now: the same failure comes again, and so does the question
  return (committed[0]?.offset ?? -1) > offset ? false : ends(error)
}

/** Null: it has failed, or takes longer. */
function within<T>({ timers }: Pick<World, 'timers'>, ms: number, answer: Promise<T>): Promise<T | null> {
  return new Promise((resolve) => {
    const cancel = timers.after(ms, () => resolve(null))
    answer.then(resolve, () => resolve(null)).finally(cancel)
  })
}

/** park: an error of one record that no record can be blamed for here; it would come again and again. */
function ends({ disposition }: MillraceError): boolean {
  return disposition === 'stop' || disposition === 'usage' || disposition === 'park'
}
