// Joins with a global table against the definition: one map for all partitions.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { topology } from '../../src/dsl/topology.ts'
import { string } from '../../src/serde/text.ts'
import { inputsOf, type Output, partitionOfInput, play, steps } from './crashing.ts'

const text = { key: string(), value: string() }
const pair = (l: string | null | undefined, r: string | null | undefined, key: string | null): string => `${key}:${l ?? '-'}/${r ?? '-'}`
const KEYS = ['a', 'b', 'c', null] as const
/** The value's number decides which row it wants. */
const wanted = (value: string): string | null => KEYS[Number(value.slice(1)) % KEYS.length] ?? null

describe.each(['inner', 'left'] as const)('%s join with a global table', (type) => {
  const joining = topology('joins', (t) => {
    const rows = t.globalTable('right', { ...text, store: 'rows' })
    const left = t.stream('left', text)
    const joined =
      type === 'inner' ? left.join(rows, wanted, pair, { value: string() }) : left.leftJoin(rows, wanted, pair, { value: string() })
    joined.to('out', text)
  })

  test('meets the latest row of all partitions, wherever it crashes', async () => {
    const input = steps({ topics: ['left', 'right'], keys: KEYS, timeMax: 8, steps: 60 })
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 3 }), input, async (partitions, all) => {
        const rows = new Map<string, string | null>()
        const out: Output[][] = Array.from({ length: partitions }, () => [])
        for (const each of inputsOf(all)) {
          if (each.topic === 'right') {
            if (each.key !== null) rows.set(each.key, each.value)
            continue
          }
          if (each.value === null) continue
          const at = wanted(each.value)
          const row = at === null ? null : (rows.get(at) ?? null)
          if (row !== null || type === 'left')
            out[partitionOfInput(each, partitions)]?.push([each.key, pair(each.value, row, each.key), each.timestamp])
        }
        expect(await play(joining, partitions, all)).toEqual(out)
      }),
      { numRuns: 100 },
    )
  }, 60_000)
})
