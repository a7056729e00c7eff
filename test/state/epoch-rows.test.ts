// What an epoch has written, against a Map that is copied before each piece.
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
    fc.property(pieces, (all) => {
      const rows = new EpochRows()
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
