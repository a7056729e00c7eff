// What holds for the output of the catalog in the order it was written, whatever the order of arrival, crashes and partitions.
//
// 1. The last value of each key is the final table.
// 2. Of one key, `versions.product` never goes back, across tombstones too.
// 3. Where each event is carried through before the next (TopologyTestDriver, `try`): of one key, no record equals the one before it,
//    and no tombstone comes first. In a running processor messages between tasks are under way: what came and went before it was
//    joined leaves the row as it was, and that row is written once more.
import type { CatalogRow } from '../../topologies/catalog.ts'

export interface CatalogOutput {
  readonly key: string
  readonly value: CatalogRow | null
}

/** The table that the outputs end in. */
export function tableOf(outputs: Iterable<CatalogOutput>): Map<string, CatalogRow> {
  const table = new Map<string, CatalogRow>()
  for (const { key, value } of outputs) {
    if (value === null) table.delete(key)
    else table.set(key, value)
  }
  return table
}

/** Breaches of 2, in words. */
export function goneBack(outputs: Iterable<CatalogOutput>): string[] {
  const found: string[] = []
  const newest = new Map<string, number>()
  for (const { key, value } of outputs) {
    if (value === null) continue
    const last = newest.get(key) ?? 0
    if (value.versions.product < last) found.push(`${key}: product version ${value.versions.product} after ${last}`)
    newest.set(key, value.versions.product)
  }
  return found
}

/** Breaches of 3, in words. */
export function repeated(outputs: Iterable<CatalogOutput>): string[] {
  const found: string[] = []
  const before = new Map<string, string>()
  for (const { key, value } of outputs) {
    const text = JSON.stringify(value)
    if (text === (before.get(key) ?? 'null')) found.push(`${key}: written twice: ${text}`)
    before.set(key, text)
  }
  return found
}
