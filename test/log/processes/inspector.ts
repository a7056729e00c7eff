// Opens the embedded logs named, one after the other, reads everything, and writes one line each: the error's code, or the topics,
// the records and the offsets of group `g`. A process of its own, because damage may end LevelDB's process.
import { writeSync } from 'node:fs'
import { MillraceError } from '../../../src/base/errors.ts'
import { partitionName } from '../../../src/base/record.ts'
import { systemWorld } from '../../../src/base/system.ts'
import { openEmbeddedLog } from '../../../src/log/embedded/index.ts'

async function inspect(dir: string): Promise<object> {
  const log = await openEmbeddedLog({ dir, world: systemWorld() })
  try {
    const names = await log.topicNames()
    const records: Record<string, string[]> = {}
    for (const { name, partitions } of (await log.topics(names)).values()) {
      for (let partition = 0; partition < partitions; partition++) {
        const texts: string[] = []
        const [end = 0] = await log.offsets([{ topic: name, partition }], 'latest')
        const reader = log.reader()
        reader.assign([{ topic: name, partition, offset: 0 }])
        for (let at = 0; at < end; ) {
          for (const chunk of await reader.poll(10_000)) {
            at = chunk.position
            for (const { offset, timestamp, key, value } of chunk.records) texts.push([offset, timestamp, key, value].join(' '))
          }
        }
        await reader.close()
        records[partitionName(name, partition)] = texts
      }
    }
    const offsets = await log.committed(
      'g',
      [0, 1].map((partition) => ({ topic: 'in', partition })),
    )
    return { records, offsets: offsets.map((of) => of?.offset ?? null) }
  } finally {
    await log.close()
  }
}

for (const dir of process.argv.slice(2)) {
  const found = await inspect(dir).catch((error: unknown) =>
    error instanceof MillraceError ? { code: error.code, message: error.message } : { code: 'unexpected', message: String(error) },
  )
  writeSync(1, `${JSON.stringify(found)}\n`)
}
process.exit(0)
