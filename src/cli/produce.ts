// `millrace produce`: the lines on stdin to their topics. Status 0 means that every one of them is durable.
import { lineBatches } from '../control/lines.ts'
import { type ReachFlags, reach } from './reach.ts'

export async function produce(flags: ReachFlags): Promise<void> {
  const reached = await reach(flags, true)
  try {
    for await (const lines of lineBatches(process.stdin)) await reached.control.produce(lines)
  } finally {
    await reached.close()
  }
}
