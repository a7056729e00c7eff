// `groupBy` of a table: maps the new and the old row to their groups and sends the change there.
//
// Invariants
// 1. What leaves a group and what joins one are told apart: equal group keys (by their bytes) make one record with both halves;
//    else two, the old one first.
// 2. A null group key or value skips that half. The mapper is not called for tombstones.
import { sameBytes } from '../base/bytes.ts'
import type { ChangeSink } from '../topology/plan-types.ts'
import { encodeChange } from './change.ts'
import { keyToBytes, valueToBytes } from './encode.ts'
import { asPair } from './map.ts'
import { NOT_LATEST, type Operator } from './operator.ts'

interface Half {
  readonly key: Buffer
  readonly value: Buffer
}

export const changeSink: Operator = (site) => {
  const { topic, group } = site.node.operator as ChangeSink
  const fn = site.guard(group.fn)
  const dropped = site.counter('dropped')

  const half = (key: unknown, value: unknown): Half | null => {
    if (value === null || value === undefined) return null
    const [groupKey, groupValue] = asPair(fn(value, key), site.node.name)
    const keyBytes = keyToBytes(site, group.key, groupKey ?? null)
    const valueBytes = valueToBytes(site, group.value, groupValue ?? null)
    return keyBytes === null || valueBytes === null ? null : { key: keyBytes, value: valueBytes }
  }

  return {
    inputs: [
      (key, value, timestamp, old) => {
        if (key === null || old === NOT_LATEST) {
          dropped.n++
          return
        }
        const now = half(key, value)
        const before = half(key, old)
        if (now !== null && before !== null && sameBytes(now.key, before.key)) {
          site.send(topic, null, now.key, encodeChange(now.value, before.value), timestamp)
          return
        }
        if (before !== null) site.send(topic, null, before.key, encodeChange(null, before.value), timestamp)
        if (now !== null) site.send(topic, null, now.key, encodeChange(now.value, null), timestamp)
      },
    ],
  }
}
