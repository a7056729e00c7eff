// Waiting for a judge that has nothing to say.
import { setTimeout as sleep } from 'node:timers/promises'

const SETTLE_MS = 60_000
const POLL_MS = 200

/** What is wrong when nothing is any more, or when the time is over: what is wrong then stays wrong. */
export async function settled(judge: () => Promise<readonly string[]>): Promise<readonly string[]> {
  const deadline = performance.now() + SETTLE_MS
  for (;;) {
    const wrong = await judge()
    if (wrong.length === 0 || performance.now() > deadline) return wrong
    await sleep(POLL_MS)
  }
}
