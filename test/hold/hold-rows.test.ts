// What a holdUntil knows of rows: only the answer to the question that stands counts.
import { expect, test } from 'vitest'
import { HoldRows, wantedOf } from '../../src/operators/hold-rows.ts'
import { newContext } from '../../src/runtime/program.ts'
import { RAW } from '../../src/topology/raw.ts'
import { MapStore } from '../operators/harness.ts'

test('an answer to an earlier question counts for nothing', () => {
  const spec = { name: 'held', key: RAW, value: RAW, generated: false, persistent: true, changelog: true }
  const rows = new HoldRows(new MapStore(spec, newContext()))
  const wanted = wantedOf('plain', Buffer.from('x'))
  const there = Buffer.alloc(0)
  const first = rows.need(wanted) as number
  expect([rows.need(wanted), rows.isHeard(wanted)]).toEqual([null, false])
  expect([rows.heard(wanted, first, there), rows.holds(wanted, null), rows.holds(wanted, 1)]).toEqual([true, true, false])
  expect(rows.release(wanted)).toBe(null)
  const end = rows.release(wanted) as number
  const second = rows.need(wanted) as number
  expect(first < end && end < second).toBe(true)
  expect([rows.heard(wanted, first, there), rows.isHeard(wanted), rows.holds(wanted, null)]).toEqual([false, false, false])
  expect([rows.heard(wanted, second, null), rows.isHeard(wanted), rows.holds(wanted, null)]).toEqual([true, true, false])
})
