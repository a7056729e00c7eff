// The table's side of a `holdUntil`: keeps which tasks ask for which row, answers each question, and tells of each change.
// Input 0: changes of the table. Input 1: questions (key and value as bytes).
//
// Invariants
// 1. Every question is answered, also an equal one: its first answer may have been lost.
// 2. Of one task and one row the last question counts. Its end removes it, unless a later question came before that.
// 3. Messages carry the timestamp 0: they must not move anybody's stream time.
import { NO_HEADERS } from '../base/record.ts'
import type { HoldTable } from '../topology/plan-types.ts'
import { keyToBytes } from './encode.ts'
import { decodeSubscription, encodeResponse, subscriptionKey, subscriptionsPrefix } from './foreign-key-messages.ts'
import { encodeRegister } from './last-write-wins-row.ts'
import { NOT_LATEST, type Operator, type Push, type Row } from './operator.ts'

const NOTHING = Buffer.alloc(0)

export const holdTable: Operator = (site) => {
  const { answerTopic, tableKey } = site.node.operator as HoldTable
  const { context } = site
  const table = site.getter(0)
  const asked = site.store(0)
  const stale = site.counter('stale')

  const answer = (keyBytes: Buffer, row: Row<unknown> | null, to: { readonly sequence: number; readonly partition: number }): void => {
    const value = row === null ? null : row.version === undefined ? NOTHING : encodeRegister(false, row.version, NOTHING)
    const { headers } = context
    context.headers = NO_HEADERS // they are the record's, and of no use here
    const message = { sequence: to.sequence, counter: 0, byRight: false, timestamp: 0, foreignKey: keyBytes, value }
    site.send(answerTopic, to.partition, keyBytes, encodeResponse(message), 0)
    context.headers = headers
  }

  const changed: Push = (key, value, _timestamp, old) => {
    if (key === null || old === NOT_LATEST) return
    const keyBytes = keyToBytes(site, tableKey, key) as Buffer
    const rows = asked.prefixBytes(subscriptionsPrefix(keyBytes))
    if (rows.length === 0) return
    const row = value === null ? null : table(key)
    for (const [, { value: question }] of rows)
      answer(keyBytes, row, { sequence: question.readUIntBE(0, 6), partition: question.readUInt32BE(6) })
  }

  const question: Push = (keyBytes: Buffer, bytes: Buffer) => {
    const { subscribe, sequence, partition, leftKey } = decodeSubscription(bytes)
    const rowKey = subscriptionKey(keyBytes, leftKey)
    if (!subscribe) {
      const held = asked.getBytes(rowKey)
      if (held === null || held.value.readUIntBE(0, 6) > sequence) stale.n++
      else asked.putBytes(rowKey, null, 0)
      return
    }
    const row = Buffer.allocUnsafe(10)
    row.writeUIntBE(sequence, 0, 6)
    row.writeUInt32BE(partition, 6)
    asked.putBytes(rowKey, row, 0)
    answer(keyBytes, table(tableKey.decode(keyBytes)), { sequence, partition })
  }

  return { inputs: [changed, question], reads: [[], []] }
}
