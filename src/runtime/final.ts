// Whether a failure ends the worker, or is recovered from. One kind needs a look at the log: records that are gone before they were read.
//
// 1. A worker that was cut off for long may find them deleted because its heir has processed them (purge.ts): it goes on from what is
//    committed, and hears there that it has lost its place. Records that were lost to everybody end it.
import { MillraceError } from '../base/errors.ts'
import { type Log, OffsetOutOfRange } from '../log/log.ts'

export async function isFinal(
  error: unknown,
  { log, groupId }: { readonly log: Pick<Log, 'committed'>; readonly groupId: string },
): Promise<boolean> {
  if (!(error instanceof MillraceError)) return false
  if (!(error instanceof OffsetOutOfRange)) return ends(error)
  const { offset, ...at } = error.at
  const committed = await log.committed(groupId, [at]).catch(() => null)
  if (committed === null) return false // it cannot be asked now: the same failure comes again, and so does the question
  return (committed[0]?.offset ?? -1) > offset ? false : ends(error)
}

/** park: an error of one record that no record can be blamed for here; it would come again and again. */
function ends({ disposition }: MillraceError): boolean {
  return disposition === 'stop' || disposition === 'usage' || disposition === 'park'
}
