// `millrace produce`: the lines on stdin to their topics. Status 0 means that every one of them is durable.
import { systemWorld } from '../base/system.ts'
import { lineBatches } from '../control/lines.ts'
import { showCount } from './progress.ts'
import { type ReachFlags, reach } from './reach.ts'

export async function produce(flags: ReachFlags): Promise<void> {
  const reached = await reach(flags, true)
  // Whoever types the lines sees them anyway.
  const counting = process.stderr.isTTY === true && process.stdin.isTTY !== true ? showCount(process.stderr, systemWorld().clock) : null
  try {
    for await (const lines of lineBatches(process.stdin)) {
      await reached.control.produce(lines)
      counting?.add(lines.length)
    }
  } finally {
    counting?.end()
    await reached.close()
  }
}
