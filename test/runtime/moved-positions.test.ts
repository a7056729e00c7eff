// Positions that move with no record: a transaction's marker, or the records of one that was aborted, may be the last of a partition.
import { expect, it } from 'vitest'
import type { Chunk, Log, Reader } from '../../src/log/log.ts'
import { expectCounts, logOf, records, run } from '../support/counted-keys.ts'
import { proxied } from '../support/proxied.ts'
import { load } from '../support/run-worker.ts'

/** Readers find these chunks, too: each once, when there is nothing else. */
function finding(log: Log, chunks: Chunk[]): Log {
  return {
    ...proxied(log),
    reader(options) {
      const reader = log.reader(options)
      const watching: Reader = {
        ...proxied(reader),
        async poll(waitMs) {
          const found = await reader.poll(waitMs)
          return found.length > 0 ? found : chunks.splice(0)
        },
      }
      return watching
    },
  }
}

it('a position behind a marker is committed, though no record brings it along', async () => {
  const log = logOf()
  await load(log, records(['a', 'b', 'a']), 1)
  const chunks: Chunk[] = []
  await run({ log: finding(log, chunks) })
  const committed = async (): Promise<number | undefined> => (await log.committed('app', [{ topic: 'in', partition: 0 }]))[0]?.offset
  await expect.poll(committed, { timeout: 10_000 }).toBe(3)
  chunks.push({ topic: 'in', partition: 0, records: [], bytes: 0, position: 4, endOffset: 4 })
  await expect.poll(committed, { timeout: 10_000 }).toBe(4)
  await expectCounts(log, 3)
})
