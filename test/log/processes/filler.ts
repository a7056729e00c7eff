// A process that commits to an embedded log until the disk takes no more (a file size limit stands for it); then there is room
// again, and it tries again, with another writer too. It writes a line for each acknowledged epoch, then one for each error.
import { execFileSync } from 'node:child_process'
import { writeSync } from 'node:fs'
import { MillraceError } from '../../../src/base/errors.ts'
import { NO_HEADERS } from '../../../src/base/record.ts'
import { systemWorld } from '../../../src/base/system.ts'
import { openEmbeddedLog } from '../../../src/log/embedded/index.ts'

const log = await openEmbeddedLog({ dir: process.argv[2] ?? '', world: systemWorld() })
await log.createTopics([{ name: 'out', partitions: 1, kind: 'plain' }])

async function fill(id: string, epochs: number): Promise<void> {
  const writer = log.writer({ transactionalId: id, guarantee: 'exactly_once' })
  await writer.init()
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (let i = 0; i < 10; i++) writer.append('out', 0, epoch, Buffer.from(`${id} ${epoch} ${i}`), Buffer.alloc(1_000, epoch), NO_HEADERS)
    writer.seal()
    await writer.flush()
    await writer.commit(null, 'group', [{ topic: id, partition: 0, offset: epoch + 1, metadata: '' }])
    writeSync(1, `${epoch}\n`)
  }
}

for (const [id, epochs] of [
  ['first', 10_000],
  ['first', 1],
  ['second', 1],
] as const) {
  await fill(id, epochs).catch((error: unknown) => {
    writeSync(1, `${error instanceof MillraceError ? `${error.code} ${error.disposition}` : String(error)}\n`)
  })
  execFileSync('prlimit', ['--pid', String(process.pid), '--fsize=unlimited:'])
}
process.exit(0)
