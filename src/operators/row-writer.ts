// How an operator that holds records writes its rows: at the time of what it is processing.
import type { RecordContext, StoreView } from './operator.ts'

export type RowWriter = (row: Buffer, value: Buffer | null) => void

export function rowWriter(store: StoreView, context: RecordContext): RowWriter {
  return (row, value) => store.putBytes(row, value, Math.max(0, context.timestamp))
}
