// One partition as its leader keeps it: records and markers at offsets, and what it knows of the producers that wrote them.
//
// Invariants
// 1. A marker uses up an offset, as on a broker. So does a record that is aborted.
// 2. The stable end is the first offset of an open transaction: readers of committed records go no further.
// 3. A producer epoch that was overtaken, here or by a marker, writes nothing more; a batch that comes twice is written once.
import { type LogRecord, NO_HEADERS, partitionName } from '../../../src/base/record.ts'

/** What became of a transaction in this partition. */
export interface Mark {
  state: 'open' | 'committed' | 'aborted'
}

export interface Entry {
  /** Null: a marker. */
  readonly record: LogRecord | null
  /** Null: written outside of any transaction. */
  readonly mark: Mark | null
}

export type Unplaced = Omit<LogRecord, 'offset'>

interface ProducerState {
  epoch: number
  lastSequence: number
  /** The latest batches, to know one that comes again. */
  batches: { readonly first: number; readonly last: number; readonly offset: number }[]
  open: { readonly mark: Mark; readonly first: number } | null
  /** Where its newest batch begins; -1: it has written nothing. */
  newest: number
}

export interface SimPartition {
  readonly topic: string
  readonly partition: number
  readonly name: string
  readonly entries: Entry[]
  readonly producers: Map<number, ProducerState>
  /** Called when something was written or a transaction has ended. */
  readonly waiters: Set<() => void>
  leader: number
  deleted: boolean
}

export function simPartition(topic: string, partition: number, leader: number): SimPartition {
  return {
    topic,
    partition,
    name: partitionName(topic, partition),
    entries: [],
    producers: new Map(),
    waiters: new Set(),
    leader,
    deleted: false,
  }
}

export function stableEnd(of: SimPartition): number {
  let end = of.entries.length
  for (const { open } of of.producers.values()) if (open !== null && open.first < end) end = open.first
  return end
}

/** The records that a reader of committed ones has seen once it has come to `end`. */
export function committedRecords(of: SimPartition, end = stableEnd(of)): LogRecord[] {
  const records: LogRecord[] = []
  for (let offset = 0; offset < end; offset++) {
    const { record, mark } = of.entries[offset] as Entry
    if (record !== null && (mark === null || mark.state === 'committed')) records.push(record)
  }
  return records
}

/** Written by nobody we know: no producer, no transaction. Answers the offset of the first. */
export function appendPlain(to: SimPartition, records: readonly Unplaced[], mark: Mark | null = null): number {
  const base = to.entries.length
  for (const record of records) to.entries.push({ record: { ...record, offset: to.entries.length }, mark })
  news(to)
  return base
}

export function appendMarker(to: SimPartition): void {
  to.entries.push({ record: null, mark: null })
  news(to)
}

export interface Batch {
  readonly pid: number
  readonly epoch: number
  readonly sequence: number
  readonly records: readonly Unplaced[]
}

/** The offset of the first record, or the broker's refusal. */
export function appendTransactional(to: SimPartition, batch: Batch): number | string {
  const { pid, epoch, sequence, records } = batch
  let state = to.producers.get(pid)
  if (state !== undefined && epoch < state.epoch) return 'INVALID_PRODUCER_EPOCH'
  if (state === undefined) {
    state = { epoch, lastSequence: -1, batches: [], open: null, newest: -1 }
    to.producers.set(pid, state)
  }
  if (epoch > state.epoch) {
    if (sequence !== 0) return 'OUT_OF_ORDER_SEQUENCE_NUMBER'
    state.epoch = epoch
    state.lastSequence = -1
    state.batches = []
  }
  const last = sequence + records.length - 1
  const again = state.batches.find((known) => known.first === sequence && known.last === last)
  if (again !== undefined) return again.offset
  if (sequence !== state.lastSequence + 1) return 'OUT_OF_ORDER_SEQUENCE_NUMBER'
  const base = to.entries.length
  state.open ??= { mark: { state: 'open' }, first: base }
  for (const record of records) to.entries.push({ record: { ...record, offset: to.entries.length }, mark: state.open.mark })
  state.newest = base
  state.lastSequence = last
  state.batches.push({ first: sequence, last, offset: base })
  if (state.batches.length > 5) state.batches.shift()
  news(to)
  return base
}

/** Ends the producer's transaction here. */
export function writeMarker(to: SimPartition, pid: number, epoch: number, commit: boolean): void {
  let state = to.producers.get(pid)
  if (state === undefined) {
    state = { epoch, lastSequence: -1, batches: [], open: null, newest: -1 }
    to.producers.set(pid, state)
  }
  if (epoch > state.epoch) {
    state.epoch = epoch
    state.lastSequence = -1
    state.batches = []
  }
  if (state.open !== null) state.open.mark.state = commit ? 'committed' : 'aborted'
  state.open = null
  appendMarker(to)
}

export function news(of: SimPartition): void {
  if (of.waiters.size > 0) for (const wake of [...of.waiters]) wake()
}

export const plain = (key: Buffer | null, value: Buffer | null, timestamp: number): Unplaced => ({
  key,
  value,
  timestamp,
  headers: NO_HEADERS,
})
