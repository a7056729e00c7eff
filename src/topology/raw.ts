// Bytes as they are, for stores and topics of the plan's own making: their operators have formats of their own. This room takes only
// types from the serdes.
import { asBuffer, EMPTY } from '../base/bytes.ts'
import type { Serde } from '../serde/serde.ts'

export const RAW: Serde<Buffer> = Object.freeze({ name: 'bytes', encode: asBuffer, decode: asBuffer })

/** Says that there is a value and not what it is: for internal topics whose reader does not look at it. */
export const PRESENT: Serde<unknown> = Object.freeze({ name: 'present', encode: () => EMPTY, decode: () => true })
