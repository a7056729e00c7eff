// What a `suppress` for a time holds at most: by number and by bytes. What is over goes at once, the oldest first, each with its latest value.
import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { string, type SuppressFor, topology } from '../../src/index.ts'
import { TopologyTestDriver } from '../../src/testing/index.ts'
import { runsOf } from '../support/tier.ts'

const text = { key: string(), value: string() }
const held = (options: Omit<SuppressFor, 'for'>) =>
  topology('held', (t) =>
    t
      .table('in', { ...text, store: 'rows' })
      .suppress({ for: '1h', store: 'waiting', ...options })
      .toStream()
      .to('out', text),
  )

/** A key of one letter, a value of ten: 9 and 1 of the key's row, 7 and 10 of what waits. */
const BYTES = 27
const value = (n: number): string => String(n).padStart(10, '0')

test.each<[string, Omit<SuppressFor, 'for'>, number]>([
  ['as many as are said', { maxRecords: 3 }, 3],
  ['none', { maxRecords: 0 }, 0],
  ['as many as fit', { maxBytes: 3 * BYTES + 5 }, 3],
  ['as many as fit exactly', { maxBytes: 4 * BYTES }, 4],
  ['what both allow', { maxBytes: 4 * BYTES, maxRecords: 2 }, 2],
  ['a size in words', { maxBytes: '1KiB' }, Math.floor(1024 / BYTES)],
])('%s are held', async (_what, options, most) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof({ weight: 9, arbitrary: fc.nat(61) }, fc.constant('crash' as const)), {
        minLength: 30,
        maxLength: 90,
        size: 'max',
      }),
      fc.boolean(),
      async (steps, commits) => {
        await using driver = new TopologyTestDriver(held(options))
        const waiting = new Map<string, string>()
        const out: string[] = []
        for (const [i, step] of steps.entries()) {
          if (step === 'crash') {
            if (commits) await driver.commit()
            await driver.crash()
            continue
          }
          const key = String.fromCharCode(48 + step)
          await driver.input('in').pipe({ key, value: value(i), timestamp: i })
          waiting.set(key, value(i)) // a Map keeps the place of the first update
          const [oldest] = waiting
          if (waiting.size <= most || oldest === undefined) continue
          out.push(oldest.join(' '))
          waiting.delete(oldest[0])
        }
        const seen = driver.output<string, string>('out').readAll()
        expect(seen.map((record) => `${record.key} ${record.value}`)).toEqual(out)
      },
    ),
    { numRuns: runsOf(8, 60) },
  )
})

describe('bounds that make no sense', () => {
  it.each<[object, RegExp]>([
    [{ maxBytes: '1KB' }, /^suppress: maxBytes: "1KB" is no size; write '512KiB'/],
    [{ maxBytes: -1 }, /^suppress: maxBytes: -1 is no size/],
    [{ maxRecords: 1.5 }, /^suppress: maxRecords must be a whole number, not 1.5$/],
    [{ clock: 'event' }, /^suppress: clock must be 'stream' or 'wall', not "event"$/],
  ])('%j', (options, message) => {
    expect(() => held(options as never)).toThrow(message)
  })
})
