// The records that wait in an operator's store, for whoever looks at it from outside: where their rows lie, and what is in them. Reads only.
import { decodePair } from '../serde/ordered.ts'
import type { ScanRange } from '../state/store.ts'
import type { PlanOperator } from '../topology/plan-types.ts'
import { decodeBlocked } from './blocked-rows.ts'
import type { Field } from './packed.ts'
import { decodeParked } from './parked-record.ts'
import { QUEUE } from './parking.ts'

/** As the log had it. */
export interface WaitingRecord {
  readonly topic: string
  /** Null: that of the task. */
  readonly partition: number | null
  readonly offset: number
  readonly timestamp: number
  readonly key: Field
  readonly value: Field
  /** Wall clock; null: nobody has noted it. */
  readonly parkedAtMs: number | null
}

type Read = (value: Buffer) => WaitingRecord | null

/** By kind of operator; the rows are in its first store. */
const READS: Readonly<Partial<Record<PlanOperator['kind'], Read>>> = {
  bufferingJoin: parked,
  holdUntil: parked,
  mapAsync: (value) => parked(decodePair(value).rest),
  blockKey(value) {
    const { state, topic, record } = decodeBlocked(value)
    const { offset, timestamp, key } = record
    // What stands for a dead letter is no record: that is on the list of letters.
    return state === 'record' ? { topic, partition: null, offset, timestamp, key, value: record.value, parkedAtMs: null } : null
  },
}

export const WAITING_ROWS: ScanRange = { from: Buffer.of(QUEUE), to: Buffer.of(QUEUE + 1), toExclusive: true }

/** Undefined: no record waits in such an operator. */
export function waitingRecords(kind: PlanOperator['kind']): Read | undefined {
  return READS[kind]
}

function parked(value: Buffer): WaitingRecord {
  const { origin, parkedAtMs } = decodeParked(value)
  return { ...origin, parkedAtMs }
}
