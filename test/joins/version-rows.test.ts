// The versions of a key against a plain list of everything that was taken.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { latestOfRow, VersionRows } from '../../src/operators/version-rows.ts'
import { plainStore } from './plain-store.ts'

const RETENTION = 40

interface Put {
  readonly key: string
  readonly step: number
  readonly bytes: number | null
  readonly asOf: number
}

const puts = fc.array(
  fc.record({
    key: fc.constantFrom('a', 'ab', ''),
    step: fc.oneof({ weight: 20, arbitrary: fc.integer({ min: -25, max: 25 }) }, fc.constant(100)),
    bytes: fc.option(fc.integer({ min: 1, max: 6_000 }), { nil: null, freq: 5 }),
    asOf: fc.integer({ min: -50, max: 10 }),
  }),
  { maxLength: 120, size: 'max' },
)

function naive() {
  const taken = new Map<string, Map<number, Buffer | null>>()
  let observed = -1
  const held = (key: string) => [...(taken.get(key) ?? [])].sort(([a], [b]) => b - a)
  return {
    put(key: string, value: Buffer | null, timestamp: number): string {
      if (timestamp < observed - RETENTION) return 'late'
      observed = Math.max(observed, timestamp)
      const latest = held(key)[0]?.[0] ?? -1
      taken.set(key, (taken.get(key) ?? new Map()).set(timestamp, value))
      return timestamp >= latest ? 'latest' : 'older'
    },
    at(key: string, asOf: number): Buffer | null {
      const [latest, ...older] = held(key)
      if (latest === undefined) return null
      if (latest[0] <= asOf) return latest[1]
      return asOf < observed - RETENTION ? null : (older.find(([timestamp]) => timestamp <= asOf)?.[1] ?? null)
    },
    latest: (key: string): Buffer | null => held(key)[0]?.[1] ?? null,
  }
}

test('answers as a list of all versions would, with rows of bounded size', () => {
  fc.assert(
    fc.property(puts, (all: readonly Put[]) => {
      const [heads, older] = [plainStore(), plainStore()]
      const rows = new VersionRows(heads.view, older.view, RETENTION)
      const model = naive()
      let time = 0
      let observed = 0
      for (const [n, { key, step, bytes, asOf }] of all.entries()) {
        time = Math.max(0, time + step)
        observed = Math.max(observed, time)
        const value = bytes === null ? null : Buffer.alloc(bytes, n)
        const keyBytes = Buffer.from(key)
        expect(rows.put(keyBytes, value, time)).toBe(model.put(key, value, time))
        for (const at of [time, time + asOf, time - 1, observed - RETENTION])
          expect(rows.at(keyBytes, at)?.value ?? null).toEqual(model.at(key, at))
        expect(rows.latest(keyBytes)?.value ?? null).toEqual(model.latest(key))
        const head = heads.view.getBytes(keyBytes)
        expect(head === null ? null : latestOfRow(head.value)).toEqual(model.latest(key))
      }
      for (const { value } of [...heads.rows.values(), ...older.rows.values()]) expect(value.length).toBeLessThan(17_000)
    }),
    { numRuns: 60 },
  )
})

test('forgets what is past the retention, deletes included', () => {
  const [heads, older] = [plainStore(), plainStore()]
  const rows = new VersionRows(heads.view, older.view, RETENTION)
  for (let n = 0; n < 2_000; n++) rows.put(Buffer.from(`k${n % 7}`), Buffer.alloc(3_000), n)
  for (let n = 0; n < 7; n++) rows.put(Buffer.from(`k${n}`), null, 2_000 + n)
  expect(heads.rows.size).toBe(7)
  expect(older.rows.size).toBeLessThan(40)
  for (let n = 0; n < 10; n++) rows.put(Buffer.from('other'), Buffer.from('x'), 3_000 + n)
  expect(heads.rows.size).toBe(1)
  expect(older.rows.size).toBe(1)
})
