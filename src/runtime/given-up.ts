// Tells of records that were given up, without flooding the log: the first at once, then how many came since, at most every
// LIMITS.givenUpLogMs a task.
import { explain } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { World } from '../base/ports.ts'

/** `at`: topic-partition@offset. */
export type GivenUp = (at: string, what: 'dead letter' | 'skipped', error: unknown) => void

export function givenUpLog(world: World, task: string, deadLetterTopic: string): GivenUp {
  let since = Number.NEGATIVE_INFINITY
  let more = 0
  return (at, what, error) => {
    const now = world.clock.monotonic()
    if (now - since < LIMITS.givenUpLogMs) {
      more++
      return
    }
    since = now
    const fields = { task, record: at, reason: explain(error), ...(more > 0 ? { more } : {}) }
    more = 0
    if (what === 'dead letter') world.logger.warn({ ...fields, topic: deadLetterTopic }, 'record given up, it is a dead letter now')
    else world.logger.warn(fields, 'record given up and skipped')
  }
}
