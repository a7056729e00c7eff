// The rows of keys that wait behind dead letters, by themselves: what at-least-once has read again.
import { expect, test } from 'vitest'
import type { LogRecord } from '../../src/base/record.ts'
import { type BlockedEntry, BlockedRows, queueOf } from '../../src/operators/blocked-rows.ts'
import type { RecordContext, StoreView } from '../../src/operators/operator.ts'
import { RAW } from '../../src/topology/raw.ts'
import { alone, type Fields, store, text } from '../operators/harness.ts'

function storeOfRows(rows: Map<string, Buffer>): StoreView {
  const getBytes = (key: Buffer) => {
    const value = rows.get(key.toString('hex'))
    return value === undefined ? null : { value, timestamp: 0 }
  }
  const putBytes = (key: Buffer, value: Buffer | null): void =>
    void (value === null ? rows.delete(key.toString('hex')) : rows.set(key.toString('hex'), value))
  const first = (region: number, end: Buffer): Buffer | null => {
    const found = [...rows.keys()].sort().find((row) => row >= Buffer.of(region).toString('hex') && row < end.toString('hex'))
    return found === undefined ? null : Buffer.from(found, 'hex')
  }
  return { getBytes, putBytes, first } as unknown as StoreView
}

test('a dead letter that is read again stands once: one that comes back lets its key go', () => {
  const stored = new Map<string, Buffer>()
  const rows = new BlockedRows(storeOfRows(stored), { timestamp: 0 } as RecordContext)
  const queue = queueOf('in', Buffer.from('k'))
  const entry = (state: BlockedEntry['state'], offset: number): BlockedEntry => {
    const record: LogRecord = { offset, timestamp: 0, key: null, value: null, headers: [] }
    return { state, topic: 'in', record, at: null }
  }
  rows.mark(queue, entry('mark', 1))
  rows.mark(queue, entry('mark', 2))
  rows.mark(queue, entry('mark', 1)) // the epoch that wrote the rows did not commit its offsets
  rows.mark(queue, entry('mark', 2))
  expect(rows.settle(entry('gone', 2))).toBe(true)
  expect(rows.settle(entry('record', 1))).toBe(true)
  const left: number[] = []
  for (let ready = rows.firstReady(); ready !== null; ready = rows.firstReady()) {
    left.push(rows.head(ready).record.offset)
    rows.leave(ready)
  }
  expect(left).toEqual([1, 2])
  expect(rows.holds(queue)).toBe(false)
  expect(stored.size).toBe(0)
})

// The places of a topic that was made anew begin at 0 again.
test.each([
  { guarantee: 'exactly once', repeats: false, waiting: 5, duplicates: 0 },
  { guarantee: 'at least once', repeats: true, waiting: 3, duplicates: 2 },
])('with $guarantee, what comes at a place that was read before', ({ repeats, waiting, duplicates }) => {
  const source = { kind: 'source', topics: ['in'], key: text, value: text, carries: 'records' }
  const operator: Fields = { kind: 'blockKey', source, topic: 'letters', recordsMax: 10 }
  const it = alone(operator, { stores: [store('blocked', RAW)], repeats })
  const keyBytes = Buffer.from('k')
  const read = (offset: number): void => {
    Object.assign(it.context, { topic: 'in', offset, keyBytes, valueBytes: Buffer.from(`v${offset}`), recordTimestamp: offset })
    it.instance.inputs[0]?.('k', `v${offset}`, offset, undefined)
  }
  it.instance.block?.mark('in', keyBytes, 2)
  for (const offset of [3, 4, 5, 0, 1]) read(offset)
  const rows = new BlockedRows(it.stores[0] as StoreView, it.context)
  expect([rows.records, it.count('duplicate'), it.out]).toEqual([waiting, duplicates, []])
  rows.settle({ state: 'gone', topic: 'in', at: null, record: { offset: 2, timestamp: 0, key: null, value: null, headers: [] } })
  const left: number[] = []
  for (let ready = rows.firstReady(); ready !== null; ready = rows.firstReady()) {
    left.push(rows.head(ready).record.offset)
    rows.leave(ready)
  }
  expect(left).toEqual([2, 3, 4, 5, ...(repeats ? [] : [0, 1])])
})
