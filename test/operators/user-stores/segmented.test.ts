// What is over is deleted by later writes, a bounded number of rows at a time; keys of any bytes keep apart and in order.
import { expect, it } from 'vitest'
import { Life } from '../../../src/operators/processor-life.ts'
import { type Segmented, segmented } from '../../../src/operators/user-stores/segmented.ts'
import { storeSite } from '../../../src/operators/user-stores/site.ts'
import { MapStore, newContext, noServices, store } from '../harness.ts'

const NONE = Buffer.alloc(0)

function made(retentionMs: number) {
  const context = newContext()
  const view = new MapStore(store('s'), context)
  const life = new Life('it')
  const rows = segmented(storeSite(view, life, { context, services: noServices }, false), retentionMs)
  const use = (fn: (rows: Segmented) => void) => life.run(0, () => fn(rows))
  return { view, use }
}

it('holds rows of the retention and a segment beside it, however much was written', () => {
  const { view, use } = made(60_000)
  let most = 0
  for (let i = 0; i < 20_000; i++) {
    const before = view.rows.size
    use((rows) => rows.put(Buffer.from(`k${i % 7}`), i * 100, NONE, Buffer.from('x')))
    expect(before - view.rows.size).toBeLessThanOrEqual(100)
    most = Math.max(most, view.rows.size)
  }
  // 600 rows a minute: the retention, the segment that it begins in, and one that is being deleted.
  expect(most).toBeLessThan(2_000)
  use((rows) => {
    const all = [...rows.between(null, 0, Number.MAX_SAFE_INTEGER)]
    expect(all).toHaveLength(600)
    expect(rows.get(Buffer.from('k0'), 0, NONE)).toBeNull()
    expect(rows.put(Buffer.from('k0'), 0, NONE, Buffer.from('late'))).toBe(false)
  })
})

it('keeps keys apart that are the beginning of others, and in the order of their bytes', () => {
  const { use } = made(60_000)
  const keys = ['', '00', '0000', '00ff', '61', '6100', '610000', '6100ff', '61ff', 'ff', 'ffff'].map((hex) => Buffer.from(hex, 'hex'))
  use((rows) => {
    for (const key of keys.toReversed())
      for (const time of [7, 300, 2]) rows.put(key, time, NONE, Buffer.concat([key, Buffer.of(time & 1)]))
    for (const key of keys) {
      const mine = [...rows.between(key, 0, 1_000)]
      expect(mine.map(({ time }) => time)).toEqual([2, 7, 300])
      for (const { key: own, row } of mine) expect(row.value.subarray(0, -1).equals(own)).toBe(true)
      expect([...rows.between(key, 3, 299)].map(({ time }) => time)).toEqual([7])
    }
    expect([...rows.between(null, 7, 7)].map((each) => each.key.toString('hex'))).toEqual(keys.map((key) => key.toString('hex')))
  })
})
