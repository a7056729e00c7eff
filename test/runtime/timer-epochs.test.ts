// Epochs that no input has made, but a timeout alone: they too are committed under the generation that they were worked in.
import { expect, it } from 'vitest'
import { json, string, topology } from '../../src/index.ts'
import type { Log, Writer } from '../../src/log/log.ts'
import { logOf, records, run } from '../support/counted-keys.ts'
import { proxied } from '../support/proxied.ts'
import { load, readAll } from '../support/run-worker.ts'

const waiting = topology('waiting', (t) => {
  const rows = t.table('rows', { key: string(), value: json<number>() })
  t.stream('in', { key: string(), value: json<number>() })
    .join(rows, (n, row) => n + (row ?? 0), { buffer: { timeout: '50ms', clock: 'wall', onTimeout: 'emit' }, store: 'parked' })
    .to('out', { key: string(), value: json<number>() })
})

it('epochs of timeouts carry a position, moved or not: by it a broker refuses who has lost the task meanwhile', async () => {
  const log = logOf()
  await load(log, records(['a']), 1)
  const epochs: { readonly records: number; readonly positions: number }[] = []
  const watched: Log = {
    ...proxied(log),
    writer(options) {
      const writer = log.writer(options)
      let [open, sealed] = [0, 0]
      const watching: Writer = {
        ...proxied(writer),
        get bufferedBytes() {
          return writer.bufferedBytes
        },
        append(...record) {
          open++
          writer.append(...record)
        },
        seal() {
          sealed = open
          open = 0
          writer.seal()
        },
        async commit(identity, groupId, offsets) {
          epochs.push({ records: sealed, positions: offsets.length })
          await writer.commit(identity, groupId, offsets)
        },
      }
      return watching
    },
  }
  await run({ log: watched, topology: waiting })
  await expect.poll(async () => (await readAll(log, 'out')).flat().length, { timeout: 10_000 }).toBe(1)
  const worked = epochs.filter((epoch) => epoch.records > 0)
  expect(worked, 'one that parks the record, one that lets it go').toHaveLength(2)
  expect(worked.filter(({ positions }) => positions === 0)).toEqual([])
})
