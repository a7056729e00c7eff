// A global table in a whole processor, on the embedded log: rows that were there before the start are there for the first record.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { StreamProcessor, string, topology } from '../../src/index.ts'
import type { Log } from '../../src/log/log.ts'
import { withEmbeddedLog } from '../support/embedded.ts'

const text = { key: string(), value: string() }
const joining = topology('globals', (t) => {
  const rows = t.globalTable('rows', { ...text, store: 'rows' })
  t.stream('in', text)
    .leftJoin(
      rows,
      (value) => value,
      (value, row) => `${value}=${row ?? 'none'}`,
      { value: string() },
    )
    .to('out', text)
})

async function write(log: Log, topic: string, pairs: readonly (readonly [string, string])[]): Promise<void> {
  const writer = log.writer({ transactionalId: 'test', guarantee: 'exactly_once' })
  await writer.init()
  for (const [i, [key, value]] of pairs.entries()) writer.append(topic, i % 3, 1, Buffer.from(key), Buffer.from(value), [])
  writer.seal()
  await writer.flush()
  await writer.commit(null, '', [])
  await writer.close()
}

async function outputs(log: Log): Promise<string[]> {
  const at = [0, 1, 2].map((partition) => ({ topic: 'out', partition }))
  const ends = await log.offsets(at, 'latest')
  const reader = log.reader()
  reader.assign(at.map((each) => ({ ...each, offset: 0 })))
  const values: string[] = []
  const behind = new Set(at.filter((_, i) => (ends[i] as number) > 0).map(({ partition }) => partition))
  while (behind.size > 0) {
    for (const chunk of await reader.poll(100)) {
      values.push(...chunk.records.map((record) => String(record.value)))
      if (chunk.position >= (ends[chunk.partition] as number)) behind.delete(chunk.partition)
    }
  }
  await reader.close()
  return values.sort()
}

test('is read to its end before the first record, at the first start and at the next', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'millrace-global-'))
  const run = async (): Promise<void> => {
    await using app = new StreamProcessor(joining, { stateDir, commitInterval: '20ms' })
    await app.start()
    expect(app.store('rows').get('a')).toBe('1')
    while (app.status().records < 3) await new Promise((done) => setTimeout(done, 10))
  }
  try {
    await withEmbeddedLog(stateDir, async (log) => {
      await log.createTopics(['in', 'rows', 'out'].map((name) => ({ name, partitions: 3, kind: 'plain' })))
      await write(log, 'rows', [
        ['a', '1'],
        ['b', '2'],
        ['c', '3'],
      ])
      await write(log, 'in', [
        ['x', 'a'],
        ['y', 'c'],
        ['z', 'd'],
      ])
    })
    await run()
    await withEmbeddedLog(stateDir, async (log) => {
      expect(await outputs(log)).toEqual(['a=1', 'c=3', 'd=none'])
      await write(log, 'rows', [
        ['d', '4'],
        ['c', '5'],
      ])
      await write(log, 'in', [
        ['x', 'b'],
        ['y', 'c'],
        ['z', 'd'],
      ])
    })
    await run()
    expect(await withEmbeddedLog(stateDir, outputs)).toEqual(['a=1', 'b=2', 'c=3', 'c=5', 'd=4', 'd=none'])
  } finally {
    rmSync(stateDir, { recursive: true, force: true })
  }
}, 30_000)
