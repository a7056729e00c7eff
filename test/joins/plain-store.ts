// A store view over a Map, for what keeps bytes in rows of its own.
import { keyBytes, keyText } from '../../src/base/bytes.ts'
import type { Row, StoreView } from '../../src/operators/operator.ts'

export interface PlainStore {
  readonly view: StoreView
  readonly rows: Map<string, Row<Buffer>>
}

export function plainStore(): PlainStore {
  const rows = new Map<string, Row<Buffer>>()
  const view: Pick<StoreView, 'getBytes' | 'putBytes' | 'first'> = {
    getBytes: (key) => rows.get(keyText(key)) ?? null,
    putBytes(key, value, timestamp) {
      if (value === null) rows.delete(keyText(key))
      else rows.set(keyText(key), { value, timestamp })
    },
    first(region, below) {
      const [lowest] = [...rows.keys()].filter((key) => key.charCodeAt(0) === region && key < keyText(below)).sort()
      return lowest === undefined ? null : keyBytes(lowest)
    },
  }
  return { view: view as StoreView, rows }
}
