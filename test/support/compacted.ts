// A log that forgets what a broker's cleaner would: of each key all but the last record, and tombstones, when the test says so.
import { keyText } from '../../src/base/bytes.ts'
import type { Log } from '../../src/log/log.ts'
import { proxied } from './proxied.ts'
import { readAll } from './run-worker.ts'

export interface Compacted extends Log {
  /** Now, and all tombstones with it. The last record of a partition stays. */
  compact(topic: string): Promise<void>
}

/** `keptMs`: what its topics say of how long tombstones are kept; undefined: they can't be asked. */
export function compacted(log: Log, keptMs?: number | null): Compacted {
  const { tombstonesKeptMs: _, ...rest } = proxied(log)
  const gone = new Set<string>()
  return {
    ...rest,
    ...(keptMs === undefined ? {} : { tombstonesKeptMs: async () => keptMs }),
    async compact(topic) {
      for (const [partition, records] of (await readAll(log, topic)).entries()) {
        const last = new Map(records.map(({ key, offset }) => [keyText(key as Buffer), offset]))
        for (const { key, value, offset } of records.slice(0, -1))
          if (value === null || last.get(keyText(key as Buffer)) !== offset) gone.add(`${topic}-${partition}@${offset}`)
      }
    },
    reader(options) {
      const reader = log.reader(options)
      return {
        ...proxied(reader),
        async poll(waitMs) {
          const chunks = await reader.poll(waitMs)
          return chunks.map((chunk) => ({
            ...chunk,
            records: chunk.records.filter(({ offset }) => !gone.has(`${chunk.topic}-${chunk.partition}@${offset}`)),
          }))
        },
      }
    },
  }
}
