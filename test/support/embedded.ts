// The embedded log of a state directory that no process owns, opened here: how far an application has come.
import { join } from 'node:path'
import { systemWorld } from '../../src/base/system.ts'
import { openEmbeddedLog } from '../../src/log/embedded/index.ts'
import type { Log } from '../../src/log/log.ts'

export async function withEmbeddedLog<T>(stateDir: string, use: (log: Log) => Promise<T>): Promise<T> {
  const log = await openEmbeddedLog({ dir: join(stateDir, 'log'), world: systemWorld() })
  try {
    return await use(log)
  } finally {
    await log.close()
  }
}

export interface Progress {
  /** Records of the inputs. */
  readonly arrived: number
  /** Those of them that are committed as processed. */
  readonly processed: number
  /** Records that are not, internal ones too. */
  readonly backlog: number
}

export function progressOf(stateDir: string, applicationId: string, inputs: readonly string[]): Promise<Progress> {
  return withEmbeddedLog(stateDir, async (log) => {
    const infos = await log.topics(await log.topicNames())
    const all = [...infos.values()].flatMap(({ name, partitions }) =>
      Array.from({ length: partitions }, (_, partition) => ({ topic: name, partition })),
    )
    const [ends, committed] = [await log.offsets(all, 'latest'), await log.committed(applicationId, all)]
    let [arrived, processed, backlog] = [0, 0, 0]
    all.forEach(({ topic }, i) => {
      const [end, isInput] = [ends[i] as number, inputs.includes(topic)]
      const at = committed[i]?.offset ?? (isInput ? 0 : end) // an output or a changelog: nobody reads it
      backlog += end - at
      if (!isInput) return
      arrived += end
      processed += at
    })
    return { arrived, processed, backlog }
  })
}
