// Keys and values to bytes for what an operator sends. Never touches a store.
//
// Invariants
// 1. The input record's own key keeps the bytes it came with, under the same serde object; so does a value that nobody could have
//    changed in place (no object, or one that no callback has seen on its way here). The context names no serde where that reads other forms than it writes (`Serde.rewrites`).
// 2. A value that its serde can't write is STREAM_SERDE, naming the operator.
import { asBuffer } from '../base/bytes.ts'
import { wrap } from '../base/errors.ts'
import type { AnySerde } from '../serde/serde.ts'
import type { Site } from './operator.ts'

export function keyToBytes(site: Site, serde: AnySerde, key: unknown): Buffer | null {
  if (key === null) return null
  const { context } = site
  if (key === context.key && serde === context.keySerde && context.keyBytes !== null) return context.keyBytes
  return written(site, serde, key, 'key')
}

export function valueToBytes(site: Site, serde: AnySerde, value: unknown): Buffer | null {
  if (value === null) return null
  const { context } = site
  const same = value === context.value && serde === context.valueSerde && context.valueBytes !== null
  if (same && (typeof value !== 'object' || site.untouched)) return context.valueBytes as Buffer
  return written(site, serde, value, 'value')
}

function written(site: Site, serde: AnySerde, value: unknown, what: string): Buffer {
  try {
    return asBuffer(serde.encode(value))
  } catch (error) {
    throw wrap(error, 'STREAM_SERDE', `${site.node.name}: a ${what} can't be written by the serde ${serde.name ?? 'custom'}`)
  }
}
