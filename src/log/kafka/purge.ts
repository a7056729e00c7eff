// Takes records away that nobody reads any more (DeleteRecords).
//
// Invariants
// 1. On connections of its own: a broker answers when all replicas have done it, and nothing else on a connection meanwhile.
// 2. Asked once: who asks does so again later.
import { type ConnectionPool, deleteRecordsV2 } from '@platformatic/kafka'
import { LIMITS } from '../../base/limits.ts'
import type { ReadFrom } from '../log.ts'
import { topics } from './admin.ts'
import { addressOf, type KafkaClient, type Node } from './client.ts'
import { failure } from './errors.ts'

interface Asked {
  readonly node: Node
  readonly topics: Map<string, { partitionIndex: number; offset: bigint }[]>
}

export function purger(client: KafkaClient): (before: readonly ReadFrom[]) => Promise<void> {
  let pool: ConnectionPool | null = null
  return async (before) => {
    if (before.length === 0) return
    const names = [...new Set(before.map(({ topic }) => topic))]
    await topics(client, names) // who leads now
    const byLeader = new Map<string, Asked>()
    for (const { topic, partition, offset } of before) {
      const node = client.leader(topic, partition)
      if (node === undefined) continue // nobody does; the next time, then
      const asked = byLeader.get(addressOf(node)) ?? { node, topics: new Map() }
      byLeader.set(addressOf(node), asked)
      asked.topics.set(topic, [...(asked.topics.get(topic) ?? []), { partitionIndex: partition, offset: BigInt(offset) }])
    }
    pool ??= client.pool('purge')
    const connections = pool
    const ended = await Promise.allSettled(
      [...byLeader.values()].map(async (asked) => {
        const wanted = [...asked.topics].map(([name, partitions]) => ({ name, partitions }))
        await deleteRecordsV2.api.async(await connections.get(asked.node), wanted, LIMITS.purgeTimeoutMs)
      }),
    )
    for (const each of ended)
      if (each.status === 'rejected') throw failure('admin', `deletion of processed records of ${names.join(', ')}`, each.reason)
  }
}
