// How the processors of one task read ranges of global tables: the rows that a record asks for are read from disk, held while it runs again,
// and forgotten with its batch. The tables are not the task's: nothing is written here.
//
// Invariant: a range is as the table was when the first of its batch asked for one; the next batch may see another.
import type { RowsReader } from '../operators/operator.ts'
import type { Ranges } from '../state/ranges.ts'
import { globalKey, globalRange, type GlobalTable } from './global-tables.ts'
import { Suspend } from './suspend.ts'

export class GlobalReaders {
  readonly #ranges = new Map<GlobalTable, Ranges>()

  of(table: GlobalTable): RowsReader {
    return {
      get: (key) => table.rowBytes(key),
      scan: (range) => {
        const ranges = this.#ranges.get(table) ?? table.ranges()
        this.#ranges.set(table, ranges)
        const rows = ranges.rows(globalRange(range), (fetch) => {
          throw new Suspend(fetch)
        })
        return rows.map(([key, row]) => [globalKey(key), row] as const)
      },
    }
  }

  /** A record begins. */
  mark(): void {
    for (const ranges of this.#ranges.values()) ranges.begin()
  }

  forgetRows(): void {
    this.#ranges.clear()
  }
}
