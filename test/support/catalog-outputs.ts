// What holds for the output of the catalog in the order it was written, whatever the order of arrival, crashes and partitions.
//
// 1. The last value of each key is the final table.
// 2. Of one key, no record equals the one before it: nothing is written twice, and no tombstone follows a tombstone or comes first.
// 3. Of one key, `versions.product` never goes back, across tombstones too.
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

/** Breaches of 2 and 3, in words. */
export function breaches(outputs: Iterable<CatalogOutput>): string[] {
  const found: string[] = []
  const before = new Map<string, { readonly text: string; readonly version: number }>()
  for (const { key, value } of outputs) {
    const last = before.get(key) ?? { text: 'null', version: 0 }
    const text = JSON.stringify(value)
    const version = value === null ? last.version : value.versions.product
    if (text === last.text) found.push(`${key}: written twice: ${text}`)
    if (version < last.version) found.push(`${key}: product version ${version} after ${last.version}`)
    before.set(key, { text, version })
  }
  return found
}
