// A process that commits to an embedded log as fast as it can, until it is killed: two writers, each with its own offset in the
// group, some epochs dropped. It writes a line `writer epoch` once that epoch is acknowledged.
import { writeSync } from 'node:fs'
import { NO_HEADERS } from '../../../src/base/record.ts'
import { systemWorld } from '../../../src/base/system.ts'
import { openEmbeddedLog } from '../../../src/log/embedded/index.ts'

const [dir = '', recordsText = ''] = process.argv.slice(2)
const world = systemWorld()
const log = await openEmbeddedLog({ dir, world })
await log.createTopics([{ name: 'out', partitions: 2, kind: 'plain' }])

async function run(writerId: number): Promise<never> {
  const writer = log.writer({ transactionalId: `w${writerId}`, guarantee: 'exactly_once' })
  await writer.init()
  const [committed] = await log.committed('group', [{ topic: 'in', partition: writerId }])
  for (let epoch = committed?.offset ?? 0; ; ) {
    const dropped = world.random.below(4) === 0
    for (let i = 0; i < Number(recordsText); i++) {
      const text = `${writerId}:${epoch}:${i}${dropped ? ':dropped' : ''}`
      writer.append('out', i % 2, epoch, Buffer.from(text), Buffer.alloc(80, text), NO_HEADERS)
    }
    writer.seal()
    await writer.flush()
    if (dropped) {
      await world.timers.sleep(0)
      await writer.init()
      continue
    }
    await writer.commit(null, 'group', [{ topic: 'in', partition: writerId, offset: epoch + 1, metadata: `${epoch}` }])
    writeSync(1, `${writerId} ${epoch}\n`)
    epoch++
  }
}

await Promise.all([run(0), run(1)])
