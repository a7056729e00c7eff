// Deletes the rows of a store whose ttl is over and that nobody reads any more: a part of the store at a time, on the wall clock.
//
// 1. Nobody sees it: rows that are over are not there for a reader anyway. So where it stands is kept in memory only; a restart, or a
//    part that is undone, costs a round.
// 2. A round takes at most half the ttl, as long as a part is no more than what one record may read.
import { LIMITS } from '../../base/limits.ts'
import type { Row, StoreView } from '../operator.ts'

const PARTS_A_ROUND = 50
const INTERVAL_MIN_MS = 1_000

export function sweepIntervalMs(ttlMs: number): number {
  return Math.max(INTERVAL_MIN_MS, Math.floor(ttlMs / (2 * PARTS_A_ROUND)))
}

/** The function to be called again and again. */
export function sweeper(view: StoreView, isOver: (row: Row<Buffer>) => boolean): (timestamp: number) => void {
  let from: Buffer | null = null
  let seen = 0
  let rowsOfRound = 0
  return (timestamp) => {
    const partRows = Math.max(LIMITS.scanChunkEntries, Math.ceil(rowsOfRound / PARTS_A_ROUND))
    let rows = 0
    let next: Buffer | null = null
    for (const [key, row] of view.scan({ from, to: null })) {
      if (rows === partRows) {
        next = key
        break
      }
      rows++
      if (isOver(row)) view.putBytes(key, null, timestamp)
    }
    seen += rows
    from = next
    if (next !== null) return
    rowsOfRound = seen
    seen = 0
  }
}
