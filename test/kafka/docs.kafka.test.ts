// The commands for Kafka in topologies/README.md, typed against a real one.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { root } from '../cli/binary.ts'
import { blocksOf, commandsOf } from '../docs/blocks.ts'
import { isKafka } from '../docs/elsewhere.ts'
import { openShell } from '../docs/shell.ts'
import { type RunningKafka, startKafka } from './broker.ts'
import { KAFKA, open } from './running.ts'

const CREATE = /^kafka-topics\.sh --bootstrap-server localhost:9092 --create --partitions (\d+) --topic (\S+)$/

describe.runIf(KAFKA)('topologies/README.md', () => {
  const blocks = blocksOf(readFileSync(join(root, 'topologies/README.md'), 'utf8')).filter(({ kind }) => kind === 'sh')
  let kafka: RunningKafka
  beforeAll(async () => {
    kafka = await startKafka()
  }, 180_000)
  afterAll(() => kafka?.stop(), 60_000)

  test('its commands for Kafka do what it says', { timeout: 120_000 }, async () => {
    const shell = openShell()
    const log = await open(kafka.brokers)
    let typed = 0
    try {
      const records = blocks.find(({ text }) => text.startsWith('cat > orders.ndjson'))
      await shell.type(records as NonNullable<typeof records>)
      for (const block of blocks.filter(({ text }) => isKafka(text))) {
        for (const { text } of commandsOf(block)) {
          const [, partitions, name] = CREATE.exec(text) ?? []
          // Kafka's own script; the jars of this suite have none.
          if (name !== undefined) await log.createTopics([{ name, partitions: Number(partitions), kind: 'plain' }])
          else typed++
        }
        await shell.type(
          block,
          (command) => CREATE.test(command),
          (command) => command.replaceAll('localhost:9092', kafka.brokers),
        )
      }
    } finally {
      await log.close()
      await shell.close()
    }
    expect(typed).toBe(4)
  })
})
