// `millrace consume`: the committed records of a topic on stdout. With --follow it goes on until a signal.
import { outputTo } from './output.ts'
import { type ReachFlags, reach } from './reach.ts'

export async function consume(topic: string, flags: ReachFlags & { readonly follow?: boolean }): Promise<void> {
  const reached = await reach(flags, false)
  const output = outputTo(process.stdout)
  const stop = new AbortController()
  const end = (): void => {
    stop.abort()
    void reached.close() // an owner that has nothing to say would not notice
  }
  process.once('SIGINT', end)
  process.once('SIGTERM', end)
  try {
    for await (const lines of reached.control.consume(topic, flags.follow === true, stop.signal)) {
      for (const line of lines) if (output.line(line)) await output.flush()
      await output.flush()
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error
  } finally {
    if (!stop.signal.aborted) await reached.close()
  }
}
