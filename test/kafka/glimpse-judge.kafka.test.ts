// The judge of what queries saw finds what it must: each kind of wrong answer, planted.
import { describe, expect, test } from 'vitest'
import { APPLIED_MS, type Glimpse, glimpseDifferences, type Sample, SEEN_MS } from './glimpse-judge.ts'
import type { JavaRecord } from './java-reader.ts'

/** Partition 0: a b a b a; partition 1: c. */
const events: JavaRecord[] = [...'ababa', 'c'].map((key, id) => ({
  partition: key === 'c' ? 1 : 0,
  offset: key === 'c' ? 0 : id,
  timestamp: 0,
  key: Buffer.from(key),
  value: Buffer.from(JSON.stringify({ id })),
}))
const AT_MS = 2 * APPLIED_MS
const sample = (askedMs: number, offsets: readonly number[], atMs = askedMs): Sample => ({ askedMs, atMs, offsets })
const all = [sample(0, [5, 1]), sample(AT_MS + SEEN_MS, [5, 1])]
const rows = { a: { n: 3, id: 4 }, b: { n: 2, id: 3 }, c: { n: 1, id: 5 } }
const range = (of: Readonly<Record<string, { n: number; id: number }>>): Glimpse => ({
  atMs: AT_MS,
  by: 'i',
  rows: Object.entries(of),
  whole: true,
})

describe('what queries saw', () => {
  test('the state after the last event, or after an earlier one', () => {
    expect(glimpseDifferences(events, [range(rows)], all)).toEqual([])
    expect(glimpseDifferences(events, [range({ a: { n: 2, id: 2 }, b: { n: 1, id: 1 }, c: rows.c })], all)).toEqual([])
    expect(glimpseDifferences(events, [range({})], [])).toEqual([])
  })

  test('half an epoch', () => {
    expect(glimpseDifferences(events, [range({ ...rows, b: { n: 1, id: 1 } })], all)).toEqual([
      expect.stringContaining('b is number 1 beside others'),
    ])
  })

  test('a row that no input makes', () => {
    expect(glimpseDifferences(events, [range({ ...rows, a: { n: 3, id: 2 } })], all).join()).toContain('a is number 3 with event 2, not 4')
  })

  test('rows that were not committed', () => {
    const behind = sample(AT_MS + SEEN_MS, [4, 1])
    expect(glimpseDifferences(events, [range(rows)], [behind])).toEqual([expect.stringContaining('partition 0 is shown up to 4')])
    // What was asked for before may have been so before, however late the answer came.
    const slow = sample(AT_MS + SEEN_MS - 1, [4, 1], AT_MS + 2 * SEEN_MS)
    expect(glimpseDifferences(events, [range(rows)], [slow])).toEqual([])
    expect(glimpseDifferences(events, [range(rows)], [slow, behind])).toHaveLength(1)
  })

  test('a part of a store, and a row that is not there', () => {
    const { c, ...others } = rows
    expect(glimpseDifferences(events, [range(others)], all)).toEqual([expect.stringContaining('c has no row')])
    const none: Glimpse = { atMs: AT_MS, by: 'i', rows: [], whole: false, none: 'c' }
    expect(c.n).toBe(1)
    expect(glimpseDifferences(events, [none], all)).toEqual([expect.stringContaining('c has no row')])
    expect(glimpseDifferences(events, [none], [])).toEqual([])
  })
})
