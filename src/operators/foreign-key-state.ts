// What the left side of a foreign-key join remembers per left key.
//
// Layout: flags (1: a result is out, 2: there is a foreign key, 4: heard, 8: heard of a row), uint48 sequence, uint48 counter + 1,
// float64 timestamp of the right row, uint32 length of the foreign key, foreign key, right row
import { MillraceError } from '../base/errors.ts'

export interface LeftState {
  /** Rises with each change of the foreign key, and never falls, so that no old answer matches a new question. */
  readonly sequence: number
  readonly foreignKey: Buffer | null
  /** The answer last heard for this sequence. */
  readonly heard: 'nothing' | 'absent' | 'present'
  /** The right side's counter with that answer; -1: nothing heard. */
  readonly counter: number
  readonly timestamp: number
  readonly value: Buffer | null
  /** A result was put out and not retracted. */
  readonly out: boolean
}

export const NO_STATE: LeftState = {
  sequence: 0,
  foreignKey: null,
  heard: 'nothing',
  counter: -1,
  timestamp: -1,
  value: null,
  out: false,
}

export function encodeState(state: LeftState): Buffer {
  const { foreignKey, heard, value } = state
  const head = Buffer.allocUnsafe(25)
  head[0] = (state.out ? 1 : 0) | (foreignKey === null ? 0 : 2) | (heard === 'nothing' ? 0 : 4) | (heard === 'present' ? 8 : 0)
  head.writeUIntBE(state.sequence, 1, 6)
  head.writeUIntBE(state.counter + 1, 7, 6)
  head.writeDoubleBE(state.timestamp, 13)
  head.writeUInt32BE(foreignKey === null ? 0 : foreignKey.length, 21)
  const parts = foreignKey === null ? [head] : [head, foreignKey]
  if (value !== null) parts.push(value)
  return Buffer.concat(parts)
}

export function decodeState(bytes: Buffer): LeftState {
  const end = bytes.length < 25 ? Number.POSITIVE_INFINITY : 25 + bytes.readUInt32BE(21)
  if (end > bytes.length) throw new MillraceError('STREAM_STORE_DAMAGED', `${bytes.length} bytes are no state of a foreign-key join`)
  const flags = bytes[0] as number
  return {
    sequence: bytes.readUIntBE(1, 6),
    foreignKey: (flags & 2) === 0 ? null : bytes.subarray(25, end),
    heard: (flags & 8) !== 0 ? 'present' : (flags & 4) !== 0 ? 'absent' : 'nothing',
    counter: bytes.readUIntBE(7, 6) - 1,
    timestamp: bytes.readDoubleBE(13),
    value: (flags & 8) === 0 ? null : bytes.subarray(end),
    out: (flags & 1) !== 0,
  }
}
