// Bytes as they are, for stores and topics of the plan's own making: their operators have formats of their own. This room takes only
// types from the serdes.
import { asBuffer } from '../base/bytes.ts'
import type { Serde } from '../serde/serde.ts'

export const RAW: Serde<Buffer> = Object.freeze({ name: 'bytes', encode: asBuffer, decode: asBuffer })
