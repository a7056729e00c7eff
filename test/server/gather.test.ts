// Parts of a range are merged to what one process with all rows would answer, page after page, wherever each part breaks off.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { NotYet } from '../../src/base/not-yet.ts'
import { mergeParts, type RowPart } from '../../src/server/gather.ts'
import { rowsAnswer } from '../../src/server/rows.ts'

const PROCESSES = 3

test('all rows, once each and in order, whatever each process leaves out of its part', () => {
  const owned = fc.uniqueArray(fc.tuple(fc.uint8Array({ maxLength: 3 }), fc.nat(PROCESSES - 1)), { selector: ([key]) => key.join() })
  fc.assert(
    fc.property(owned, fc.integer({ min: 1, max: 5 }), fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 40 }), (keys, limit, cuts) => {
      const rows = keys
        .map(([bytes, process]) => ({ key: Buffer.from(bytes), process, row: `"${bytes.join()} of ${process}"` }))
        .sort((a, b) => a.key.compare(b.key))
      let cut = 0
      // As `rowsHere` does: so many rows at most, or none where too much had to be looked at; it always comes further.
      const part = (process: number, from: Buffer | null): RowPart => {
        const own = rows.filter((one) => one.process === process && (from === null || one.key.compare(from) >= 0))
        const seen = Math.max(1, Math.min(limit, cuts[cut++] ?? limit))
        const isSkipped = seen === 3
        const next = own[seen]?.key ?? null
        return { partitions: [process], rows: isSkipped ? [] : own.slice(0, seen).map(({ key, row }) => [key, row]), next }
      }
      const hidden = new Set<string>()
      const found: string[] = []
      let from: Buffer | null = null
      for (let pages = 0; ; pages++) {
        expect(pages).toBeLessThanOrEqual(rows.length + 1)
        const parts = Array.from({ length: PROCESSES }, (_, process) => part(process, from))
        const merged = mergeParts(parts, limit)
        expect(merged.rows.length).toBeLessThanOrEqual(limit)
        found.push(...merged.rows.map(([, row]) => row))
        for (const { key, row } of rows) {
          const isPassed = (from === null || key.compare(from) >= 0) && (merged.next === null || key.compare(merged.next) < 0)
          if (isPassed && !parts.some((one) => one.rows.some(([, of]) => of === row))) hidden.add(row)
        }
        from = merged.next
        if (from === null) break
      }
      expect(found).toEqual(rows.map(({ row }) => row).filter((row) => !hidden.has(row)))
    }),
    { numRuns: 200 },
  )
})

test('no more bytes than one answer has, but a row at least', () => {
  const row = 'x'.repeat(700_000)
  const part = (process: number): RowPart => ({ partitions: [process], rows: [[Buffer.from([process]), row]], next: null })
  const merged = mergeParts([part(1), part(0)], 10)
  expect(merged).toEqual({ partitions: [1, 0], rows: [[Buffer.from([0]), row]], next: Buffer.from([1]) })
})

test('a next key whose schema was not met here before is waited for', async () => {
  const known = new Set<string>()
  const nextOf = (key: Buffer): string => {
    const text = String(key)
    if (known.has(text)) return text
    throw new NotYet('STREAM_SERDE', 'no schema', async () => void known.add(text))
  }
  const next = Buffer.from('k2')
  expect(JSON.parse(await rowsAnswer({ rows: [[Buffer.from('k1'), '1']], next }, { nextOf }))).toEqual({ entries: [1], next: 'k2' })
})
