// A source with offsetReset 'none' begins nowhere by itself: refused by name, until its group has committed where to go on.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { StreamProcessor, string, type Topology, topology } from '../../src/index.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'
import { withEmbeddedLog } from '../support/embedded.ts'

const text = { key: string(), value: string() }
const counting = (offsetReset?: 'earliest' | 'none'): Topology =>
  topology('count', (t) => {
    t.stream('in', { ...text, ...(offsetReset === undefined ? {} : { offsetReset }) })
      .groupByKey()
      .count({ store: 'counts' })
  })

let stateDir: string
beforeEach(async () => {
  stateDir = mkdtempSync(join(tmpdir(), 'millrace-reset-'))
  await withEmbeddedLog(stateDir, async (log) => {
    await log.createTopics([{ name: 'in', partitions: 2, kind: 'plain' }])
  })
})
afterEach(() => rmSync(stateDir, { recursive: true, force: true }))

async function write(value: string): Promise<void> {
  await withEmbeddedLog(stateDir, async (log) => {
    const writer = log.writer({ transactionalId: 'test', guarantee: 'exactly_once' })
    await writer.init()
    for (const partition of [0, 1]) writer.append('in', partition, 1, Buffer.from('a'), Buffer.from(value), [])
    writer.seal()
    await writer.flush()
    await writer.commit(null, '', [])
    await writer.close()
  })
}

async function run(made: Topology, records: number, offsetReset: 'earliest' | 'latest' = 'earliest'): Promise<void> {
  await using app = new StreamProcessor(made, { stateDir, commitInterval: '20ms', offsetReset })
  await app.start()
  if (offsetReset === 'latest') await expect.poll(() => app.status().ready, { timeout: 10_000 }).toBe(true)
  await expect.poll(() => app.status().records, { timeout: 10_000 }).toBe(records)
}

test('without a committed offset the start is refused, naming topic, partition, group and cure', async () => {
  await write('x')
  const app = new StreamProcessor(counting('none'), { stateDir })
  await expect(app.start()).rejects.toMatchObject({
    code: 'STREAM_OFFSET_MISSING',
    message: expect.stringMatching(/^in-[01]: the group count has committed no offset here, .* offsetReset: 'none'; commit one, or/),
  })
  await app.close()
})

test('with one it goes on there', async () => {
  await write('x')
  await run(counting('earliest'), 2)
  await write('y')
  await run(counting('none'), 2)
})

test('a test driver has no group that could have committed: it begins at the beginning', async () => {
  await using driver = new TopologyTestDriver(counting('none'))
  await driver.input('in').pipe({ key: 'a', value: 'x', timestamp: 1 })
  expect(driver.store('counts').get('a')).toBe(1)
})

test('a source that says nothing begins where the application says; one that does, where it says', async () => {
  await write('x')
  await run(counting(), 0, 'latest')
  await write('y')
  await run(counting(), 2, 'latest')
})

test('and one that says where, there', async () => {
  await write('x')
  await run(counting('earliest'), 2, 'latest')
})
