// What the two sides of a foreign-key join say to each other, and the keys under which the right side keeps it.
//
// subscription topic: key = foreign key; value = subscribe (1) or unsubscribe (0), uint48 sequence, uint32 partition, left key
// response topic: key = left key; value = flags (1: there is a row, 2: a right change caused it), uint48 sequence, uint48 counter,
//   float64 timestamp of the right row (or of its tombstone), uint32 length of the foreign key, foreign key, right row
// right store: uint32 length of the foreign key, foreign key, then 0 -> uint48 counter, or 1, left key -> uint48 sequence, uint32 partition
import { MillraceError } from '../base/errors.ts'

export interface Subscription {
  readonly subscribe: boolean
  readonly sequence: number
  readonly partition: number
  readonly leftKey: Buffer
}

export interface Response {
  readonly sequence: number
  readonly counter: number
  readonly byRight: boolean
  readonly timestamp: number
  readonly foreignKey: Buffer
  /** Null: the right table has no such row. */
  readonly value: Buffer | null
}

export function encodeSubscription(message: Subscription): Buffer {
  const bytes = Buffer.allocUnsafe(11 + message.leftKey.length)
  bytes[0] = message.subscribe ? 1 : 0
  bytes.writeUIntBE(message.sequence, 1, 6)
  bytes.writeUInt32BE(message.partition, 7)
  message.leftKey.copy(bytes, 11)
  return bytes
}

export function decodeSubscription(bytes: Buffer): Subscription {
  if (bytes.length < 11 || (bytes[0] as number) > 1) throw foreign('subscription', bytes)
  return {
    subscribe: bytes[0] === 1,
    sequence: bytes.readUIntBE(1, 6),
    partition: bytes.readUInt32BE(7),
    leftKey: bytes.subarray(11),
  }
}

export function encodeResponse(message: Response): Buffer {
  const { foreignKey, value } = message
  const head = Buffer.allocUnsafe(25)
  head[0] = (value === null ? 0 : 1) | (message.byRight ? 2 : 0)
  head.writeUIntBE(message.sequence, 1, 6)
  head.writeUIntBE(message.counter, 7, 6)
  head.writeDoubleBE(message.timestamp, 13)
  head.writeUInt32BE(foreignKey.length, 21)
  return Buffer.concat(value === null ? [head, foreignKey] : [head, foreignKey, value])
}

export function decodeResponse(bytes: Buffer): Response {
  if (bytes.length < 25 || (bytes[0] as number) > 3) throw foreign('response', bytes)
  const end = 25 + bytes.readUInt32BE(21)
  if (end > bytes.length) throw foreign('response', bytes)
  return {
    sequence: bytes.readUIntBE(1, 6),
    counter: bytes.readUIntBE(7, 6),
    byRight: ((bytes[0] as number) & 2) !== 0,
    timestamp: bytes.readDoubleBE(13),
    foreignKey: bytes.subarray(25, end),
    value: ((bytes[0] as number) & 1) === 0 ? null : bytes.subarray(end),
  }
}

/** All that the right side keeps for a foreign key begins with this; the length keeps `a` apart from `ab`. */
function foreignKeyPrefix(foreignKey: Buffer, tag: 0 | 1): Buffer {
  const bytes = Buffer.allocUnsafe(5 + foreignKey.length)
  bytes.writeUInt32BE(foreignKey.length)
  foreignKey.copy(bytes, 4)
  bytes[4 + foreignKey.length] = tag
  return bytes
}

/** How much of a key of the right side's store is such a prefix; the overlay indexes its rows by it. */
export function foreignKeyPrefixLength(key: Buffer): number {
  return key.length < 4 ? key.length : 5 + key.readUInt32BE(0)
}

export const counterKey = (foreignKey: Buffer): Buffer => foreignKeyPrefix(foreignKey, 0)
export const subscriptionsPrefix = (foreignKey: Buffer): Buffer => foreignKeyPrefix(foreignKey, 1)
export const subscriptionKey = (foreignKey: Buffer, leftKey: Buffer): Buffer => Buffer.concat([subscriptionsPrefix(foreignKey), leftKey])

function foreign(what: string, bytes: Buffer): MillraceError {
  return new MillraceError(
    'STREAM_SERDE',
    `${bytes.length} bytes are no ${what} of a foreign-key join; did something else write to the internal topic?`,
  )
}
