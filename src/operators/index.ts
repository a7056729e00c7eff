// The table of operators by the kind of their node. The runtime looks nothing else up; a kind without an operator does not compile.
import type { PlanOperator } from '../topology/plan-types.ts'
import { aggregate } from './aggregate.ts'
import { blockKey } from './block-key.ts'
import { bufferingJoin } from './buffering-join.ts'
import { changeSink } from './change-sink.ts'
import { dedupe } from './dedupe.ts'
import { cogroup } from './cogroup.ts'
import { filter, filterNot } from './filter.ts'
import { flatMap, flatMapValues } from './flat-map.ts'
import { foreignKeyLeft } from './foreign-key-left.ts'
import { foreignKeyRight } from './foreign-key-right.ts'
import { lastWriteWins } from './last-write-wins.ts'
import { holdTable } from './hold-table.ts'
import { holdUntil } from './hold-until.ts'
import { map } from './map.ts'
import { mapAsync } from './map-async.ts'
import { mapValues } from './map-values.ts'
import type { Operator } from './operator.ts'
import { parkingSink } from './parking-sink.ts'
import { pass } from './pass.ts'
import { peek } from './peek.ts'
import { process } from './process.ts'
import { repartitionSink } from './repartition-sink.ts'
import { selectKey } from './select-key.ts'
import { sink } from './sink.ts'
import { split } from './split.ts'
import { streamGlobalJoin } from './stream-global-join.ts'
import { streamJoin } from './stream-join.ts'
import { streamTableJoin } from './stream-table-join.ts'
import { suppress } from './suppress.ts'
import { tableAggregate } from './table-aggregate.ts'
import { tableFilter, tableFilterNot } from './table-filter.ts'
import { tableJoin } from './table-join.ts'
import { tableMapValues } from './table-map-values.ts'
import { toTable } from './to-table.ts'
import { windowAggregate } from './window-aggregate.ts'

export const operators: Readonly<Record<Exclude<PlanOperator['kind'], 'source'>, Operator>> = {
  filter,
  filterNot,
  map,
  mapValues,
  flatMap,
  flatMapValues,
  selectKey,
  peek,
  forEach: peek,
  merge: pass,
  toStream: pass,
  branch: pass,
  split,
  sink,
  repartitionSink,
  toTable,
  tableFilter,
  tableFilterNot,
  tableMapValues,
  lastWriteWins,
  dedupe,
  bufferingJoin,
  parkingSink,
  mapAsync,
  holdUntil,
  holdTable,
  blockKey,
  aggregate,
  windowAggregate,
  cogroup,
  suppress,
  changeSink,
  tableAggregate,
  tableJoin,
  streamTableJoin,
  streamJoin,
  streamGlobalJoin,
  foreignKeyLeft,
  foreignKeyRight,
  process,
  processValues: process,
}

export { type Change, decodeChange, encodeChange } from './change.ts'
export { foreignKeyPrefixLength } from './foreign-key-messages.ts'
export { latestOfRow, type VersionBytes, VersionReads, VERSIONS_CLOCK } from './version-rows.ts'
export {
  readOwn,
  readRow,
  rowRanges,
  SEGMENTED_OWN,
  SEGMENTED_ROWS,
  segmentedRows,
  segmentMsOf,
  segmentsRange,
} from './user-stores/segmented-rows.ts'
export { type WaitingRecord, WAITING_ROWS, waitingRecords } from './parked-rows.ts'
export { parkingPrefixLength } from './parking.ts'
export { asItWrites, readSource, type SourceRecord } from './source-record.ts'
export { rowOfLastWriteWins } from './last-write-wins-row.ts'
