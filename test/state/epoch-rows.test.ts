// What an epoch has written, against a Map that is copied before each piece.
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { keyText } from '../../src/base/bytes.ts'
import { EpochRows } from '../../src/state/epoch-rows.ts'

interface Piece {
  readonly writes: readonly { readonly key: number; readonly bytes: number | null; readonly timestamp: number }[]
  readonly undone: boolean
}

const pieces = fc.array(
  fc.record<Piece>({
    writes: fc.array(
      fc.record({
        key: fc.nat(12),
        bytes: fc.option(fc.oneof({ weight: 8, arbitrary: fc.nat(300) }, fc.constantFrom(2_048, 70_000))),
        timestamp: fc.integer(),
      }),
      { maxLength: 8 },
    ),
    undone: fc.boolean(),
  }),
  { maxLength: 40 },
)
const keyOf = (n: number): Buffer => Buffer.from(n === 0 ? '' : `key ${n}`)

test('the last write of each key, without those of undone pieces, in the order of the first ones', () => {
  fc.assert(
    fc.property(pieces, fc.constantFrom(0, 1_000, 100_000), (all, slackBytes) => {
      const rows = new EpochRows(slackBytes)
      let model = new Map<string, { key: string; value: string | null; timestamp: number }>()
      let fill = 0
      const shown = (): unknown[] =>
        [...rows.values()].map(({ key, value, timestamp }) => ({
          key: keyText(key),
          value: value === null ? null : keyText(value),
          timestamp,
        }))
      for (const { writes, undone } of all) {
        const before = new Map(model)
        rows.mark()
        const liveBytes = [...model.values()].reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0)
        expect(rows.bytes).toBeLessThanOrEqual(liveBytes + Math.max(liveBytes, slackBytes))
        const kept = [...model.keys()].flatMap((text) => [rows.get(text)?.key, rows.get(text)?.value, rows.stored(text)?.value])
        const sums = (): number[] => kept.map((bytes) => (bytes == null ? -1 : crc32(bytes)))
        const keptSums = sums()
        for (const { key: n, bytes, timestamp } of writes) {
          const key = keyOf(n)
          const value = bytes === null ? null : Buffer.alloc(bytes, ++fill)
          rows.put(keyText(key), key, value, timestamp)
          model.set(keyText(key), { key: keyText(key), value: value === null ? null : keyText(value), timestamp })
          key.fill(0) // what was handed in is the caller's
          value?.fill(0)
          const stored = rows.stored(keyText(keyOf(n)))
          expect(bytes === null ? stored : stored?.value.length).toBe(bytes)
        }
        if (undone) {
          const heard: string[] = []
          rows.rollback((text) => heard.push(text))
          expect(heard).toEqual(writes.map(({ key }) => keyText(keyOf(key))).reverse())
          model = before
        }
        expect(sums()).toEqual(keptSums)
        expect(rows.size).toBe(model.size)
        expect([...rows.keys()].map((text) => rows.isLive(text))).toEqual([...model.values()].map(({ value }) => value !== null))
      }
      expect(shown()).toEqual([...model.values()])
    }),
  )
})

test('what was handed out stays as it was when its piece is undone and others write', () => {
  const rows = new EpochRows()
  const put = (name: string, value: string): void => rows.put(name, Buffer.from(name), Buffer.from(value), 1)
  rows.mark()
  put('a', 'committed')
  rows.mark()
  const kept = rows.stored('a')?.value
  put('a', 'undone')
  const undone = rows.stored('a')?.value
  const write = rows.get('a')
  rows.rollback(() => {})
  rows.mark()
  put('b', 'another')
  expect([kept, undone, write?.key, write?.value].map(String)).toEqual(['committed', 'undone', 'a', 'undone'])
  expect(rows.stored('a')?.value.toString()).toBe('committed')
  expect(rows.stored('c')).toBeUndefined()
})

test('a piece that is tried again and again takes no more room than once', () => {
  const rows = new EpochRows()
  const value = Buffer.alloc(500)
  rows.mark()
  for (let i = 0; i < 2; i++) rows.put('a', Buffer.from('a'), value, i)
  const buffers = process.memoryUsage().arrayBuffers
  for (let i = 0; i < 20_000; i++) {
    rows.mark()
    rows.put('b', Buffer.from('b'), value, i)
    rows.rollback(() => {})
  }
  expect(process.memoryUsage().arrayBuffers - buffers).toBeLessThan(1_000_000)
})

test('a long row that every piece writes anew is there a few times, not a thousand', () => {
  const rows = new EpochRows()
  const value = Buffer.alloc(500_000)
  for (let i = 0; i < 100; i++) {
    rows.mark()
    rows.put('a', Buffer.from('a'), value, i)
    expect(rows.bytes).toBeLessThan(5 * value.length)
  }
})
