// What a long session keeps: nothing of what it has committed and handed out, but what a crash restores from.
import { expect, test } from 'vitest'
import { storeReader } from '../../src/app/store-reader.ts'
import { topology } from '../../src/dsl/topology.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { bytes } from '../../src/serde/bytes.ts'
import { string } from '../../src/serde/text.ts'
import { openSession } from '../../src/testing/session.ts'
import { virtualWorld } from '../../src/testing/virtual-world.ts'

const MIB = 1024 * 1024

test('memory does not grow with what was committed', async () => {
  const session = await openSession(
    topology('long', (t) =>
      t
        .stream('in', { key: string(), value: bytes() })
        .repartition()
        .groupByKey()
        .reduce((_, value) => value, { store: 'last' })
        .toStream()
        .to('out'),
    ),
  )
  const before = process.memoryUsage().arrayBuffers
  let taken = 0
  let most = 0
  for (let i = 0; i < 40_000; i++) {
    await session.pipe({ topic: 'in', key: Buffer.from(`k${i % 5}`), value: Buffer.alloc(8 * 1024, i % 256) })
    if (i % 1_000 !== 999) continue
    await session.commit()
    taken += session.take().length
    most = Math.max(most, process.memoryUsage().arrayBuffers - before)
  }
  expect(taken).toBe(40_000)
  expect(most).toBeLessThan(200 * MIB) // 312 MiB have gone through
  await session.crash()
  expect((storeReader(session.holder(), 'last').get('k4') as Uint8Array)[0]).toBe(39_999 % 256)
  await session.close()
}, 60_000)

test('forget drops whole committed runs below the offset, and nothing else', async () => {
  const log = memoryLog(virtualWorld(0, 1))
  await log.createTopics([{ name: 't', partitions: 1, kind: 'plain' }])
  const writer = log.writer({ transactionalId: 'w', guarantee: 'exactly_once' })
  await writer.init()
  const write = (n: number): void => writer.append('t', 0, 0, null, Buffer.from(String(n)), [])
  const commit = async (): Promise<void> => {
    writer.seal()
    await writer.flush()
    await writer.commit(null, '', [])
  }
  const readFrom = async (offset: number): Promise<string[]> => {
    const reader = log.reader({ isolation: 'uncommitted' })
    reader.assign([{ topic: 't', partition: 0, offset }])
    const values: string[] = []
    for (let chunks = await reader.poll(0); chunks.length > 0; chunks = await reader.poll(0))
      values.push(...chunks.flatMap((chunk) => chunk.records.map((record) => String(record.value))))
    await reader.close()
    return values
  }
  write(0)
  write(1)
  await commit()
  write(2)
  await commit()
  write(3) // open
  log.forget('t', 0, 1)
  expect(await readFrom(0)).toEqual(['0', '1', '2', '3'])
  log.forget('t', 0, 2)
  expect(await readFrom(0)).toEqual([])
  expect(await readFrom(2)).toEqual(['2', '3'])
  log.forget('t', 0, Number.MAX_SAFE_INTEGER)
  expect(await readFrom(3)).toEqual(['3'])
  await commit()
  expect(await readFrom(3)).toEqual(['3'])
  expect(await log.offsets([{ topic: 't', partition: 0 }], 'latest')).toEqual([4])
  await log.close()
})
