// The right side of a foreign-key join: keeps who asked for which row, answers each question, and tells of each change.
// Input 0: changes of the right table. Input 1: subscriptions (key and value as bytes).
//
// Invariants
// 1. Of one left key and foreign key only the message with the greatest sequence counts, whichever comes first; less is ignored. An equal
//    subscribe is answered again: it may be a repetition whose first answer was lost.
// 2. The counter of a foreign key rises with each change that is told, so answers of one sequence are ordered. It follows the offsets of the
//    right side's input: after a crash under at-least-once, which may have lost it, a change is told under the same number again.
// 3. Unsubscribing removes the row. A subscribe that comes after its own unsubscribe leaks a row, and its answers match no sequence.
import type { ForeignKeyRight } from '../topology/plan-types.ts'
import { keyToBytes, valueToBytes } from './encode.ts'
import { counterKey, decodeSubscription, encodeResponse, subscriptionKey, subscriptionsPrefix } from './foreign-key-messages.ts'
import { NOT_LATEST, type Operator, type Push } from './operator.ts'

export const foreignKeyRight: Operator = (site) => {
  const { responseTopic, foreignKeySerde, rightValue } = site.node.operator as ForeignKeyRight
  const { context } = site
  const right = site.getter(0)
  const store = site.store(0)
  const dropped = site.counter('dropped')
  const stale = site.counter('stale')

  const counterOf = (foreignKey: Buffer): number => store.getBytes(counterKey(foreignKey))?.value.readUIntBE(0, 6) ?? 0

  const changed: Push = (key, value, timestamp, old) => {
    if (key === null || old === NOT_LATEST) {
      dropped.n++
      return
    }
    const foreignKey = keyToBytes(site, foreignKeySerde, key) as Buffer
    const prefix = subscriptionsPrefix(foreignKey)
    const subscriptions = store.prefixBytes(prefix)
    if (subscriptions.length === 0) return
    const counter = Math.max(counterOf(foreignKey), context.offset) + 1
    store.putBytes(counterKey(foreignKey), uint48(counter), timestamp)
    const valueBytes = valueToBytes(site, rightValue, value)
    for (const [rowKey, row] of subscriptions) {
      const sequence = row.value.readUIntBE(0, 6)
      const answer = encodeResponse({ sequence, counter, byRight: true, timestamp, foreignKey, value: valueBytes })
      site.send(responseTopic, row.value.readUInt32BE(6), rowKey.subarray(prefix.length), answer, timestamp)
    }
  }

  const asked: Push = (foreignKey: Buffer, bytes: Buffer, timestamp) => {
    const { subscribe, sequence, partition, leftKey } = decodeSubscription(bytes)
    const rowKey = subscriptionKey(foreignKey, leftKey)
    const held = store.getBytes(rowKey)?.value.readUIntBE(0, 6) ?? -1
    if (sequence < held || (sequence === held && !subscribe)) {
      stale.n++
      return
    }
    if (!subscribe) {
      if (held !== -1) store.putBytes(rowKey, null, timestamp)
      return
    }
    if (sequence > held) store.putBytes(rowKey, subscriptionRow(sequence, partition), timestamp)
    const row = right(foreignKeySerde.decode(foreignKey))
    const answer = encodeResponse({
      sequence,
      counter: counterOf(foreignKey),
      byRight: false,
      timestamp: row === null ? timestamp : row.timestamp,
      foreignKey,
      value: row === null ? null : valueToBytes(site, rightValue, row.value),
    })
    site.send(responseTopic, partition, leftKey, answer, row === null ? timestamp : Math.max(timestamp, row.timestamp))
  }

  return { inputs: [changed, asked], reads: [[], []] }
}

function uint48(n: number): Buffer {
  const bytes = Buffer.allocUnsafe(6)
  bytes.writeUIntBE(n, 0, 6)
  return bytes
}

function subscriptionRow(sequence: number, partition: number): Buffer {
  const bytes = Buffer.allocUnsafe(10)
  bytes.writeUIntBE(sequence, 0, 6)
  bytes.writeUInt32BE(partition, 6)
  return bytes
}
