// Makes the offsets of an aborted epoch be used up, as on a broker.
import { NO_HEADERS } from '../../src/base/record.ts'
import type { Log } from '../../src/log/log.ts'

/** On Kafka an aborted epoch uses up offsets of the changelogs; in this log it does not, so a checkpoint of such an epoch would be seen
 *  at once. Rows of nobody's key, written behind it, hide it. */
export async function padChangelogs(log: Log): Promise<void> {
  const changelogs = (await log.topicNames()).filter((name) => name.endsWith('-changelog'))
  const infos = await log.topics(changelogs)
  const writer = log.writer({ transactionalId: 'padding', guarantee: 'at_least_once' })
  await writer.init()
  for (const { name, partitions } of infos.values()) {
    for (let i = 0; i < 100 * partitions; i++) writer.append(name, i % partitions, 0, Buffer.from('nobody'), Buffer.from('{}'), NO_HEADERS)
  }
  writer.seal()
  await writer.flush()
  await writer.commit(null, 'padding', [])
  await writer.close()
}
